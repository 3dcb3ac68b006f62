// The executions of the chosen run over time, drawn: follows while the run is open, until somebody zooms.

import { offset, timeTicks } from "./axis.js";
import { fill, showState, writeText } from "./fields.js";
import * as format from "./format.js";
import { px, set, svg } from "./svg.js";
import { TimeWindow } from "./agent-window.js";
import { barAt, endOf, extentOf, heightOf, lanesOf } from "./waterfall.js";

const OPEN = new Set(["running", "waiting"]);
const SHAPES = { success: "completed", error: "failed", interrupted: "stopped" };
const AXIS = 20; // px of its height
const TICK = 96; // px between two marks of the axis, at least
const BAR = 9;
const ROW_TOP = 3; // px above a bar in its row
const DRAG = 6; // px that a pointer moves before it means a span

const section = document.querySelector("#waterfall");
const stage = section.querySelector(".stage");
const axis = stage.querySelector(".axis");
const bars = stage.querySelector(".bars");
const names = stage.querySelector(".lanes");
const tip = stage.querySelector(".told");
const spoken = section.querySelector("[data-spoken]");
const table = section.querySelector("details");
const template = section.querySelector("#execution-row");

const grid = svg("path", { class: "grid" });
const live = svg("path", { class: "live" });
const span = svg("rect", { class: "span", y: 0, width: 0 });
const group = svg("g");
bars.append(grid, group, live, span);

const shownTime = new TimeWindow();
let run = null; // RunView
let executions = []; // ExecutionViews by start
let lanes = [];
let selected = -1; // place in executions
let grip = null; // x where the pointer went down, px

new ResizeObserver(draw).observe(stage);

/** Show a RunDetail, or null while none is there. */
export function showWaterfall(detail) {
  const before = executions[selected];
  if (run?.id !== detail?.run.id) {
    shownTime.reset();
    hideTip();
  }
  run = detail?.run ?? null;
  executions = detail?.executions ?? [];
  lanes = lanesOf(executions);
  selected = before ? executions.findIndex((each) => isSame(each, before)) : -1;
  const letGo = detail?.["let-go"] ?? 0;
  section.querySelector("[data-count]").textContent = executions.length === 0 ? "" : format.count(executions.length);
  section.querySelector("[data-note]").textContent = detail ? noteOf(detail, letGo) : "";
  const none = section.querySelector("[data-none]");
  none.hidden = executions.length > 0 || detail === null;
  none.textContent = letGo > 0 ? "" : "This run has not executed a tool yet.";
  stage.hidden = executions.length === 0;
  table.hidden = executions.length === 0;
  if (run && executions.length > 0 && (shownTime.isNew || !isHeld())) shownTime.cover(spanOf(run, executions, letGo));
  draw();
  if (table.open) fillTable();
}

/** Let the open run grow to the present. */
export function tickWaterfall(now) {
  if (!run || !OPEN.has(run.status) || executions.length === 0) return;
  if (!isHeld()) shownTime.reach(now);
  draw();
}

/** Whether somebody looks at an execution, or is about to zoom: then it stays where it is. */
function isHeld() {
  return selected >= 0 || grip !== null;
}

function spanOf({ status, "start-time": start, "end-time": end }, all, letGo) {
  const first = letGo > 0 || start === null ? all[0].start : Math.min(start, all[0].start);
  const last = all.reduce((latest, each) => Math.max(latest, endOf(each)), first);
  return { from: first, to: OPEN.has(status) ? Math.max(last, Date.now()) : Math.max(last, end ?? last), isOpen: OPEN.has(status) };
}

function noteOf(detail, letGo) {
  if (letGo === 0) return "";
  const are = letGo === 1 ? "execution is" : "executions are";
  const since = detail["seen-since"];
  const known = since === null ? "" : ` Single ones are known since ${format.timeOfDay(since)}.`;
  return `${format.count(letGo)} more ${are} counted and not kept one by one.${known}`;
}

// Drawing

