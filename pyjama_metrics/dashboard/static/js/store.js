// The document that the page shows, and who is told when it changes.

import { apply } from "./patches.js";

const MOST_LOGS = 1000; // new entries that are kept for a tab that nobody looks at

const dataListeners = [];
const frameListeners = [];
let current = null;
let pending = nothing();
let isAsked = false;

/** The document of /api/data, or null before the first one came. Patches change it in place. */
export const data = () => current;

/**
 * Call `listener(change)` at most once per frame, and only while somebody looks:
 * `{all, agents: Set of ids, tools: Set of names, logs: [new entries]}`. With `all`, everything may differ.
 */
export function onFrame(listener) {
  frameListeners.push(listener);
  if (current) askForFrame({ ...nothing(), all: true });
}

/** Call `listener(data)` with every edition, while the tab is hidden, too. */
export function onData(listener) {
  dataListeners.push(listener);
  if (current) listener(current);
}

/** Put a whole document in place of the one that is there. */
export function replace(document) {
  const known = idsOf(current?.["recent-logs"] ?? []);
  current = document;
  askForFrame({ ...nothing(), all: true, logs: document["recent-logs"].filter(({ id }) => !known.has(id)) });
  tell(dataListeners, current);
}

/** Apply `{from, to, set, unset, logs}`. Returns whether the document is at `to` or later; if not, it must be loaded anew. */
export function update(patch) {
  if (!current) return false;
  if (patch.from !== current.hub.version) return isReached(patch.to);
  const change = changeOf(patch);
  current = apply(current, patch);
  askForFrame(change);
  tell(dataListeners, current);
  return true;
}

/** Whether the document is at `version` or a later one of the same server. */
export function isReached(version) {
  const [life, number] = version.split("-");
  const [ownLife, ownNumber] = (current?.hub.version ?? "").split("-");
  return life === ownLife && Number(number) <= Number(ownNumber);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && current) askForFrame({ ...nothing(), all: true });
});

function nothing() {
  return { all: false, agents: new Set(), tools: new Set(), logs: [] };
}

function changeOf(patch) {
  const gone = patch.unset.filter((path) => path.length === 1 || (path.length === 2 && path[0] === "metrics"));
  const entries = patch.set["recent-logs"];
  const known = entries && idsOf(current["recent-logs"]);
  return {
    all: gone.length > 0,
    agents: new Set([...Object.keys(patch.set.agents ?? {}), ...keysBelow(patch.unset, "agents")]),
    tools: new Set([...Object.keys(patch.set.metrics?.tools ?? {}), ...keysBelow(patch.unset, "metrics", "tools")]),
    logs: entries ? entries.filter(({ id }) => !known.has(id)) : patch.logs,
  };
}

function keysBelow(paths, ...above) {
  return paths.filter((path) => path.length > above.length && above.every((key, place) => path[place] === key)).map((path) => path[above.length]);
}

function idsOf(entries) {
  return new Set(entries.map(({ id }) => id));
}

function askForFrame(change) {
  pending.all ||= change.all;
  for (const id of change.agents) pending.agents.add(id);
  for (const name of change.tools) pending.tools.add(name);
  pending.logs.push(...change.logs);
  if (pending.logs.length > MOST_LOGS) pending.logs = pending.logs.slice(-MOST_LOGS);
  if (isAsked || document.hidden) return;
  isAsked = true;
  requestAnimationFrame(show);
}

function show() {
  isAsked = false;
  const change = pending;
  pending = nothing();
  tell(frameListeners, change);
}

/** One panel that fails must not take the others with it. */
function tell(listeners, message) {
  for (const listener of listeners) {
    try {
      listener(message);
    } catch (error) {
      reportError(error);
    }
  }
}
