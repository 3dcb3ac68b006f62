// What stands above the log: the choice of entries.

import { text } from "./format.js";
import { occurring } from "./log-filter.js";
import { KIND_NAMES } from "./log-words.js";

const LONGEST = 60;

const panel = document.querySelector(".panel.log");
const search = panel.querySelector("input[type=search]");
const selects = Object.fromEntries(["agent", "tool", "kind"].map((name) => [name, panel.querySelector(`select[name=${name}]`)]));
const all = panel.querySelectorAll("button[data-all]");
const listeners = [];

/** The entries that the reader wants to see: `{agent, tool, kind, text}`; "" is any. */
export const choice = { agent: "", tool: "", kind: "", text: "" };

/** Call `listener()` after each change of the choice. */
export function onChoice(listener) {
  listeners.push(listener);
}

/** Whether some entries are kept out of sight. */
export function isFiltered() {
  return Object.values(choice).some((value) => value !== "");
}

/** Offer what occurs in these entries. */
export function showOffers(entries) {
  const found = occurring(entries);
  for (const [name, select] of Object.entries(selects)) offer(select, found[name], choice[name]);
}

search.addEventListener("input", () => choose({ text: search.value }));
search.addEventListener("keydown", (event) => {
  if (event.key === "Escape") choose({ text: "" });
});
for (const [name, select] of Object.entries(selects)) select.addEventListener("change", () => choose({ [name]: select.value }));
for (const button of all) {
  button.addEventListener("click", () => {
    choose({ agent: "", tool: "", kind: "", text: "" });
    search.focus();
  });
}

function choose(changes) {
  Object.assign(choice, changes);
  if (search.value !== choice.text) search.value = choice.text;
  for (const [name, select] of Object.entries(selects)) {
    select.value = choice[name];
    select.toggleAttribute("data-chosen", choice[name] !== "");
  }
  for (const listener of listeners) listener();
}

function offer(select, values, chosen) {
  const offered = chosen === "" || values.includes(chosen) ? values : [...values, chosen];
  const key = JSON.stringify(offered);
  // A list that is open must not change under the reader's pointer.
  if (select.dataset.offered === key || select === document.activeElement) return;
  select.dataset.offered = key;
  const [any] = select.options;
  select.replaceChildren(any, ...offered.map((value) => new Option(nameOf(select, value), value)));
  select.value = chosen;
}

/** A name in a list of choices has no element of its own: marks of Unicode keep its direction to itself. */
function nameOf(select, value) {
  if (select.name === "kind") return KIND_NAMES[value];
  const name = text(value);
  return `\u2068${name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name}\u2069`;
}
