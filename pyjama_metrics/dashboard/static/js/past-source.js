// Asks the server about the past, and says in its words, or ours, why there is no answer.

/** What an address answers: `{body}`, or why there is no answer: `{failure}`. */
export async function askPast(address, signal) {
  try {
    const answer = await fetch(address, { signal });
    const body = await answer.json();
    return answer.ok ? { body } : { failure: body.error };
  } catch (error) {
    if (signal?.aborted) throw error;
    return { failure: "The server does not answer; it is asked again." };
  }
}
