// The tokens of an agent by model and by phase: bars of the five kinds, as long as their share of the largest.

import { writeCost } from "./agents-row.js";
import { fill, writeText } from "./fields.js";
import { Rows } from "./rows.js";

const KINDS = ["input", "output", "cache-read", "cache-write", "cache-write-1h"];

const grid = document.querySelector("#usage");
const template = document.querySelector("#usage-row");
const models = new Rows(document.querySelector("#models"), template);
const phases = new Rows(document.querySelector("#phases"), template);

/** Show the model calls of an AgentDetail. */
export function showUsage(detail) {
  const isEmpty = Object.keys(detail.models).length === 0;
  grid.hidden = isEmpty;
  showList(models, detail.models, "(no model named)");
  showList(phases, detail.phases, "(no phase named)");
  document.querySelector("#phases").closest(".panel").hidden = Object.keys(detail.phases).length === 0;
}

function showList(rows, usages, nameless) {
  const sorted = Object.entries(usages).sort(([nameA, a], [nameB, b]) => b["total-tokens"] - a["total-tokens"] || (nameA < nameB ? -1 : 1));
  const most = Math.max(1, ...sorted.map(([, usage]) => usage["total-tokens"]));
  rows.show(sorted, ([name]) => name, (row, [name, usage]) => {
    fill(row, usage);
    writeText(row.querySelector("[data-name]"), name || nameless);
    writeCost(row.querySelector("[data-cost]"), usage);
    row.querySelector("[data-seldom]").hidden = usage["cache-write-1h-tokens"] === 0;
    for (const kind of KINDS) row.querySelector(`.stack .${kind}`).style.width = `${(usage[`${kind}-tokens`] / most) * 100}%`;
  });
}
