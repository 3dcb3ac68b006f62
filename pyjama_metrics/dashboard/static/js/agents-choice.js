// What the reader chose to see of the agents: kept for this tab, so that a reload or a look at one agent changes nothing.

import { keep, kept } from "./kept.js";

const KEY = "agents";
const MOST_CLOSED = 1000;

const DEFAULTS = { isTree: false, sort: "status", isDown: false, hidesFinished: false, search: "", status: "", source: "", host: "" };

/** The present choice; change it with `choose`. */
export const choice = { ...DEFAULTS, ...kept("sessionStorage", KEY) };

/** The agents whose children the reader folded away. */
export const closed = new Set(Array.isArray(choice.closed) ? choice.closed : []);

const listeners = [];

/** Call `listener()` after each change of the choice. */
export function onChoice(listener) {
  listeners.push(listener);
}

/** Change some of the choices: `choose({status: "waiting"})`. */
export function choose(changes) {
  Object.assign(choice, changes);
  keep("sessionStorage", KEY, { ...choice, closed: [...closed] });
  for (const listener of listeners) listener();
}

/** Fold an agent's children away, or show them. */
export function setClosed(id, isClosed) {
  if (isClosed && closed.size < MOST_CLOSED) closed.add(id);
  else closed.delete(id);
  choose({});
}

/** Show all agents again, in the same order. */
export function chooseAll() {
  const { hidesFinished, search, status, source, host } = DEFAULTS;
  choose({ hidesFinished, search, status, source, host });
}

/** Whether some agents are kept out of sight. */
export function isFiltered() {
  return choice.hidesFinished || [choice.search, choice.status, choice.source, choice.host].some((value) => value !== "");
}
