// Where the data comes from: the stream; while the server has no place for one more, /api/data every few seconds.
// A browser opens six connections to one server, whatever its tabs: one that nobody looks at gives its own back.

const RETRY_MS = 3000;
const HIDDEN_MS = 5000;

/** Call `show(data)` with every newer view and `tell(state)` with "live", "polling", "reconnecting" or "resting". */
export function connect(show, tell) {
  let stream = null;
  let retry = 0;
  let hiding = 0;

  function open() {
    const mine = (stream = new EventSource("/api/stream"));
    const receive = (event) => {
      tell("live");
      show(JSON.parse(event.data));
    };
    mine.addEventListener("snapshot", receive);
    mine.addEventListener("metrics_update", receive);
    mine.addEventListener("error", async () => {
      // A stream that broke connects again by itself; one that was refused is closed, and needs us.
      if (mine.readyState !== EventSource.CLOSED) {
        tell("reconnecting");
        return;
      }
      const isThere = await poll(show);
      if (mine !== stream) return; // hidden meanwhile
      tell(isThere ? "polling" : "reconnecting");
      retry = setTimeout(open, RETRY_MS);
    });
  }

  function rest() {
    stream?.close();
    stream = null;
    clearTimeout(retry);
    tell("resting");
  }

  function look() {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(rest, HIDDEN_MS);
    else if (!stream) open();
  }

  open(); // in a tab that is hidden from the start, too: it has data when it is looked at
  look();
  document.addEventListener("visibilitychange", look);
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
