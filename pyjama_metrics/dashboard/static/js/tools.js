// The table of tools, most executions first. Equal counts keep the order of their names.

import { fill, writeText } from "./fields.js";
import { count } from "./format.js";
import { Rows } from "./rows.js";

const rows = new Rows(document.querySelector("#tools"), document.querySelector("#tool-row"));
const total = document.querySelector("#tools-total");
const none = document.querySelector("#no-tools");

export function showTools(tools) {
  const sorted = Object.entries(tools).sort(byUse);
  rows.show(sorted, ([name]) => name, fillTool);
  total.textContent = sorted.length ? count(sorted.length) : "";
  none.hidden = sorted.length > 0;
}

function fillTool(row, [name, tool]) {
  fill(row, tool);
  writeText(row.querySelector("[data-name]"), name || "(no name)");
  row.toggleAttribute("data-errors", tool.error > 0);
}

function byUse([nameA, toolA], [nameB, toolB]) {
  return toolB.count - toolA.count || (nameA < nameB ? -1 : 1);
}
