// The panel of tools: how much each is used, how often it fails, how long it takes.

import { fill, write, writeText } from "./fields.js";
import { count, percent } from "./format.js";
import { Rows } from "./rows.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";
import { ToolOrder } from "./tools-order.js";

const PAGE = 100;
const FEW = 12; // tools that are found without a search
const EVERYTHING = { all: true, tools: new Set() };
const NOTHING = { all: false, tools: new Set() };

const panel = document.querySelector(".panel.tools");
const body = document.querySelector("#tools");
const rows = new Rows(body, document.querySelector("#tool-row"));
const total = document.querySelector("#tools-total");
const none = document.querySelector("#no-tools");
const nonesuch = document.querySelector("#no-such-tool");
const more = document.querySelector("#more-tools");
const search = panel.querySelector("input[type=search]");
const switches = [...panel.querySelectorAll(".switch button")];
const order = new ToolOrder();

let by = "used";
let limit = PAGE;
let isPointedAt = false;
let isStale = false; // figures changed after the last look at the order

onFrame(show);
onTick(() => {
  if (isStale) show(NOTHING);
});

body.addEventListener("pointerenter", (event) => {
  isPointedAt = event.pointerType === "mouse";
});
body.addEventListener("pointerleave", () => {
  isPointedAt = false;
});
search.addEventListener("input", () => show(EVERYTHING));
search.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || search.value === "") return;
  search.value = "";
  show(EVERYTHING);
});
more.addEventListener("click", () => {
  limit += PAGE;
  show(EVERYTHING);
});
for (const button of switches) {
  button.addEventListener("click", () => {
    by = button.value;
    showOrder();
    show(EVERYTHING);
  });
}
showOrder();

function show(change) {
  if (!data()) return;
  const { tools } = data().metrics;
  isStale ||= change.all || change.tools.size > 0;
  const isHeld = isPointedAt || body.contains(document.activeElement);
  const names = order.update(tools, by, isHeld, Date.now());
  if (order.isFresh) isStale = false;
  const wanted = search.value.trim().toLowerCase();
  const matching = wanted === "" ? names : names.filter((name) => name.toLowerCase().includes(wanted));
  const scale = scaleOf(tools);
  rows.show(matching.slice(0, limit), (name) => name, (row, name) => {
    if (change.all || change.tools.has(name) || !row.dataset.filled) fillTool(row, name, tools[name]);
    drawUse(row, tools[name], scale);
  });
  showRest(names.length, matching.length, wanted);
}

function fillTool(row, name, tool) {
  fill(row, tool);
  writeText(row.querySelector("[data-name]"), name || "(no name)");
  row.toggleAttribute("data-errors", tool.error > 0);
  row.dataset.filled = "";
}

/** The bar of the most used tool is as long as there is room; what failed is the end of it. */
function drawUse(row, tool, { most, all }) {
  const [use, missed] = row.querySelectorAll(".use i");
  setWidth(use, most > 0 ? tool.success / most : 0);
  setWidth(missed, most > 0 ? tool.error / most : 0);
  write(row.querySelector("[data-share]"), all > 0 ? percent(tool.count / all) : "");
}

function setWidth(element, share) {
  const width = `${Math.round(share * 1000) / 10}%`;
  if (element.style.width !== width) element.style.width = width;
}

function scaleOf(tools) {
  const counts = Object.values(tools).map((tool) => tool.count);
  return { most: counts.reduce((most, each) => Math.max(most, each), 0), all: counts.reduce((sum, each) => sum + each, 0) };
}

function showRest(all, matches, wanted) {
  write(total, wanted === "" ? (all ? count(all) : "") : `${count(matches)} of ${count(all)}`);
  search.hidden = all <= FEW && wanted === "";
  none.hidden = all > 0;
  nonesuch.hidden = matches > 0 || all === 0;
  const hidden = Math.max(0, matches - limit);
  more.hidden = hidden === 0;
  more.textContent = `Show ${count(Math.min(PAGE, hidden))} more`;
}

function showOrder() {
  for (const button of switches) button.setAttribute("aria-pressed", String(button.value === by));
  for (const head of panel.querySelectorAll("th[data-order]")) {
    if (head.dataset.order === by) head.setAttribute("aria-sort", by === "failing" ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  }
}
