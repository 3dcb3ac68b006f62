// The entries of the log that this page remembers: more than the document has, each once, newest first.

import { LOG_ENTRIES } from "./patches.js";

export const MOST = 1000;

export class LogEntries {
  #known = []; // {entry, number}, newest first; the number counts arrivals
  #ids = new Set();
  #arrived = 0;

  /** The entries, newest first: `[{entry, number}]`. Another array after each change. */
  get all() {
    return this.#known;
  }

  /** The number of the entry that arrived last; later ones have higher numbers. */
  get arrived() {
    return this.#arrived;
  }

  /** Take the latest entries of the document, oldest first, and `more` new ones. Returns whether the log was cleared before. */
  update(latest, more) {
    const isCleared = this.#isCleared(latest);
    if (isCleared) {
      this.#known = [];
      this.#ids.clear();
      this.#merge(latest);
    } else {
      this.#merge([...more, ...latest]);
    }
    return isCleared;
  }

  #merge(entries) {
    const added = [];
    for (const entry of entries) {
      const id = idOf(entry);
      if (this.#ids.has(id)) continue;
      this.#ids.add(id);
      this.#arrived += 1;
      added.push({ entry, number: this.#arrived });
    }
    if (added.length === 0) return;
    // A sort keeps the order of equals, and entries that are sorted already cost one look each.
    this.#known = [...added.reverse(), ...this.#known].sort((a, b) => time(b.entry) - time(a.entry));
    for (const { entry } of this.#known.splice(MOST)) this.#ids.delete(idOf(entry));
  }

  /** Our newest entry leaves the document only for newer ones, and then the document is full of these. */
  #isCleared(latest) {
    if (this.#known.length === 0) return false;
    const newest = this.#known[0].entry;
    if (latest.some((entry) => idOf(entry) === idOf(newest))) return false;
    return latest.length < LOG_ENTRIES || time(latest[0]) < time(newest);
  }
}

/** What tells an entry from all others, also after a new connection. */
export function idOf(entry) {
  return entry.id ?? JSON.stringify(entry);
}

function time(entry) {
  return entry.timestamp ?? 0;
}
