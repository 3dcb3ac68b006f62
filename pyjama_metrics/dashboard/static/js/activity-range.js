// Which span of time the charts show: a named one that ends now, or two times that the reader gave. It lasts as long as the tab.

import { keep, kept } from "./kept.js";

const KEY = "activity";
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The named ranges, in ms: how long they are, and how often what they show may be asked for anew. */
export const RANGES = {
  "15m": { span: 15 * MINUTE, pace: 5 * SECOND },
  "1h": { span: HOUR, pace: 30 * SECOND },
  "24h": { span: DAY, pace: MINUTE },
  "7d": { span: 7 * DAY, pace: 5 * MINUTE },
  "30d": { span: 30 * DAY, pace: 5 * MINUTE },
};

const buttons = [...document.querySelectorAll(".activity .ranges button")];
const form = document.querySelector("#activity-custom");
const { from: fromField, to: toField } = form.elements;
const complaint = form.querySelector("[role=alert]");
const listeners = [];

/** What is chosen: `{name, from, to}`; of a named range the times are null. */
export let range = stored() ?? { name: "15m", from: null, to: null };

/** Call `listener()` after each choice. */
export function onRange(listener) {
  listeners.push(listener);
}

/** Show the span between two times, in ms, as the reader's own choice. */
export function chooseSpan(from, to) {
  choose({ name: "custom", from: Math.round(from), to: Math.round(to) });
}

/** How often the present choice may be asked for anew, in ms; a span that is over never changes. */
export function pace(now) {
  if (range.name !== "custom") return RANGES[range.name].pace;
  return range.to > now ? 30 * SECOND : Infinity;
}

for (const button of buttons) {
  button.addEventListener("click", () => {
    if (button.value === "custom") openForm();
    else choose({ name: button.value, from: null, to: null });
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const from = new Date(fromField.value).getTime();
  const to = new Date(toField.value).getTime();
  complaint.textContent = from < to ? "" : wrong(from, to);
  if (from < to) choose({ name: "custom", from, to });
});

show();

function openForm() {
  const now = Date.now();
  const { span } = RANGES[range.name] ?? {};
  fill(range.from ?? now - span, range.to ?? now);
  form.hidden = !form.hidden;
  show();
  if (!form.hidden) fromField.focus();
}

function choose(chosen) {
  range = chosen;
  form.hidden = range.name !== "custom";
  if (range.name === "custom") fill(range.from, range.to);
  complaint.textContent = "";
  show();
  keep("sessionStorage", KEY, range);
  for (const listener of listeners) listener();
}

function show() {
  const marked = form.hidden ? range.name : "custom"; // one of them, also while the times are being written
  for (const button of buttons) {
    button.setAttribute("aria-pressed", String(button.value === marked));
    if (button.value === "custom") button.setAttribute("aria-expanded", String(!form.hidden));
  }
}

function fill(from, to) {
  fromField.value = fieldText(from);
  toField.value = fieldText(to);
}

/** A time as a datetime-local field has it: of this place, without its zone. */
function fieldText(ms) {
  const time = new Date(ms);
  return new Date(ms - time.getTimezoneOffset() * MINUTE).toISOString().slice(0, 19);
}

function wrong(from, to) {
  if (Number.isNaN(from)) return "Say when it begins.";
  if (Number.isNaN(to)) return "Say when it ends.";
  return "It ends before it begins.";
}

function stored() {
  const { name = "", from = null, to = null } = kept("sessionStorage", KEY) ?? {};
  if (Object.hasOwn(RANGES, name)) return { name, from: null, to: null };
  return name === "custom" && from < to ? { name, from, to } : null;
}
