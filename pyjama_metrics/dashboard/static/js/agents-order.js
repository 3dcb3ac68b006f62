// The order of the agents. Figures change all the time, so an order by a figure is made anew only now and then, and no
// order is while somebody points at a row or has the focus in one: a row does not leave from under a hand.

import { knownStatus, OPEN, STATUSES } from "./statuses.js";

const PAUSE_MS = 3000; // between two orders by a figure that changes

const names = new Intl.Collator("en", { numeric: true });

/** Compares two states: what waits for somebody first, what is done last. */
export function byStatus(statusA, statusB) {
  return rankOf(statusA) - rankOf(statusB);
}

/** Compares two names: agent-2 before agent-10. */
export function byName(nameA, nameB) {
  return names.compare(nameA, nameB) || (nameA < nameB ? -1 : Number(nameA > nameB));
}

const FIGURES = {
  count: (agent, now, whole) => whole.count,
  error: (agent, now, whole) => whole.error,
  "success-rate": (agent, now, whole) => (whole.count > 0 ? (whole.count - whole.error) / whole.count : null),
  tokens: (agent, now, whole) => whole.tokens,
  "cost-micros": (agent, now, whole) => whole["cost-micros"],
  "last-seen": (agent) => agent["last-seen"],
  elapsed: (agent, now) => elapsedOf(agent, now),
};

/** Whether it is an order by something that changes with every event. */
function isByFigure(sort) {
  return sort in FIGURES;
}

/** How long the latest run has taken so far, or took, in ms; null where nobody can know. */
export function elapsedOf(agent, now) {
  const start = agent["start-time"];
  if (start === null) return null;
  const end = OPEN.has(agent.status) ? now : (agent["end-time"] ?? null);
  return end === null ? null : Math.max(0, end - start);
}

/** Keeps the ids of all agents in order. */
export class Order {
  #ids = [];
  #made = 0;
  #by = "";
  isStale = false; // a better order is known and held back

  /**
   * The ids in order. `views` are `[id, agent]`, `by` is `{sort, isDown, urgencies}`: with `urgencies`, the most urgent
   * state of each agent and all below it, the order is that of a tree, whose parents count with their children. While
   * `isHeld`, those that are known stay in their order and new ones are put in between.
   */
  update(views, { sort, isDown, urgencies = null }, isHeld, now) {
    const table = new Map(views);
    const known = this.#ids.filter((id) => table.has(id));
    const seen = new Set(known);
    const fresh = views.filter(([id]) => !seen.has(id)).map(([id]) => id);
    const by = `${sort} ${isDown} ${urgencies !== null}`;
    const isAsked = by !== this.#by || known.length === 0;
    const isEarly = isByFigure(sort) && now - this.#made < PAUSE_MS;
    // What was in order before is nearly so now: sorting it is little more than looking at it.
    const wanted = [...known, ...fresh].sort(comparison(table, { sort, isDown, urgencies }, now));
    if (isAsked || (!isHeld && !isEarly)) {
      this.#ids = wanted;
      this.#made = now;
      this.#by = by;
    } else {
      this.#ids = fresh.length === 0 ? known : putBetween(known, wanted);
    }
    this.isStale = this.#ids.some((id, place) => id !== wanted[place]);
    return this.#ids;
  }
}

function comparison(table, { sort, isDown, urgencies }, now) {
  const sign = isDown ? -1 : 1;
  if (sort === "name") return (idA, idB) => sign * byName(idA, idB);
  const figure = FIGURES[sort];
  if (!figure) return byUrgency(table, urgencies, sign);
  const wholeOf = (agent) => (urgencies && agent.subtree) || agent;
  const values = new Map([...table].map(([id, agent]) => [id, figure(agent, now, wholeOf(agent)) ?? null]));
  return (idA, idB) => {
    const a = values.get(idA);
    const b = values.get(idB);
    if (a === b) return byName(idA, idB);
    if (a === null || b === null) return a === null ? 1 : -1; // what is not known comes last, whichever way
    return sign * (a - b);
  };
}

function byUrgency(table, urgencies, sign) {
  const statusOf = (id) => urgencies?.get(id) ?? table.get(id).status;
  const startOf = (id) => table.get(id)["start-time"] ?? 0;
  return (idA, idB) =>
    sign * byStatus(statusOf(idA), statusOf(idB)) || startOf(idB) - startOf(idA) || byName(idA, idB);
}

function rankOf(status) {
  return STATUSES.indexOf(knownStatus(status));
}

/** `known` in its order, with each other id of `wanted` behind the one that it follows there. */
function putBetween(known, wanted) {
  const isKnown = new Set(known);
  const behind = new Map();
  let last = null;
  for (const id of wanted) {
    if (isKnown.has(id)) last = id;
    else if (behind.has(last)) behind.get(last).push(id);
    else behind.set(last, [id]);
  }
  return [...(behind.get(null) ?? []), ...known.flatMap((id) => [id, ...(behind.get(id) ?? [])])];
}
