// What an entry of the log says: its word, its shape, and the kind that one can choose.

import { text } from "./format.js";

const LONGEST = 40;

const EVENTS = {
  start: { word: "started", kind: "running" },
  crash: { word: "crashed", kind: "crashed" },
  waiting: { word: "waits", kind: "waiting" },
  error: { word: "error", kind: "failed" },
};

// The kind of a status, by the word that the recorder gave; every other word is a failure.
const KINDS = {
  ok: "completed", success: "completed", completed: "completed",
  running: "running", waiting: "waiting", crashed: "crashed",
  stopped: "stopped", interrupted: "stopped", cancelled: "stopped", canceled: "stopped",
  "not-executed": "stopped",
};

/** The kinds that entries are chosen by, with their names: a kind is also the name of a shape. */
export const KIND_NAMES = { failed: "Failed", crashed: "Crashed", waiting: "Waiting", running: "Started", completed: "Ok", stopped: "Stopped" };

/** The word for what happened. */
export function wordOf(entry) {
  if (Object.hasOwn(EVENTS, entry.event ?? "")) return EVENTS[entry.event].word;
  if (entry.status === "not-executed") return "not run";
  const status = text(entry.status);
  return status.length > LONGEST ? `${status.slice(0, LONGEST)}…` : status;
}

/** What was said of it. A correction comes with its reason alone, which does not say that something was corrected. */
export function messageOf(entry) {
  const message = entry.message ?? "";
  return entry.event === "correction" ? ["corrected", message].filter(Boolean).join(": ") : message;
}

/** The kind of what happened. */
export function kindOf(entry) {
  if (Object.hasOwn(EVENTS, entry.event ?? "")) return EVENTS[entry.event].kind;
  const status = (entry.status ?? "").toLowerCase();
  return Object.hasOwn(KINDS, status) ? KINDS[status] : "failed";
}
