// The latest entries of the log, newest first.

import { fill, showState, write } from "./fields.js";
import { Rows } from "./rows.js";

// The shape of an entry, by the word that the recorder gave; every other word is an error.
const SHAPES = {
  ok: "completed", success: "completed", completed: "completed",
  running: "running", waiting: "waiting", crashed: "crashed",
  stopped: "stopped", interrupted: "stopped", cancelled: "stopped", canceled: "stopped",
};

const rows = new Rows(document.querySelector("#log"), document.querySelector("#log-row"));
const total = document.querySelector("#log-total");
const none = document.querySelector("#no-log");

export function showLog(entries) {
  const newestFirst = entries.map((entry, place) => ({ entry, place })).reverse();
  rows.show(newestFirst, keyOf, fillEntry);
  total.textContent = entries.length ? `latest ${entries.length}` : "";
  none.hidden = entries.length > 0;
}

function keyOf({ entry, place }) {
  return entry.id ?? `${place} ${entry.timestamp} ${entry["agent-id"]}`;
}

function fillEntry(row, { entry }) {
  fill(row, entry);
  write(row.querySelector("[data-what]"), words(entry));
  showState(row, shape(entry));
}

function words(entry) {
  const status = entry.status ?? "";
  if (entry.event === "start") return "started";
  if (entry.event === "crash") return "crashed";
  if (entry.event === "waiting") return "waits";
  if (entry.event === "error") return "error";
  return status.length > 40 ? `${status.slice(0, 40)}…` : status;
}

function shape(entry) {
  if (entry.event === "start") return "running";
  if (entry.event === "crash") return "crashed";
  if (entry.event === "waiting") return "waiting";
  if (entry.event === "error") return "failed";
  return SHAPES[(entry.status ?? "").toLowerCase()] ?? "failed";
}
