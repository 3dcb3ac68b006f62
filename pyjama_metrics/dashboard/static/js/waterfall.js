// The executions of a run over time: a lane per tool, a bar per execution. Only where things are; `agent-waterfall.js`
// shows it.

export const ROW = 14; // px from one row of bars to the next
const LANE_GAP = 8;
const MOST_ROWS = 4; // of one lane: what runs at the same time stands below each other, up to this many
const MOST_LANES = 60;
const LEAST_WIDTH = 2;

/** The end of an ExecutionView in ms since the epoch. */
export function endOf(execution) {
  return execution.start + (execution["duration-ms"] ?? 0);
}

/**
 * The lanes of ExecutionViews that are sorted by start: `[{name, top, rows, bars: [{execution, row}]}]`, in the order in
 * which tools were first used, `top` in px. Tools beyond the first 60 share the last lane, whose name is null.
 */
export function lanesOf(executions) {
  const byName = new Map();
  for (const execution of executions) {
    const isNew = !byName.has(execution.tool);
    const name = isNew && byName.size >= MOST_LANES - 1 ? null : execution.tool;
    if (!byName.has(name)) byName.set(name, { name, ends: [], bars: [] });
    const lane = byName.get(name);
    lane.bars.push({ execution, row: rowFor(execution, lane.ends) });
  }
  let top = 0;
  return [...byName.values()].map(({ name, ends, bars }) => {
    const lane = { name, top, rows: ends.length, bars };
    top += ends.length * ROW + LANE_GAP;
    return lane;
  });
}

/** The height of all lanes, px. */
export function heightOf(lanes) {
  const last = lanes.at(-1);
  return last ? last.top + last.rows * ROW + LANE_GAP : 0;
}

/** Where a bar is between `from` and `to` (ms) on `width` px: `{x, width}`, or null when it is outside. */
export function extentOf(execution, from, to, width) {
  const scale = width / (to - from);
  const x = (execution.start - from) * scale;
  const end = (endOf(execution) - from) * scale;
  if (end < -LEAST_WIDTH || x > width) return null;
  const left = Math.max(-4, x);
  return { x: Math.min(left, width - LEAST_WIDTH), width: Math.max(LEAST_WIDTH, Math.min(end, width + 4) - left) };
}

/** The bar that is nearest to a point, at most `reach` px away, or null. */
export function barAt(lanes, x, y, from, to, width, reach = 5) {
  const lane = lanes.find((each) => y >= each.top && y < each.top + each.rows * ROW + LANE_GAP);
  if (!lane) return null;
  const row = Math.min(lane.rows - 1, Math.floor((y - lane.top) / ROW));
  let best = null;
  let nearest = reach;
  for (const bar of lane.bars) {
    if (bar.row !== row) continue;
    const extent = extentOf(bar.execution, from, to, width);
    if (!extent) continue;
    const away = Math.max(extent.x - x, x - extent.x - extent.width, 0);
    if (away <= nearest) [best, nearest] = [bar, away];
  }
  return best;
}

function rowFor(execution, ends) {
  const free = ends.findIndex((end) => end <= execution.start);
  const row = free >= 0 ? free : Math.min(ends.length, MOST_ROWS - 1);
  ends[row] = Math.max(ends[row] ?? 0, endOf(execution));
  return row;
}
