// Fills elements from a view: <td data-field="success-rate" data-format="percent">. A test compares the names with the
// fields of the Python class that the element's data-view names.

import { estimatedWords, tokensMark } from "./cost-words.js";
import * as format from "./format.js";

const PAUSE_MS = 2000;
const LIT_MS = 150;

const WRITERS = {
  count: (element, value) => write(element, format.count(value)),
  percent: (element, value) => write(element, format.percent(value)),
  duration: (element, value) => write(element, format.duration(value)),
  text: writeText,
  ago: (element, value) => writeTime(element, value, format.ago),
  since: (element, value) => writeTime(element, value, format.since),
  clock: (element, value) => writeTime(element, value, format.timeOfDay),
  compact: (element, value) => writeShort(element, format.compact(value), format.count(value)),
  tokens: (element, value, view) => writeTokens(element, value, view),
  money: (element, value) => writeShort(element, format.money(value), format.exactMoney(value)),
  elapsed: (element, value) => write(element, format.elapsed(value)),
  calls: (element, value) => write(element, format.many(value, "call")),
  modelCalls: (element, value) => write(element, format.many(value, "model call")),
};

/** Put the values of `view` into the fields inside `root`; a view that is null has nothing to say. */
export function fill(root, view) {
  for (const element of root.querySelectorAll("[data-field]")) {
    WRITERS[element.dataset.format ?? "text"](element, view?.[element.dataset.field] ?? null, view);
  }
}

/** Set an element's text, only where it differs; a figure that changed is shown by a short highlight. */
export function write(element, text) {
  const before = element.textContent;
  if (before === text) return;
  element.textContent = text;
  if (before !== "" && element.dataset.format in WRITERS) highlight(element);
}

/** Set an element's text to a name or a message; what does not fit is in the tooltip. */
export function writeText(element, value) {
  const text = format.text(value);
  if (element.textContent === text) return;
  element.textContent = text;
  element.title = text.length > 12 ? text : "";
}

/** Set an element's text to a figure that was made short; the whole of it is in the tooltip. */
export function writeShort(element, text, exact) {
  write(element, text);
  const title = exact === text ? "" : exact;
  if (element.title !== title) element.title = title;
}

/** Write a number of tokens of a view; how many of them are an estimate is in the tooltip. */
export function writeTokens(element, value, view) {
  const estimated = estimatedWords(view);
  writeShort(element, tokensMark(view) + format.compact(value), format.count(value) + (estimated && `; ${estimated}`));
}

/** Write all relative times anew, but for those that their panel writes: they change without any event. */
export function refreshTimes(root, now) {
  for (const element of root.querySelectorAll("time[data-format=ago]:not([data-ticks] *), time[data-format=since]")) {
    if (element.dataset.time) writePlain(element, format[element.dataset.format](Number(element.dataset.time), now));
  }
}

/** Show a state by its shape; its colour comes from the style sheet, its word stands beside it. */
export function showState(row, state) {
  if (row.dataset.status === state) return;
  row.dataset.status = state;
  row.querySelector("use").setAttribute("href", `#shape-${state}`);
}

function writeTime(element, value, words) {
  writePlain(element, words(value));
  const time = String(value ?? "");
  if (element.dataset.time === time) return;
  element.dataset.time = time;
  if (element.title) element.title = "";
  if (value !== null && Math.abs(value) < 8.64e15) element.dateTime = new Date(value).toISOString();
}

// The moment itself is the tip of a relative time. It is written for the one that is pointed at, and not for each row.
document.addEventListener("pointerover", ({ target }) => {
  const time = target.closest?.("time[data-time]");
  if (time?.dataset.time) time.title = format.exactTime(Number(time.dataset.time));
});

/** Set an element's text without light. What is written each second is changed: that costs less than another text in its place. */
export function writePlain(element, text) {
  const node = element.firstChild;
  if (node?.nodeType === Node.TEXT_NODE && node === element.lastChild) {
    if (node.data !== text) node.data = text;
  } else if (element.textContent !== text) {
    element.textContent = text;
  }
}

const lit = new WeakMap(); // element → when it was lit, ms
const MOST_LIT = 30; // in a second: where everything changes, light tells nothing and each one has to be painted
let second = 0;
let litNow = 0;

/** Light an element for a moment; one that changes all the time is lit now and then, for a page that blinks tells nothing. */
function highlight(element) {
  const now = performance.now();
  if (document.hidden || now - (lit.get(element) ?? -Infinity) < PAUSE_MS) return;
  if (now - second >= 1000) [second, litNow] = [now, 0];
  litNow += 1;
  if (litNow > MOST_LIT) return;
  lit.set(element, now);
  light(element);
}

/** Light an element for a moment. No animation fades it: each frame of one would cost as much as the change itself. */
export function light(element) {
  element.classList.add("changed");
  setTimeout(() => element.classList.remove("changed"), LIT_MS);
}
