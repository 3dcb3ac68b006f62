// What stands above and in the head of the table of agents: search, filters, sorting, table or tree.

import { choice, chooseAll, choose, isFiltered, onChoice } from "./agents-choice.js";
import { occurring } from "./agents-filter.js";
import { byName, byStatus } from "./agents-order.js";
import * as format from "./format.js";
import { isCommand } from "./keys.js";

const panel = document.querySelector(".panel.agents");
const search = panel.querySelector("input[type=search]");
const hides = panel.querySelector("input[type=checkbox]");
const sorts = panel.querySelector("select[name=sort]");
const heads = [...panel.querySelectorAll("th[data-sort]")];
const shapes = [...panel.querySelectorAll("button[data-shape]")];
const all = [...panel.querySelectorAll("button[data-all]")];
const total = document.querySelector("#agents-total");
const none = document.querySelector("#no-agents");

// A select per field: what it offers when nothing is chosen, and the order of its values.
const FILTERS = [
  { field: "status", any: "Any status", before: byStatus },
  { field: "source", any: "Any source", before: byName },
  { field: "host", any: "Any host", before: byName },
].map((filter) => ({ ...filter, select: panel.querySelector(`select[name=${filter.field}]`) }));

search.addEventListener("input", () => choose({ search: search.value }));
search.addEventListener("keydown", (event) => {
  if (event.key === "Escape") choose({ search: "" });
});
hides.addEventListener("change", () => choose({ hidesFinished: hides.checked }));
sorts.addEventListener("change", () => choose({ sort: sorts.value, isDown: isDownAtFirst(sorts.value) }));
for (const { field, select } of FILTERS) select.addEventListener("change", () => choose({ [field]: select.value }));
for (const shape of shapes) shape.addEventListener("click", () => choose({ isTree: shape.dataset.shape === "tree" }));
for (const button of all) button.addEventListener("click", showAll);
for (const head of heads) head.querySelector("button").addEventListener("click", () => sortBy(head.dataset.sort));

document.addEventListener("keydown", (event) => {
  if (!isCommand(event, "/") || panel.offsetParent === null) return;
  event.preventDefault();
  search.focus();
  search.select();
});

document.addEventListener("filter-agents", (event) => {
  choose({ status: event.detail?.status ?? "" });
  panel.scrollIntoView({ block: "nearest" });
});

onChoice(showChoice);
showChoice();

/** Offer the values that occur in these AgentViews, and say how many of them are shown. */
export function showOffers(agents, matches) {
  for (const filter of FILTERS) offer(filter, occurring(agents, filter.field, filter.before));
  total.textContent = matches === agents.length ? format.count(matches) : `${format.count(matches)} of ${format.count(agents.length)}`;
  none.hidden = matches > 0 || agents.length === 0;
}

function showChoice() {
  if (search.value !== choice.search) search.value = choice.search;
  hides.checked = choice.hidesFinished;
  sorts.value = choice.sort;
  for (const { field, select } of FILTERS) {
    select.value = choice[field];
    select.toggleAttribute("data-chosen", choice[field] !== "");
  }
  for (const shape of shapes) shape.setAttribute("aria-pressed", String(choice.isTree === (shape.dataset.shape === "tree")));
  for (const head of heads) showSort(head);
  for (const button of all) if (!button.closest("#no-agents")) button.hidden = !isFiltered();
}

function showSort(head) {
  if (head.dataset.sort !== choice.sort) head.removeAttribute("aria-sort");
  else head.setAttribute("aria-sort", choice.isDown ? "descending" : "ascending");
}

function sortBy(sort) {
  if (choice.sort !== sort) choose({ sort, isDown: isDownAtFirst(sort) });
  else choose({ isDown: !choice.isDown });
}

/** Of a figure the highest is asked for first, of a word the first. */
function isDownAtFirst(sort) {
  return sort !== "name" && sort !== "status" && sort !== "success-rate";
}

function showAll() {
  chooseAll();
  search.focus();
}

function offer({ field, any, select }, values) {
  const chosen = choice[field];
  const isOffered = chosen === "" || values.some(([value]) => value === chosen);
  const offers = [["", any], ...values.map(([value, count]) => [value, `${format.text(value)} ${format.count(count)}`])];
  if (!isOffered) offers.push([chosen, `${format.text(chosen)} 0`]);
  select.hidden = field !== "status" && values.length < 2 && chosen === "";
  const key = JSON.stringify(offers);
  // A list that is open must not change under the reader's pointer.
  if (select.dataset.offers === key || select === document.activeElement) return;
  select.dataset.offers = key;
  select.replaceChildren(...offers.map(([value, words]) => new Option(words, value)));
  select.value = chosen;
}
