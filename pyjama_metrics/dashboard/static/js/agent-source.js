// Asks the server for one thing again and again: one request at a time, a pause between two, and only when it is wanted.

const PAUSE_MS = 400;

export class Source {
  #address = null;
  #isWanted = false;
  #isBusy = false;
  #endPause = () => {};
  #tell;

  /** `tell({status, view})` gets each answer; `view` is null where there is none, `status` 0 where the server is away. */
  constructor(tell) {
    this.#tell = tell;
  }

  /** Ask this address from now on, at once; null asks nothing more. An answer that is late for the old one is dropped. */
  point(address) {
    if (this.#address === address) return;
    this.#address = address;
    this.ask();
    this.#endPause();
  }

  /** Something has changed: ask again, when it is time. */
  ask() {
    this.#isWanted = this.#address !== null;
    if (this.#isWanted && !this.#isBusy) this.#run();
  }

  async #run() {
    this.#isBusy = true;
    while (this.#isWanted) {
      this.#isWanted = false;
      const address = this.#address;
      const answer = await answerOf(address);
      if (address !== this.#address) continue; // the next one is asked for without a pause
      this.#tell(answer);
      await new Promise((resume) => {
        this.#endPause = resume;
        setTimeout(resume, PAUSE_MS);
      });
    }
    this.#isBusy = false;
  }
}

async function answerOf(address) {
  try {
    const answer = await fetch(address);
    return { status: answer.status, view: answer.ok ? await answer.json() : null };
  } catch {
    return { status: 0, view: null };
  }
}
