// The runs of an agent, the newest first. One of them is chosen: the latest, until the reader takes another.

import { markFailures, writeCost } from "./agents-row.js";
import { costMark, tokensMark } from "./cost-words.js";
import { fill, showState } from "./fields.js";
import * as format from "./format.js";
import { Rows } from "./rows.js";
import { OPEN } from "./statuses.js";

const body = document.querySelector("#runs");
const rows = new Rows(body, document.querySelector("#run-row"));
const total = document.querySelector("#runs-total");
const follow = document.querySelector("#follow-latest");
const runTotal = document.querySelector("#run-total");
const runNote = document.querySelector("#run-note");

const ids = new WeakMap(); // row → id of its run
const listeners = [];
let chosen = null; // null follows the latest
let runs = [];

/** Call `listener()` when the reader chose another run. */
export function onRun(listener) {
  listeners.push(listener);
}

/** The RunView that is chosen, or null when the agent has none. */
export function chosenRun() {
  return runs.find((run) => run.id === chosen) ?? runs[0] ?? null;
}

/** Follow the latest run again, as at first. */
export function followLatest() {
  choose(null);
}

/** Show the runs of an AgentDetail. */
export function showRuns(detail) {
  runs = detail.runs;
  const started = detail.agent["runs-started"];
  total.textContent = runs.length < started ? `latest ${runs.length} of ${format.count(started)}` : "";
  rows.show(runs, (run) => run.id, fillRun);
  mark();
  tickRuns();
}

/** Write what changes with time alone. */
export function tickRuns(now = Date.now()) {
  const took = new Map(runs.map((run) => [run.id, tookOf(run, now)]));
  for (const row of body.children) {
    const element = row.querySelector("[data-took]");
    const text = took.get(ids.get(row)) ?? "";
    if (element.textContent !== text) element.textContent = text;
  }
  const run = chosenRun();
  const words = run ? `began ${format.timeOfDay(run["start-time"], now)}${spentOf(run)} · ${stateOf(run, took.get(run.id), now)}` : "";
  if (runTotal.textContent !== words) runTotal.textContent = words;
}

body.addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (row) choose(ids.get(row));
});
follow.addEventListener("click", followLatest);

function choose(id) {
  if (chosen === id) return;
  chosen = id;
  mark();
  tickRuns();
  for (const listener of listeners) listener();
}

function fillRun(row, run) {
  ids.set(row, run.id);
  fill(row, run);
  showState(row, run.status);
  markFailures(row, run.error, run.count);
  writeCost(row.querySelector("[data-cost]"), run);
  row.title = format.text(run.message ?? run["waiting-reason"] ?? "");
}

function mark() {
  const run = chosenRun();
  for (const row of body.children) {
    const isChosen = run !== null && ids.get(row) === run.id;
    row.toggleAttribute("data-chosen", isChosen);
    row.querySelector("button").setAttribute("aria-pressed", String(isChosen));
  }
  follow.hidden = chosen === null || runs[0]?.id === run?.id;
  const note = run?.message ?? run?.["waiting-reason"] ?? "";
  runNote.hidden = note === "";
  if (run) runNote.dataset.status = run.status;
  runNote.firstElementChild.textContent = format.text(note);
}

/** What the run does and for how long: a run that waits has waited less long than it runs. */
function stateOf(run, took, now) {
  if (run.status !== "waiting") return `${run.status} ${OPEN.has(run.status) ? "for" : "after"} ${took}`;
  return `running for ${took}, waiting for ${format.elapsed(run["waiting-since"] && now - run["waiting-since"])}`;
}

/** The tokens of a run, and what they cost as far as anybody knows; nothing for a run that called no model. */
function spentOf(run) {
  if (run.requests === 0) return "";
  const cost = run["cost-micros"];
  const known = cost === null ? "unpriced" : `${costMark(run)}${format.money(cost)}${run["unpriced-requests"] > 0 ? " + unpriced calls" : ""}`;
  return ` · ${tokensMark(run)}${format.compact(run.tokens)} ${run.tokens === 1 ? "token" : "tokens"}, ${known}`;
}

function tookOf(run, now) {
  if (run["duration-ms"] !== null) return format.took(run["duration-ms"]);
  const isOpen = OPEN.has(run.status) && run["start-time"] !== null;
  return format.elapsed(isOpen ? Math.max(0, now - run["start-time"]) : null);
}
