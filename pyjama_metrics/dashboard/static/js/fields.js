// Fills elements from a view: <td data-field="success-rate" data-format="percent">. A test compares the names with the
// fields of the Python class that the element's data-view names.

import * as format from "./format.js";

const WRITERS = {
  count: (element, value) => write(element, format.count(value)),
  percent: (element, value) => write(element, format.percent(value)),
  duration: (element, value) => write(element, format.duration(value)),
  text: writeText,
  ago: (element, value) => writeTime(element, value, format.ago),
  clock: (element, value) => writeTime(element, value, format.timeOfDay),
};

/** Put the values of `view` into the fields inside `root`. */
export function fill(root, view) {
  for (const element of root.querySelectorAll("[data-field]")) {
    WRITERS[element.dataset.format ?? "text"](element, view[element.dataset.field]);
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

/** Write all relative times anew: they change without any event. */
export function refreshTimes(root) {
  for (const element of root.querySelectorAll("time[data-format=ago]")) {
    if (element.dataset.time) writePlain(element, format.ago(Number(element.dataset.time)));
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
  element.title = format.exactTime(value);
  if (value !== null && Math.abs(value) < 8.64e15) element.dateTime = new Date(value).toISOString();
}

function writePlain(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function highlight(element) {
  if (document.hidden) return;
  element.classList.add("changed");
  element.addEventListener("animationend", () => element.classList.remove("changed"), { once: true });
}
