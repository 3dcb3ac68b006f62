// The executions of the chosen run over time: what is shown and what is pointed at. It follows while the run is open, until
// somebody points at an execution or zooms.

import { showExecutions } from "./agent-executions.js";
import { bars, cornerOf, drawPicture, drawSpan } from "./agent-picture.js";
import { hush, speak, standAt, tell } from "./agent-told.js";
import { TimeWindow } from "./agent-window.js";
import * as format from "./format.js";
import { isPlainKey } from "./keys.js";
import { OPEN } from "./statuses.js";
import { barAt, endOf, lanesOf } from "./waterfall.js";

const MOVES = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);
const ZOOMS = { "+": "in", "=": "in", "-": "out", 0: "all" };
const DRAG = 6; // px that a pointer moves before it means a span

const section = document.querySelector("#waterfall");
const stage = section.querySelector(".stage");
const none = section.querySelector("[data-none]");

const shownTime = new TimeWindow();
let run = null; // RunView
let executions = []; // ExecutionViews by start
let lanes = [];
let selected = -1; // place in executions
let grip = null; // x where the pointer went down, px

new ResizeObserver(draw).observe(stage);

/** Show a RunDetail, or null while none is there. */
export function showWaterfall(runDetail) {
  const before = executions[selected] ?? null;
  const isSameRun = run?.id === runDetail?.run.id;
  if (!isSameRun) shownTime.reset();
  run = runDetail?.run ?? null;
  executions = runDetail?.executions ?? [];
  lanes = lanesOf(executions);
  selected = isSameRun && before ? executions.findIndex((each) => isSame(each, before)) : -1;
  if (selected < 0) hush();
  const letGo = runDetail?.["let-go"] ?? 0;
  section.querySelector("[data-count]").textContent = executions.length === 0 ? "" : format.count(executions.length);
  section.querySelector("[data-note]").textContent = letGo > 0 ? noteOf(letGo, runDetail["seen-since"]) : "";
  none.hidden = executions.length > 0 || letGo > 0 || runDetail === null;
  stage.hidden = executions.length === 0;
  showExecutions(executions);
  if (executions.length > 0 && (shownTime.isNew || !isHeld())) shownTime.cover(spanOf(run, executions, letGo));
  draw();
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

function noteOf(letGo, since) {
  const are = letGo === 1 ? "execution is" : "executions are";
  const known = since === null ? "" : ` Single ones are known since ${format.timeOfDay(since)}.`;
  return `${format.count(letGo)} more ${are} counted and not kept one by one.${known}`;
}

function draw() {
  if (executions.length === 0) return;
  const { from, to } = shownTime;
  drawPicture({ lanes, from, to, began: beginning(), isOpen: OPEN.has(run.status), chosen: executions[selected] ?? null });
  if (selected < 0) return;
  const { lane, bar } = find(executions[selected]);
  const corner = cornerOf(lane, bar, from, to);
  if (corner) standAt(corner);
}

/** What the axis counts from. */
function beginning() {
  return run["start-time"] ?? executions[0].start;
}

function find(execution) {
  const lane = lanes.find(({ bars: all }) => all.some((bar) => bar.execution === execution));
  return { lane, bar: lane.bars.find((bar) => bar.execution === execution) };
}

function select(place) {
  selected = place;
  if (place < 0) hush();
  else tell(executions[place], beginning());
  draw();
}

// By keyboard

stage.addEventListener("keydown", (event) => {
  if (!isPlainKey(event)) return;
  if (MOVES.has(event.key)) moveTo(nextTo(selected, event.key));
  else if (Object.hasOwn(ZOOMS, event.key)) zoom(ZOOMS[event.key]);
  else if (event.key === "Escape") select(-1);
  else return;
  event.preventDefault();
});
stage.addEventListener("blur", () => select(-1));

function moveTo(place) {
  shownTime.show(executions[place].start, endOf(executions[place]));
  select(place);
  speak();
}

function nextTo(place, key) {
  if (key === "Home") return 0;
  if (key === "End" || place < 0) return executions.length - 1;
  if (key === "ArrowRight") return Math.min(executions.length - 1, place + 1);
  if (key === "ArrowLeft") return Math.max(0, place - 1);
  const lane = lanes[lanes.indexOf(find(executions[place]).lane) + (key === "ArrowDown" ? 1 : -1)];
  if (!lane) return place;
  const away = (bar) => Math.abs(bar.execution.start - executions[place].start);
  return executions.indexOf(lane.bars.reduce((best, bar) => (away(bar) < away(best) ? bar : best)).execution);
}

// By pointer

bars.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || event.pointerType === "touch") return;
  grip = pointIn(event).x;
  bars.setPointerCapture(event.pointerId);
});
bars.addEventListener("pointermove", (event) => {
  const { x, y } = pointIn(event);
  if (grip !== null) drawSpan(grip, Math.abs(x - grip) > DRAG ? x : grip);
  else pointAt(x, y);
});
bars.addEventListener("pointerup", (event) => {
  const { x } = pointIn(event);
  if (grip !== null && Math.abs(x - grip) > DRAG) shownTime.zoom(timeAt(Math.min(grip, x)), timeAt(Math.max(grip, x)));
  letGoOfSpan();
  draw();
});
bars.addEventListener("pointercancel", letGoOfSpan);
bars.addEventListener("pointerleave", () => {
  if (grip === null && selected >= 0 && document.activeElement !== stage) select(-1);
});
bars.addEventListener("dblclick", () => zoom("all"));

function pointAt(x, y) {
  const bar = barAt(lanes, x, y, shownTime.from, shownTime.to, bars.clientWidth);
  const place = bar ? executions.indexOf(bar.execution) : -1;
  if (place !== selected) select(place);
}

function letGoOfSpan() {
  grip = null;
  drawSpan(0, 0);
}

function pointIn(event) {
  const { left, top } = bars.getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
}

function timeAt(x) {
  const inside = Math.max(0, Math.min(bars.clientWidth, x));
  return shownTime.from + (inside / bars.clientWidth) * (shownTime.to - shownTime.from);
}

// Zoom

section.querySelector(".zoom").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) zoom(button.dataset.zoom);
});

function zoom(kind) {
  if (kind === "all") shownTime.showAll();
  else shownTime.scale(kind === "in" ? 0.5 : 2, executions[selected]?.start ?? null);
  draw();
}

function isSame(executionA, executionB) {
  return executionA.start === executionB.start && executionA.tool === executionB.tool && executionA["duration-ms"] === executionB["duration-ms"];
}
