// The errors and the log of an agent, the newest first.

import { fill, showState, writeText } from "./fields.js";
import * as format from "./format.js";
import { kindOf, messageOf, wordOf } from "./log-words.js";
import { Rows } from "./rows.js";

const errors = new Rows(document.querySelector("#errors"), document.querySelector("#error-row"));
const errorsTotal = document.querySelector("#errors-total");
const noErrors = document.querySelector("#no-errors");
const log = new Rows(document.querySelector("#agent-log"), document.querySelector("#agent-log-row"));
const logTotal = document.querySelector("#agent-log-total");
const noLog = document.querySelector("#no-agent-log");

/** Show the errors of an AgentDetail. */
export function showErrors(detail) {
  const { agent, errors: latest } = detail;
  errors.show(grouped(latest), ({ key }) => key, (row, { error, times }) => {
    fill(row, error);
    row.querySelector("[data-message]").textContent = format.text(error.message);
    row.querySelector("[data-times]").textContent = times > 1 ? `${format.count(times)} times, the latest` : "";
  });
  errorsTotal.textContent = latest.length < agent.errors ? `latest ${format.count(latest.length)} of ${format.count(agent.errors)}` : latest.length ? format.count(latest.length) : "";
  noErrors.hidden = latest.length > 0;
}

/** Errors with the same words behind each other are one, with the time of the latest; its key is the first of them. */
function grouped(latest) {
  const groups = [];
  latest.forEach((error, place) => {
    const last = groups.at(-1);
    const key = `${error.time} ${error.run} ${latest.length - place}`;
    if (last?.error.message === error.message && last.error.tool === error.tool) Object.assign(last, { key, times: last.times + 1 });
    else groups.push({ error, key, times: 1 });
  });
  return groups;
}

/** Show the log of an AgentDetail. */
export function showAgentLog(detail) {
  const entries = detail["recent-logs"];
  const newestFirst = entries.map((entry, place) => ({ entry, place })).reverse();
  log.show(newestFirst, ({ entry, place }) => entry.id ?? `${place} ${entry.timestamp}`, (row, { entry }) => {
    fill(row, entry);
    row.querySelector("[data-what]").textContent = wordOf(entry);
    writeText(row.querySelector("[data-message]"), messageOf(entry));
    showState(row, kindOf(entry));
  });
  logTotal.textContent = entries.length ? `latest ${format.count(entries.length)}` : "";
  noLog.hidden = entries.length > 0;
}
