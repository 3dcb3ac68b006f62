// The steps of a workflow as stations on a line that turns to the next row where the page ends.

import { px, set, shapeOf, svg } from "./svg.js";

const HEIGHT = 76; // px from one row of stations to the next
const NARROWEST = 112; // px from one station to the next, where all can stand in one row
const USUAL = 136; // where they cannot, at least
const WIDEST = 168;
const RADIUS = 11;
const TOP = 14; // px from the top of a row to its line
const LEFT = 14;

const SHAPES = { pending: null, running: "running", completed: "completed", failed: "failed", stopped: "stopped" };

/** Where `count` stations are on a page `width` px wide: `{cell, height, stations: [{x, y}]}`, middle points, `cell` px apart. */
function placeSteps(count, width) {
  const columns = Math.max(1, width >= count * NARROWEST ? count : Math.floor(width / USUAL));
  const cell = Math.min(WIDEST, Math.floor(width / columns));
  const stations = Array.from({ length: count }, (_, place) => ({
    x: (place % columns) * cell + LEFT,
    y: Math.floor(place / columns) * HEIGHT + TOP,
  }));
  return { cell, height: Math.ceil(count / columns) * HEIGHT, stations };
}

/** Draw StepViews into an `<svg>`: per step a station with the shape of its state, and the line between them. */
export function drawSteps(root, steps, width) {
  const places = placeSteps(steps.length, width);
  const { cell, height, stations } = places;
  const lines = steps.slice(1).map((step, place) =>
    svg("path", { class: "link", "data-step": step.status, d: link(stations[place], stations[place + 1], cell, width) }),
  );
  const nodes = steps.map((step, place) => station(step, stations[place]));
  set(root, { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": words(steps) });
  root.replaceChildren(...lines, ...nodes);
  return places;
}

function station(step, { x, y }) {
  const status = step.status in SHAPES ? step.status : "pending";
  const circle = svg("circle", { cx: x, cy: y, r: RADIUS });
  const shape = SHAPES[status] ? [shapeOf(SHAPES[status], x, y, 12)] : [svg("circle", { class: "dot", cx: x, cy: y, r: 2.5 })];
  return svg("g", { class: "station", "data-step": status }, circle, ...shape);
}

function link(from, to, cell, width) {
  if (from.y === to.y) return `M${from.x + RADIUS} ${from.y}H${to.x - RADIUS}`;
  // Round the end of the row, back between the two rows, and down to the first station of the next one.
  const end = Math.min(width - 2, from.x + cell - 24);
  const between = to.y - RADIUS - 12;
  const bend = 6;
  return [
    `M${px(from.x + RADIUS)} ${from.y}H${px(end - bend)}q${bend} 0 ${bend} ${bend}`,
    `V${between - bend}q0 ${bend} ${-bend} ${bend}H${to.x + bend}q${-bend} 0 ${-bend} ${bend}V${to.y - RADIUS}`,
  ].join("");
}

function words(steps) {
  const done = steps.filter((step) => step.status === "completed").length;
  const failed = steps.filter((step) => step.status === "failed").length;
  const current = steps.filter((step) => step.status === "running").length;
  const parts = [`${done} of ${steps.length} steps done`];
  if (current > 0) parts.push(`${current} running`);
  if (failed > 0) parts.push(`${failed} failed`);
  return `Workflow: ${parts.join(", ")}`;
}
