// Which ends of runs somebody has seen and put aside, kept by this browser for all its tabs.

import { keep, kept } from "./kept.js";
import { ENDED_BADLY } from "./statuses.js";

const KEY = "dismissed";
const MOST = 500;

const listeners = [];
let dismissed = stored() ?? new Set();

window.addEventListener("storage", ({ key }) => {
  if (key !== KEY) return;
  dismissed = stored() ?? dismissed;
  tell();
});

/** Call `listener()` when somebody has put something aside or taken it back, in this tab or another. */
export function onDismissed(listener) {
  listeners.push(listener);
}

/** Whether a NeedView can be put aside: what is over, not what waits. */
export function canDismiss(need) {
  return ENDED_BADLY.has(need.kind);
}

/** Whether it has been. */
export function isDismissed(need) {
  return canDismiss(need) && dismissed.has(keyOf(need));
}

/** Put it aside, or take it back. */
export function dismiss(need, isAside = true) {
  dismissed = stored() ?? dismissed; // another tab may have been quicker
  if (isAside) dismissed.add(keyOf(need));
  else dismissed.delete(keyOf(need));
  keep("localStorage", KEY, [...dismissed].slice(-MOST));
  tell();
}

function keyOf(need) {
  return JSON.stringify([need["agent-id"], need.run]);
}

/** What is kept; null where nothing is. */
function stored() {
  const keys = kept("localStorage", KEY);
  return Array.isArray(keys) ? new Set(keys) : null;
}

function tell() {
  for (const listener of listeners) listener();
}
