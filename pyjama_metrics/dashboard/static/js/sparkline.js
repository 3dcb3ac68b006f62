// The last five minutes of an agent as bars: upwards what was executed, below the line what of it failed.

import { many } from "./format.js";
import { set, svg } from "./svg.js";

const SLOTS = 30;
const BAR = 3; // px from bar to bar, one of them empty
const BASE = 16; // px from the top to the line
const DEEPEST = 5; // px below it
const PER_DOUBLING = 3;

const WIDTH = SLOTS * BAR;
const HEIGHT = BASE + DEEPEST;

/** An empty sparkline. */
export function makeSpark() {
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, preserveAspectRatio: "none", role: "img" },
    svg("path", { class: "executed" }),
    svg("path", { class: "missed" }),
  );
}

/**
 * Draw a SparkView (or null) as it is at `now`, ms. Its slots do not move with time, so they are shifted here. Returns
 * whether something differs from what was drawn before.
 */
export function drawSpark(spark, recent, now) {
  const shift = recent ? Math.max(0, Math.floor((now - recent.until) / recent.step) + 1) : SLOTS;
  const known = recent && shift < SLOTS ? recent : null;
  const key = known ? `${shift} ${known.executions} ${known.error}` : "";
  if (spark.dataset.drawn === key) return false;
  spark.dataset.drawn = key;
  const { executed, missed } = paths(known, shift);
  set(spark.children[0], { d: executed });
  set(spark.children[1], { d: missed });
  set(spark, { "aria-label": words(known, shift) });
  return true;
}

/** The bars as paths. Heights grow with the logarithm, the same in each row: rows can be compared, and nothing rescales. */
function paths(recent, shift) {
  let executed = "";
  let missed = "";
  for (const { x, executions, error } of bars(recent, shift)) {
    if (executions > 0) executed += `M${x} ${BASE}V${BASE - height(executions)}h2V${BASE}z`;
    if (error > 0) missed += `M${x} ${BASE}v${Math.min(DEEPEST, 1 + height(error))}h2V${BASE}z`;
  }
  return { executed, missed };
}

function bars(recent, shift) {
  if (!recent) return [];
  const first = SLOTS - shift - recent.executions.length;
  const all = recent.executions.map((executions, place) => ({ x: (first + place) * BAR, executions, error: recent.error[place] }));
  return all.filter(({ x }) => x >= 0 && x < WIDTH);
}

function height(count) {
  return Math.round(Math.min(BASE, 1 + PER_DOUBLING * Math.log2(count + 1)) * 10) / 10;
}

function words(recent, shift) {
  const seen = bars(recent, shift);
  const executions = seen.reduce((sum, bar) => sum + bar.executions, 0);
  const error = seen.reduce((sum, bar) => sum + bar.error, 0);
  return executions === 0 ? "no execution in the last 5 minutes" : `${many(executions, "execution")} in the last 5 minutes, ${error} failed`;
}
