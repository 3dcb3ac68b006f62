// What the history knows of an agent, also of one that has left the live figures: what its days cost, and its runs.

import { costParts } from "./cost-words.js";
import { writeCost } from "./agents-row.js";
import { spanOf, timeZone } from "./cost-days.js";
import { fill, write } from "./fields.js";
import { money, many } from "./format.js";
import { loadStyles } from "./loading.js";
import { drawDays } from "./past-days.js";
import { closeRun, forgetRuns, showPastRuns } from "./past-runs.js";
import { askPast } from "./past-source.js";
import { data } from "./store.js";
import { onTick } from "./ticks.js";

await loadStyles("../cost.css");

const FOLLOWED = 30_000; // ms between two questions
const AGAIN = 5000; // ms after a failure
const FEW = 50; // runs that are asked for first
const MOST = 1000;

const section = document.querySelector("#agent-past");
const grid = section.querySelector(".past-grid");
const note = document.querySelector("#past-note");
const more = document.querySelector("#more-past-runs");
const sum = section.querySelector(".sum");

let id = null;
let limit = FEW;
let asked = { at: -Infinity, version: null, request: null, isFailed: false };

onTick((now) => {
  if (id === null || !data()) return;
  const since = now - asked.at;
  if (asked.isFailed ? since >= AGAIN : since >= FOLLOWED && asked.version !== data().hub.version) ask(now);
});

more.addEventListener("click", () => {
  limit = MOST;
  ask(Date.now());
});

/** Show the past of an agent from now on; of none with null. */
export function followPast(wanted) {
  if (id === wanted) return;
  id = wanted;
  limit = FEW;
  asked.request?.abort();
  section.hidden = true;
  grid.hidden = true;
  forgetRuns();
  closeRun();
  if (id !== null) ask(Date.now());
}

async function ask(now) {
  asked.request?.abort();
  const request = new AbortController();
  asked = { at: now, version: data()?.hub.version ?? null, request, isFailed: false };
  const { from, to } = spanOf("30d", now);
  const query = `from=${from}&to=${to}&agent=${encodeURIComponent(id.toWellFormed?.() ?? id)}`;
  const addresses = [`breakdown?by=day&timezone=${encodeURIComponent(timeZone())}&${query}`, `runs?limit=${limit}&${query}`];
  try {
    const [days, runs] = await Promise.all(addresses.map((address) => askPast(`/metrics/history/${address}`, request.signal)));
    if (request.signal.aborted) return;
    const failure = days.failure ?? runs.failure;
    asked.isFailed = failure !== undefined;
    section.hidden = false;
    if (failure !== undefined) return showFailure(failure);
    show(days.body, runs.body);
  } catch (error) {
    if (!request.signal.aborted) throw error;
  }
}

function show(breakdown, { runs }) {
  const { usage, executions } = breakdown;
  const isEmpty = usage.requests === 0 && executions.count + executions.interrupted === 0 && runs.length === 0;
  grid.hidden = isEmpty;
  write(note, isEmpty ? "The history of the last 30 days does not know this agent." : "");
  note.hidden = !isEmpty;
  if (isEmpty) return;
  fill(sum, usage);
  writeCost(sum.querySelector("[data-cost]"), usage);
  write(section.querySelector("#past-parts"), usage.requests === 0 ? "" : costParts(usage));
  drawDays(breakdown, `Cost by day of the last 30 days: ${usage["cost-micros"] === null ? many(usage.requests, "unpriced call") : money(usage["cost-micros"])} in all.`);
  showPastRuns(runs, id);
  more.hidden = runs.length < limit || limit === MOST;
}

function showFailure(failure) {
  note.hidden = false;
  write(note, grid.hidden ? failure : `${failure} What is here is what it said last.`);
}
