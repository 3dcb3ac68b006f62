// The executions of the chosen run as a table, made when somebody opens it; the newest first.

import { SHAPES } from "./agent-told.js";
import { fill, showState } from "./fields.js";

const table = document.querySelector("#waterfall details");
const body = table.querySelector("tbody");
const template = document.querySelector("#execution-row").content.firstElementChild;

let executions = [];
table.addEventListener("toggle", show);

/** Show these ExecutionViews, which are sorted by start. */
export function showExecutions(wanted) {
  executions = wanted;
  table.hidden = executions.length === 0;
  show();
}

function show() {
  if (table.open) body.replaceChildren(...executions.map(rowOf).reverse());
}

function rowOf(execution) {
  const row = template.cloneNode(true);
  fill(row, execution);
  showState(row, SHAPES[execution.outcome] ?? "unknown");
  return row;
}
