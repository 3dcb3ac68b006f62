// The runs of an agent that the history has, and one of them in full: what it was for, its tools, its phases, its cost.

import { markFailures, writeCost } from "./agents-row.js";
import { costParts } from "./cost-words.js";
import { fill, showState, write, writeText } from "./fields.js";
import { count, duration, text, timeOfDay, took } from "./format.js";
import { askPast } from "./past-source.js";
import { Rows } from "./rows.js";

const body = document.querySelector("#past-runs");
const none = document.querySelector("#no-past-runs");
const place = document.querySelector("#past-run");
const title = document.querySelector("#past-run-title");
const origin = place.querySelector(".origin");
const rows = new Rows(body, document.querySelector("#past-run-row"));
const parts = new Rows(document.querySelector("#past-run-parts"), document.querySelector("#past-run-part"));

const ids = new WeakMap(); // row → id of its run
let agentId = null;
let chosen = null;

body.addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (row) choose(ids.get(row));
});

/** Show PastRunViews of an agent, the latest first. */
export function showPastRuns(runs, id) {
  agentId = id;
  none.hidden = runs.length > 0;
  rows.show(runs, (pastRun) => pastRun.id, fillRun);
  mark();
}

/** Forget the runs of the agent that was shown. */
export function forgetRuns() {
  rows.show([], () => null, fillRun);
}

/** Show no run in full. */
export function closeRun() {
  chosen = null;
  place.hidden = true;
}

function fillRun(row, pastRun) {
  ids.set(row, pastRun.id);
  fill(row, pastRun);
  showState(row, stateOf(pastRun));
  write(row.querySelector("[data-word]"), wordOf(pastRun));
  write(row.querySelector("[data-took]"), tookOf(pastRun));
  write(row.querySelector("[data-executions]"), count(pastRun.executions.count));
  write(row.querySelector("[data-failed]"), count(pastRun.executions.error));
  markFailures(row, pastRun.executions.error, pastRun.executions.count);
  writeCost(row.querySelector("[data-cost]"), pastRun.usage);
  row.title = text(pastRun.message ?? "");
}

function choose(id) {
  if (chosen === id) {
    closeRun();
    mark();
    return;
  }
  chosen = id;
  mark();
  open(id);
}

function mark() {
  for (const row of body.children) {
    const isChosen = ids.get(row) === chosen;
    row.toggleAttribute("data-chosen", isChosen);
    row.querySelector("button").setAttribute("aria-pressed", String(isChosen));
  }
}

async function open(id) {
  const address = `/metrics/history/run?id=${encodeURIComponent(id)}&agent=${encodeURIComponent(agentId)}`;
  const { body: pastRun, failure } = await askPast(address);
  if (chosen !== id) return;
  place.hidden = false;
  if (failure !== undefined) {
    title.textContent = failure;
    for (const element of [...place.children].slice(1)) element.hidden = true;
    return;
  }
  for (const element of place.children) element.hidden = false;
  title.textContent = `Run of ${timeOfDay(pastRun["start-time"])}, ${wordOf(pastRun)}${pastRun["duration-ms"] === null ? "" : ` after ${tookOf(pastRun)}`}`;
  showMessage(pastRun);
  showOrigin(pastRun);
  write(place.querySelector("[data-cost-parts]"), pastRun.usage.requests === 0 ? "No model was called." : `${costParts(pastRun.usage)}.`);
  showParts(pastRun);
  title.focus({ preventScroll: true });
  place.scrollIntoView({ block: "nearest" });
}

function showMessage(pastRun) {
  const message = place.querySelector("[data-message]");
  message.hidden = !pastRun.message;
  message.dataset.status = stateOf(pastRun);
  writeText(message.firstElementChild, pastRun.message ?? "");
}

function showOrigin(pastRun) {
  const facts = [
    ["Run", pastRun.id],
    ["Project", pastRun.project],
    ["Label", pastRun.label],
    ["Task", pastRun.task],
    ["Source", pastRun.source],
    ["Host", pastRun.host],
    ["Started by", pastRun["parent-agent"]],
    ...pastRun.corrections.map(({ time, reason }) => ["Corrected", `${timeOfDay(time)}: ${reason}`]),
  ];
  origin.replaceChildren(...facts.filter(([, value]) => value).map(([term, value]) => fact(term, value)));
}

function fact(term, value) {
  const row = document.createElement("div");
  const [name, told, words] = ["dt", "dd", "bdi"].map((tag) => document.createElement(tag));
  name.textContent = term;
  writeText(words, value);
  told.append(words);
  row.append(name, told);
  return row;
}

function showParts(pastRun) {
  const wanted = [...pastRun.phases.map((portion) => ({ kind: "phase", portion })), ...pastRun.tools.map((portion) => ({ kind: "tool", portion }))];
  parts.show(wanted, ({ kind, portion }) => `${kind} ${portion.name}`, (row, { kind, portion }) => {
    row.dataset.kind = kind;
    fill(row, portion.usage);
    writeText(row.querySelector("bdi"), portion.name || "(no name)");
    row.cells[1].textContent = portion.executions ? count(portion.executions.count) : kind;
    row.cells[2].textContent = portion.executions ? count(portion.executions.error) : "";
    row.cells[3].textContent = portion.executions ? duration(portion.executions["avg-duration-ms"]) : "";
    writeCost(row.querySelector("[data-cost]"), portion.usage);
  });
}

function stateOf(pastRun) {
  return pastRun.outcome ?? "unknown";
}

function wordOf(pastRun) {
  return pastRun.outcome ?? "not over";
}

function tookOf(pastRun) {
  return took(pastRun["duration-ms"]);
}
