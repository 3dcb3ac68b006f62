// The tools of an agent, with the distribution of their durations over one axis for all of them.

import { markFailures } from "./agents-row.js";
import { logTicks } from "./axis.js";
import { fill, writeText } from "./fields.js";
import * as format from "./format.js";
import { drawHistogram, place, sharedSpan } from "./histogram.js";
import { Rows } from "./rows.js";
import { px, set, svg } from "./svg.js";

const LEAST_TICK = 56; // px between two marks of the axis

const body = document.querySelector("#agent-tools");
const rows = new Rows(body, document.querySelector("#agent-tool-row"));
const total = document.querySelector("#agent-tools-total");
const none = document.querySelector("#no-agent-tools");
const axis = document.querySelector("#latency-axis");

let tools = [];
new ResizeObserver(draw).observe(axis.closest("table"));

/** Show the tools of an AgentDetail. */
export function showTools(detail) {
  tools = Object.entries(detail.tools).sort(byUse);
  total.textContent = tools.length > 0 ? format.count(tools.length) : "";
  none.hidden = tools.length > 0;
  draw();
}

function draw() {
  rows.show(tools, ([name]) => name, (row, [name, agentTool]) => fillTool(row, name, agentTool));
  const drawings = [...body.querySelectorAll(".histogram")];
  const width = Math.floor(drawings[0]?.getBoundingClientRect().width ?? 0);
  if (width === 0) return; // out of sight; it is drawn when it has a size
  const span = sharedSpan(tools.map(([, agentTool]) => agentTool.histogram));
  drawAxis(span, width);
  tools.forEach(([, agentTool], number) => drawDurations(drawings[number], agentTool, span, width));
}

function fillTool(row, name, agentTool) {
  fill(row, agentTool);
  writeText(row.querySelector("[data-name]"), name || "(no name)");
  markFailures(row, agentTool.error, agentTool.count);
}

function drawDurations(drawing, agentTool, span, width) {
  const marks = ["p50", "p95", "p99"].map((kind) => ({ kind, ms: agentTool[`${kind}-ms`] }));
  const drawn = JSON.stringify([agentTool.histogram, marks, span, width]);
  if (drawing.dataset.drawn === drawn) return;
  drawing.dataset.drawn = drawn;
  drawHistogram(drawing, agentTool.histogram, marks, span, width, words(agentTool));
}

function words(agentTool) {
  if (agentTool.histogram.length === 0) return "no measured duration";
  return `durations from ${format.duration(agentTool["min-ms"])} to ${format.duration(agentTool["max-ms"])}, half of them up to ${format.duration(agentTool["p50-ms"])}`;
}

function drawAxis(span, width) {
  const marks = logTicks(span.from, span.to).map(({ at, text }) => ({ x: px(place(at, span, width)), text }));
  const every = Math.max(1, Math.ceil(LEAST_TICK / (marks[1].x - marks[0].x)));
  set(axis, { viewBox: `0 0 ${width} 16`, height: 16 });
  axis.replaceChildren(...marks.filter((_, number) => number % every === 0).map(({ x, text }) => label(x, text, width)));
}

function label(x, text, width) {
  const anchor = x < 20 ? "start" : x > width - 20 ? "end" : "middle";
  return svg("text", { x, y: 12, "text-anchor": anchor }, text);
}

function byUse([nameA, toolA], [nameB, toolB]) {
  return toolB.count - toolA.count || (nameA < nameB ? -1 : 1);
}
