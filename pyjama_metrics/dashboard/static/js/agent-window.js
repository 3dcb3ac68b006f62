// The span of time that a waterfall shows: all of the run, which grows, or what the reader zoomed to, which stays.

const LEAST_MS = 2;
const AHEAD = 0.12; // how much further than the present it reaches, so that bars do not move with every second

export class TimeWindow {
  #all = { from: 0, to: 1 };
  #zoomed = null;
  isNew = true; // it shows nothing yet

  /** The beginning, ms since the epoch. */
  get from() {
    return (this.#zoomed ?? this.#all).from;
  }

  /** The end, ms since the epoch. */
  get to() {
    return (this.#zoomed ?? this.#all).to;
  }

  /** Forget everything: another run is coming. */
  reset() {
    this.#zoomed = null;
    this.isNew = true;
  }

  /** All of the run is `from` to `to`; an open run gets room to grow into. */
  cover({ from, to, isOpen }) {
    const end = Math.max(to, from + LEAST_MS);
    const hasRoom = !this.isNew && isOpen && from === this.#all.from && end <= this.#all.to;
    if (!hasRoom) this.#all = { from, to: end + (end - from) * (isOpen ? AHEAD : 0.01) };
    this.isNew = false;
  }

  /** An open run has come to `now`. */
  reach(now) {
    this.cover({ from: this.#all.from, to: now, isOpen: true });
  }

  /** Show only `from` to `to`. */
  zoom(from, to) {
    const middle = (from + to) / 2;
    const half = Math.max(LEAST_MS, to - from) / 2;
    const start = Math.max(this.#all.from, middle - half);
    const end = Math.min(this.#all.to, middle + half);
    this.#zoomed = start <= this.#all.from && end >= this.#all.to ? null : { from: start, to: end };
  }

  /** Show `factor` times as much time, around `at` or the middle of what is shown. */
  scale(factor, at) {
    const length = (this.to - this.from) * factor;
    const middle = at ?? (this.from + this.to) / 2;
    this.zoom(middle - length / 2, middle + length / 2);
  }

  /** Show all again. */
  showAll() {
    this.#zoomed = null;
  }

  /** Move, if need be, so that `start` to `end` is in view. */
  show(start, end) {
    if (start >= this.from && Math.min(end, start + (this.to - this.from)) <= this.to) return;
    const length = this.to - this.from;
    const from = Math.max(this.#all.from, Math.min(start - length * 0.1, this.#all.to - length));
    this.zoom(from, from + length);
  }
}
