// Where the document comes from: first /api/data, then the events after it. Tabs share one stream, by a worker; where there
// is none, each has its own. While the server has no place for a stream, /api/data is asked every few seconds.

import { scriptUrl, WORKER } from "./loading.js";
import { data, isReached, replace, update } from "./store.js";
import { Stream } from "./stream.js";

const POLL_MS = 3000;
const HIDDEN_MS = 5000; // after which a tab that nobody looks at stops polling, and gives a stream of its own back
const MOST_WAITING = 2000; // events that wait for a document that is loading

/** Keep the store current, and call `tell(state)`: "live", "polling", "reconnecting" or "resting". */
export function connect(tell) {
  new Connection(tell).begin();
}

class Connection {
  #tell;
  #stream;
  #loading = null;
  #waiting = [];
  #isRefused = false;
  #isResting = false;
  #polling = 0;
  #hiding = 0;

  constructor(tell) {
    this.#tell = tell;
    this.#stream = sharedStream((message) => this.#hear(message)) ?? this.#ownStream();
    document.addEventListener("visibilitychange", () => this.#look());
    window.addEventListener("pagehide", () => this.#stream.close());
    window.addEventListener("pageshow", (event) => event.persisted && this.begin());
  }

  /** Load the document, then hear what changes. */
  async begin() {
    if (await this.#load()) {
      this.#stream.open(data().hub.version);
      this.#look();
    } else {
      this.#tell("reconnecting");
      setTimeout(() => this.begin(), POLL_MS);
    }
  }

  #ownStream() {
    return new Stream((message) => this.#hear(message));
  }

  #hear(message) {
    if (message.hasFailed) this.#goAlone();
    if (message.state) this.#hearState(message.state);
    if (message.kind && this.#loading && this.#waiting.length < MOST_WAITING) this.#waiting.push(message);
    else if (message.kind) this.#receive(message);
    else if (message.version && !isReached(message.version)) this.#load();
  }

  #receive({ kind, text }) {
    const event = JSON.parse(text);
    if (kind === "metrics_update") update(event) || this.#load();
    else if (!isReached(event.hub.version)) replace(event);
  }

  #hearState(state) {
    this.#isRefused = state === "refused";
    clearTimeout(this.#polling);
    if (!this.#isRefused) this.#tell(state);
    else if (!this.#isResting) this.#poll();
  }

  #goAlone() {
    this.#stream = this.#ownStream();
    if (data()) this.#stream.open(data().hub.version);
  }

  /** Load the document where it is newer than ours, then take what was heard meanwhile. Whether the server answered. */
  #load() {
    this.#loading ??= fetchNewest().then((isThere) => {
      this.#loading = null;
      const heard = this.#waiting;
      this.#waiting = [];
      for (const message of heard) this.#hear(message);
      return isThere;
    });
    return this.#loading;
  }

  async #poll() {
    const isThere = await this.#load();
    if (!this.#isRefused || this.#isResting) return;
    this.#tell(isThere ? "polling" : "reconnecting");
    clearTimeout(this.#polling);
    this.#polling = setTimeout(() => this.#poll(), POLL_MS);
  }

  #look() {
    clearTimeout(this.#hiding);
    if (document.hidden) this.#hiding = setTimeout(() => this.#rest(), HIDDEN_MS);
    else if (this.#isResting) this.#wake();
  }

  /** A stream that is shared costs nothing more, and the title goes on counting: it is kept. */
  #rest() {
    const isOwn = this.#stream instanceof Stream;
    if (!isOwn && !this.#isRefused) return;
    this.#isResting = true;
    clearTimeout(this.#polling);
    if (isOwn) this.#stream.close();
    this.#tell("resting");
  }

  #wake() {
    this.#isResting = false;
    if (this.#stream instanceof Stream) this.#stream.open(data().hub.version);
    else if (this.#isRefused) {
      this.#stream.retry();
      this.#poll();
    }
  }
}

/** Put the newest document into the store, unless it is there; whether the server answered. */
async function fetchNewest() {
  const known = data() ? { "If-None-Match": `W/"${data().hub.version}"` } : {};
  try {
    const answer = await fetch("/api/data", { cache: "no-store", headers: known });
    if (answer.status === 200) replace(await answer.json());
    return answer.status === 200 || answer.status === 304;
  } catch {
    return false; // no server there; the head of the page says so, and the next attempt is due
  }
}

/** The tabs' common stream, used like one's own; null where the browser has no workers to share. */
function sharedStream(hear) {
  try {
    const worker = new SharedWorker(scriptUrl(WORKER), { type: "module", name: "pyjama-metrics" });
    worker.addEventListener("error", () => hear({ hasFailed: true }));
    worker.port.onmessage = ({ data: message }) => hear(message);
    return {
      open: (version) => worker.port.postMessage({ after: version }),
      retry: () => worker.port.postMessage({ retry: true }),
      close: () => worker.port.postMessage({ bye: true }),
    };
  } catch {
    return null; // unknown to this browser, or forbidden by its owner
  }
}
