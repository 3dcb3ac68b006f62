// The rows of the log. New ones are made a few per frame, from those that went out of sight, so that no storm holds the page up.

import { fill, light, showState, write, writeText } from "./fields.js";
import { idOf } from "./log-entries.js";
import { kindOf, messageOf, wordOf } from "./log-words.js";
import { agentHref } from "./route.js";

const MOST_PER_FRAME = 40;
const FEW = 4; // new rows that are lit; more of them at once would only flicker

export class LogRows {
  #body;
  #template;
  #rows = new Map();
  #spare = [];
  #wanted = [];
  #isAsked = false;

  constructor(body, template) {
    this.#body = body;
    this.#template = template.content.firstElementChild;
  }

  /** Show these entries in this order; those that are too many for one frame come with the next. */
  show(wanted) {
    this.#wanted = wanted;
    this.#draw();
  }

  #draw() {
    const ids = new Set(this.#wanted.map(({ entry }) => idOf(entry)));
    const isFirst = this.#rows.size === 0;
    for (const [id, row] of this.#rows) if (!ids.has(id)) this.#drop(id, row);
    const made = [];
    let next = this.#body.firstElementChild;
    for (const { entry } of this.#wanted) {
      const id = idOf(entry);
      let row = this.#rows.get(id);
      if (!row && made.length === MOST_PER_FRAME) continue;
      if (!row) {
        row = this.#make(id, entry);
        made.push(row);
      }
      if (row === next) next = row.nextElementSibling;
      else this.#body.insertBefore(row, next);
    }
    if (!isFirst && made.length <= FEW) for (const row of made) light(row);
    this.#spare.length = Math.min(this.#spare.length, MOST_PER_FRAME);
    if (this.#rows.size < this.#wanted.length) this.#askForFrame();
  }

  #askForFrame() {
    if (this.#isAsked) return;
    this.#isAsked = true;
    requestAnimationFrame(() => {
      this.#isAsked = false;
      this.#draw();
    });
  }

  #make(id, entry) {
    const row = this.#spare.pop() ?? this.#template.cloneNode(true);
    this.#rows.set(id, row);
    fill(row, entry);
    showState(row, kindOf(entry));
    write(row.querySelector("[data-word]"), wordOf(entry));
    writeText(row.querySelector("[data-message]"), messageOf(entry));
    const link = row.querySelector("a");
    link.href = agentHref(entry["agent-id"]);
    if (entry["agent-id"] === "") link.firstElementChild.textContent = "(no name)";
    return row;
  }

  #drop(id, row) {
    row.remove();
    row.classList.remove("changed");
    this.#rows.delete(id);
    this.#spare.push(row);
  }
}
