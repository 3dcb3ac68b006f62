// One stream of /api/stream, held open for as long as somebody wants it: in a tab, or in the worker that all tabs share.

const RETRY_MS = 30_000; // after which a stream that was refused is asked for again

/** Calls `hear(message)`: `{kind, text}` for an event, `{state: "live" | "reconnecting" | "refused"}` for a change of state. */
export class Stream {
  #hear;
  #source = null;
  #retry = 0;

  /** The version that the stream has brought its readers to; null while there is none. */
  version = null;

  constructor(hear) {
    this.#hear = hear;
  }

  get isOpen() {
    return this.version !== null;
  }

  /** Hear everything after `version`. A stream that is refused asks again by itself. */
  open(version) {
    this.close();
    this.version = version;
    const source = new EventSource(`/api/stream?after=${encodeURIComponent(version)}`);
    this.#source = source;
    source.addEventListener("open", () => this.#hear({ state: "live" }));
    for (const kind of ["snapshot", "metrics_update"]) {
      source.addEventListener(kind, (event) => {
        this.version = event.lastEventId;
        this.#hear({ kind, text: event.data });
      });
    }
    source.addEventListener("error", () => {
      // One that broke connects again by itself; one that was refused is closed for good.
      if (source.readyState !== EventSource.CLOSED) {
        this.#hear({ state: "reconnecting" });
        return;
      }
      this.#hear({ state: "refused" });
      this.#retry = setTimeout(() => this.open(this.version), RETRY_MS);
    });
  }

  /** Ask again now, if it was refused. */
  retry() {
    if (this.#source?.readyState === EventSource.CLOSED) this.open(this.version);
  }

  close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
    this.version = null;
  }
}
