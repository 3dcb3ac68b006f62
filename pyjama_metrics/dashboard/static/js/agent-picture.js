// The drawing of a waterfall: the lanes with their names, the axis of time, a bar per execution.

import { timeTicks } from "./axis.js";
import { writeText } from "./fields.js";
import * as format from "./format.js";
import { px, set, svg } from "./svg.js";
import { extentOf, heightOf, ROW } from "./waterfall.js";

const AXIS = 20; // px of its height
const TICK = 96; // px between two marks of the axis, at least
const BAR = 9;
const ROW_TOP = 3; // px above a bar in its row

const stage = document.querySelector("#waterfall .stage");
const axis = stage.querySelector(".axis");
const names = stage.querySelector(".lanes");

/** The element in which the bars are: what points at them listens here. */
export const bars = stage.querySelector(".bars");

const grid = svg("path", { class: "grid" });
const live = svg("path", { class: "live" });
const span = svg("rect", { class: "span", y: 0, width: 0 });
const group = svg("g");
bars.append(grid, group, live, span);

/**
 * Draw the `lanes` (of `lanesOf`) between `from` and `to`, ms since the epoch. `began` is the time that the axis counts from;
 * the present is marked where `isOpen`; the execution `chosen` is outlined. Nothing is drawn while it has no size.
 */
export function drawPicture({ lanes, from, to, began, isOpen, chosen }) {
  const width = bars.clientWidth;
  if (width === 0) return;
  const height = heightOf(lanes);
  set(bars, { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": words(lanes, to - from) });
  set(span, { height });
  drawNames(lanes, height);
  drawAxis(from, to, began, width, height);
  drawPresent(from, to, isOpen, width, height);
  drawBars(lanes, chosen, from, to, width);
}

/** Mark what the reader is dragging over, from x to x in px; nothing where they are the same. */
export function drawSpan(a, b) {
  set(span, { x: px(Math.min(a, b)), width: px(Math.abs(a - b)) });
}

/** Where a bar's lower left corner is in the stage, px: `{left, top}`, or null when it is out of sight. */
export function cornerOf(lane, bar, from, to) {
  const extent = extentOf(bar.execution, from, to, bars.clientWidth);
  if (!extent) return null;
  const left = bars.getBoundingClientRect().left - stage.getBoundingClientRect().left;
  return { left: left + extent.x, top: AXIS + lane.top + (bar.row + 1) * ROW + 6 };
}

function drawNames(lanes, height) {
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

function drawAxis(from, to, began, width, height) {
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
}

function drawPresent(from, to, isOpen, width, height) {
  const now = px(((Date.now() - from) / (to - from)) * width);
  set(live, { d: isOpen && now >= 0 && now <= width ? `M${now} 0V${height}` : "" });
}

function drawBars(lanes, chosen, from, to, width) {
  let used = 0;
  for (const lane of lanes) {
    for (const { execution, row } of lane.bars) {
      const extent = extentOf(execution, from, to, width);
      if (!extent) continue;
      const path = group.children[used] ?? group.appendChild(svg("path"));
      used += 1;
      const y = lane.top + row * ROW + ROW_TOP;
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

function words(lanes, length) {
  const executions = lanes.flatMap((lane) => lane.bars.map(({ execution }) => execution));
  const missed = executions.filter((each) => each.outcome === "error").length;
  return `${format.many(executions.length, "execution")} of ${format.many(lanes.length, "tool")} over ${format.duration(length)}, ${format.count(missed)} failed`;
}
