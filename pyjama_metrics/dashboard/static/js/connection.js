// Where the data comes from: the stream; while the server has no place for one more, /api/data every few seconds.

const RETRY_MS = 3000;

/** Call `show(data)` with every newer view and `tell(state)` with "live", "polling" or "reconnecting". */
export function connect(show, tell) {
  const stream = new EventSource("/api/stream");
  const receive = (event) => {
    tell("live");
    show(JSON.parse(event.data));
  };
  stream.addEventListener("snapshot", receive);
  stream.addEventListener("metrics_update", receive);
  stream.addEventListener("error", async () => {
    // A stream that broke connects again by itself; one that was refused is closed, and needs us.
    if (stream.readyState !== EventSource.CLOSED) {
      tell("reconnecting");
      return;
    }
    tell((await poll(show)) ? "polling" : "reconnecting");
    setTimeout(() => connect(show, tell), RETRY_MS);
  });
}

async function poll(show) {
  try {
    const answer = await fetch("/api/data");
    if (answer.ok) show(await answer.json());
    return answer.ok;
  } catch {
    return false; // no server there; the header says so, and the next attempt is due
  }
}
