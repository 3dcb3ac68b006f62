// The cost of days as bars: what was reported below, what was computed on it; a day of which nothing is known is hatched.

import { writeCost } from "./agents-row.js";
import { costParts } from "./cost-words.js";
import { fill } from "./fields.js";
import { count, many, money } from "./format.js";
import { Rows } from "./rows.js";

const chart = document.querySelector("#past-days");
const ends = document.querySelector("#agent-past .past-ends").children;
const details = document.querySelector("#agent-past .spending details");
const rows = new Rows(details.querySelector("tbody"), document.querySelector("#past-day-row"));
const day = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });

/** Draw a BreakdownView by day; `words` says it to those who do not see it. */
export function drawDays({ parts }, words) {
  chart.setAttribute("aria-label", words);
  const most = Math.max(1, ...parts.map((portion) => portion.usage["cost-micros"] ?? 0));
  chart.replaceChildren(...parts.map((portion) => bar(portion, most)));
  ends[0].textContent = nameOf(parts[0]);
  ends[1].textContent = nameOf(parts.at(-1));
  const wanted = parts.filter((portion) => portion.usage.requests + portion.executions.count > 0).reverse();
  rows.show(wanted, (portion) => portion.name, (row, portion) => {
    fill(row, portion.usage);
    row.cells[0].textContent = nameOf(portion);
    row.cells[1].textContent = count(portion.executions.count);
    writeCost(row.querySelector("[data-cost]"), portion.usage);
  });
}

function bar(portion, most) {
  const { usage } = portion;
  const place = document.createElement("span");
  const cost = usage["cost-micros"] === null ? (usage.requests > 0 ? "unpriced" : "no model calls") : money(usage["cost-micros"]);
  place.title = `${nameOf(portion)}: ${cost}${usage.requests > 0 ? ` for ${many(usage.requests, "call")}: ${costParts(usage)}` : ""}`;
  if (usage["unpriced-requests"] > 0) place.append(piece("unpriced"));
  for (const kind of ["computed", "reported"]) {
    const micros = usage[`${kind}-micros`] ?? 0;
    if (micros === 0) continue;
    const element = piece(kind);
    element.style.height = `max(1px, ${(micros / most) * 86}%)`;
    place.append(element);
  }
  return place;
}

function piece(kind) {
  const element = document.createElement("i");
  element.className = kind;
  return element;
}

function nameOf(portion) {
  return day.format(new Date(`${portion.name}T00:00Z`));
}