function draw() {
  const width = bars.clientWidth;
  if (width === 0 || executions.length === 0) return;
  const { from, to } = shownTime;
  const height = heightOf(lanes);
  set(bars, { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": words() });
  set(span, { height });
  drawNames(height);
  drawAxis(from, to, width, height);
  drawBars(from, to, width);
  if (selected >= 0 && !tip.hidden) placeTip();
}

function drawNames(height) {
  names.style.height = `${height}px`;
  while (names.children.length > lanes.length) names.lastElementChild.remove();
  while (names.children.length < lanes.length) names.append(nameItem());
  lanes.forEach((lane, place) => {
    const item = names.children[place];
    item.style.top = `${lane.top}px`;
    writeText(item.firstElementChild, lane.name ?? "other tools");
    const missed = lane.bars.filter(({ execution }) => execution.outcome === "error").length;
    item.lastElementChild.textContent = missed > 0 ? `${format.count(lane.bars.length)}, ${format.count(missed)} failed` : format.count(lane.bars.length);
    item.toggleAttribute("data-missed", missed > 0);
  });
}

function nameItem() {
  const item = document.createElement("li");
  item.append(document.createElement("bdi"), document.createElement("span"));
  return item;
}

function drawAxis(from, to, width, height) {
  const began = run["start-time"] ?? from;
  const ticks = timeTicks(from - began, to - began, width / TICK).map(({ at, text }) => ({ x: px(((at + began - from) / (to - from)) * width), text }));
  set(axis, { viewBox: `0 0 ${width} ${AXIS}`, height: AXIS });
  while (axis.children.length > ticks.length) axis.lastElementChild.remove();
  while (axis.children.length < ticks.length) axis.append(svg("text", { y: 13 }));
  ticks.forEach(({ x, text }, place) => {
    const label = axis.children[place];
    const isLast = x > width - 40;
    set(label, { x: isLast ? x - 4 : x + 4, "text-anchor": isLast ? "end" : "start" });
    if (label.textContent !== text) label.textContent = text;
  });
  set(grid, { d: ticks.map(({ x }) => `M${x} 0V${height}`).join("") });
  const now = px(((Date.now() - from) / (to - from)) * width);
  set(live, { d: OPEN.has(run.status) && now >= 0 && now <= width ? `M${now} 0V${height}` : "" });
}

function drawBars(from, to, width) {
  let used = 0;
  const chosen = executions[selected];
  for (const lane of lanes) {
    for (const { execution, row } of lane.bars) {
      const extent = extentOf(execution, from, to, width);
      if (!extent) continue;
      const path = group.children[used] ?? group.appendChild(svg("path"));
      used += 1;
      const y = lane.top + row * 14 + ROW_TOP;
      set(path, { d: shapeOf(execution.outcome, px(extent.x), y, px(extent.width)), class: execution === chosen ? `${execution.outcome} chosen` : execution.outcome });
    }
  }
  while (group.children.length > used) group.lastElementChild.remove();
}

/** A bar; one that failed has a point hanging from its beginning, so that it is told apart without its colour. */
function shapeOf(outcome, x, y, width) {
  const bar = `M${x} ${y}h${width}v${BAR}h${-width}z`;
  return outcome === "error" ? `${bar}M${x - 3} ${y - 3}h6l-3 5z` : bar;
}

function words() {
  const missed = executions.filter((each) => each.outcome === "error").length;
  return `${format.count(executions.length)} executions of ${format.count(lanes.length)} tools over ${format.duration(shownTime.to - shownTime.from)}, ${format.count(missed)} failed`;
}

// What is pointed at

function select(place, isSpoken) {
  selected = place;
  if (place < 0) hideTip();
  else showTip(executions[place]);
  if (isSpoken && place >= 0) spoken.textContent = [...tip.querySelectorAll("[data-tip]")].map((each) => each.textContent).join(", ");
  draw();
}

function showTip(execution) {
  showState(tip, SHAPES[execution.outcome] ?? "unknown");
  writeText(tip.querySelector("[data-tip=tool]"), execution.tool || "(no name)");
  const began = execution.start - (run["start-time"] ?? execution.start);
  tip.querySelector("[data-tip=times]").textContent =
    `${format.text(execution.status)} · ${format.duration(execution["duration-ms"])} · at ${offset(began, 1)} (${format.timeOfDay(execution.start)})`;
  const error = tip.querySelector("[data-tip=error]");
  error.hidden = !execution.error;
  error.firstElementChild.textContent = format.text(execution.error);
  tip.hidden = false;
}

function hideTip() {
  selected = -1;
  tip.hidden = true;
}

function placeTip() {
  const execution = executions[selected];
  const lane = lanes.find((each) => each.bars.some((bar) => bar.execution === execution));
  const bar = lane.bars.find((each) => each.execution === execution);
  const extent = extentOf(execution, shownTime.from, shownTime.to, bars.clientWidth);
  if (!extent) return;
  const left = bars.getBoundingClientRect().left - stage.getBoundingClientRect().left + extent.x;
  const most = stage.clientWidth - tip.offsetWidth - 4;
  tip.style.left = `${Math.max(4, Math.min(left, most))}px`;
  tip.style.top = `${AXIS + lane.top + bar.row * 14 + 20}px`;
}

function nextTo(place, key) {
  if (key === "Home") return 0;
  if (key === "End" || place < 0) return executions.length - 1;
  if (key === "ArrowRight") return Math.min(executions.length - 1, place + 1);
  if (key === "ArrowLeft") return Math.max(0, place - 1);
  const here = lanes.findIndex((lane) => lane.bars.some((bar) => bar.execution === executions[place]));
  const lane = lanes[here + (key === "ArrowDown" ? 1 : -1)];
  if (!lane) return place;
  const away = (bar) => Math.abs(bar.execution.start - executions[place].start);
  const nearest = lane.bars.reduce((best, bar) => (away(bar) < away(best) ? bar : best));
  return executions.indexOf(nearest.execution);
}

stage.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const moves = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
  if (moves.includes(event.key)) {
    const place = nextTo(selected, event.key);
    shownTime.show(executions[place].start, endOf(executions[place]));
    select(place, true);
  } else if (event.key === "+" || event.key === "=") zoom("in");
  else if (event.key === "-") zoom("out");
  else if (event.key === "0") zoom("all");
  else if (event.key === "Escape") select(-1, false);
  else return;
  event.preventDefault();
});

