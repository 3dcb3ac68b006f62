// The twin of pyjama_metrics/patches.py: what turns one document into the next, so that a change comes and not the whole.

const LOGS = "recent-logs";
export const LOG_ENTRIES = 100; // of the document, as in pyjama_metrics/fold.py

/** Bring `document` to the version that `patch` leads to, in place where it can be; returns the document. */
export function apply(document, patch) {
  for (const path of patch.unset) remove(document, path);
  const changed = merge(document, patch.set);
  if (patch.logs.length > 0) changed[LOGS] = mergeLogs(changed[LOGS], patch.logs);
  return changed;
}

function remove(document, path) {
  let place = document;
  for (const key of path.slice(0, -1)) place = place[key];
  delete place[path.at(-1)];
}

function merge(value, changes) {
  if (!(isObject(value) && isObject(changes))) return changes;
  for (const [key, change] of Object.entries(changes)) {
    put(value, key, Object.hasOwn(value, key) ? merge(value[key], change) : change);
  }
  return value;
}

/** Set a key that may have any name: an assignment to "__proto__" would set something else. */
function put(object, key, value) {
  if (Object.hasOwn(object, key)) object[key] = value;
  else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mergeLogs(logs, entries) {
  return [...logs, ...entries].map(placed).sort(byPlace).map(({ entry }) => entry).slice(-LOG_ENTRIES);
}

function placed(entry) {
  const end = entry.id.lastIndexOf(":");
  return { entry, journal: entry.id.slice(0, Math.max(end, 0)), line: Number(entry.id.slice(end + 1)) };
}

function byPlace(a, b) {
  if (a.entry.timestamp !== b.entry.timestamp) return a.entry.timestamp - b.entry.timestamp;
  if (a.journal !== b.journal) return a.journal < b.journal ? -1 : 1;
  return a.line - b.line;
}
