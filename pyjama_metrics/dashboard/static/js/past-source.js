// Asks the server about the past, and says in its words, or ours, why there is no answer.

/** What an address answers: `{body}`, or `{failure, isEmpty}`, of which the second says that there is no history yet. */
export async function askPast(address, signal) {
  try {
    const answer = await fetch(address, { signal });
    const body = await answer.json();
    if (answer.ok) return { body };
    return { failure: body.error, isEmpty: answer.status === 404 };
  } catch (error) {
    if (signal?.aborted) throw error;
    return { failure: "The server does not answer; it is asked again.", isEmpty: false };
  }
}
