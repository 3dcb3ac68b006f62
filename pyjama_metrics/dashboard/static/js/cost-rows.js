// The parts of a cost as rows: dearest first, days in their order, each with a bar of what was reported and what was computed.

import { writeCost } from "./agents-row.js";
import { fill, write, writeText } from "./fields.js";
import { count, percent } from "./format.js";
import { agentHref } from "./route.js";
import { Rows } from "./rows.js";

const FEW = 12;
const PAGE = 100;

const NAMELESS = { agent: "(no name)", model: "(no model told)", phase: "(no phase told)", tool: "(for no tool)", project: "(no project told)", host: "(no host told)" };

const body = document.querySelector("#costs");
const title = document.querySelector(".panel.cost [data-by]");
const more = document.querySelector("#more-costs");
const rows = new Rows(body, document.querySelector("#cost-row"));
const day = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });

let shown = null;
let limit = FEW;

more.addEventListener("click", () => {
  limit += PAGE;
  showRows(shown);
});

/** Show few of what comes next. */
export function showFew() {
  limit = FEW;
}

/** Show the parts of a BreakdownView that cost something or might have. */
export function showRows(breakdown) {
  shown = breakdown;
  const { by, parts, usage } = breakdown;
  write(title, by[0].toUpperCase() + by.slice(1));
  const wanted = by === "day" ? [...parts].reverse() : parts.filter((portion) => portion.usage.requests > 0);
  const room = by === "day" ? Infinity : limit;
  const most = Math.max(1, ...wanted.map((portion) => portion.usage["cost-micros"] ?? 0));
  rows.show(wanted.slice(0, room), (portion) => `${by} ${portion.name}`, (row, portion) => fillPart(row, by, portion, most, usage["cost-micros"]));
  more.hidden = wanted.length <= room;
  more.textContent = `Show ${count(Math.min(PAGE, wanted.length - room))} more`;
}

function fillPart(row, by, portion, most, all) {
  const { usage } = portion;
  fill(row, usage);
  writeName(row.querySelector("[data-name]"), by, portion.name);
  writeCost(row.querySelector("[data-cost]"), usage);
  const [reported, computed] = row.querySelectorAll(".use i");
  reported.style.width = widthOf(usage["reported-micros"], most);
  computed.style.width = widthOf(usage["computed-micros"], most);
  row.querySelector(".use").toggleAttribute("data-unknown", usage.requests > 0 && usage["cost-micros"] === null);
  write(row.querySelector("[data-share]"), shareOf(usage["cost-micros"], all));
}

function widthOf(micros, most) {
  return `${Math.round(((micros ?? 0) / most) * 1000) / 10}%`;
}

function shareOf(micros, all) {
  return micros === null || !all ? "" : percent(micros / all);
}

/** An agent's name leads to its page. */
function writeName(element, by, name) {
  if (by === "day") return writeText(element, day.format(new Date(`${name}T00:00Z`)));
  if (by !== "agent" || name === "") return writeText(element, name || NAMELESS[by]);
  const link = element.querySelector("a") ?? document.createElement("a");
  if (link.parentNode !== element) element.replaceChildren(link);
  link.href = agentHref(name);
  writeText(link, name);
}