stage.addEventListener("blur", () => select(-1, false));

bars.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || event.pointerType === "touch") return;
  grip = event.offsetX;
  bars.setPointerCapture(event.pointerId);
});
bars.addEventListener("pointermove", (event) => {
  const { x, y } = pointIn(event);
  if (grip !== null) return drawSpan(grip, x);
  const bar = barAt(lanes, x, y, shownTime.from, shownTime.to, bars.clientWidth);
  const place = bar ? executions.indexOf(bar.execution) : -1;
  if (place !== selected) select(place, false);
});
bars.addEventListener("pointerup", (event) => {
  const { x } = pointIn(event);
  if (grip !== null && Math.abs(x - grip) > DRAG) {
    const [left, right] = [grip, x].sort((a, b) => a - b).map((each) => Math.max(0, Math.min(bars.clientWidth, each)));
    shownTime.zoom(timeAt(left), timeAt(right));
  }
  endSpan();
  draw();
});
bars.addEventListener("pointercancel", endSpan);
bars.addEventListener("pointerleave", () => {
  if (grip === null && selected >= 0 && document.activeElement !== stage) select(-1, false);
});
bars.addEventListener("dblclick", () => zoom("all"));

section.querySelector(".zoom").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) zoom(button.dataset.zoom);
});
table.addEventListener("toggle", fillTable);

function zoom(kind) {
  if (kind === "all") shownTime.showAll();
  else shownTime.scale(kind === "in" ? 0.5 : 2, executions[selected]?.start ?? null);
  draw();
}

function drawSpan(a, b) {
  const isSpan = Math.abs(a - b) > DRAG;
  set(span, { x: px(Math.min(a, b)), width: isSpan ? px(Math.abs(a - b)) : 0 });
}

function endSpan() {
  grip = null;
  set(span, { width: 0 });
}

function pointIn(event) {
  const box = bars.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function timeAt(x) {
  return shownTime.from + (x / bars.clientWidth) * (shownTime.to - shownTime.from);
}

// The same as a table, made when somebody opens it

function fillTable() {
  if (!table.open) return;
  const rows = executions.toReversed().map((execution) => {
    const row = template.content.firstElementChild.cloneNode(true);
    fill(row, execution);
    showState(row, SHAPES[execution.outcome] ?? "unknown");
    return row;
  });
  table.querySelector("tbody").replaceChildren(...rows);
}

function isSame(executionA, executionB) {
  return executionA.start === executionB.start && executionA.tool === executionB.tool && executionA["duration-ms"] === executionB["duration-ms"];
}
