// Which rows the table of agents has: `{id, depth, rails, hasChildren, isOpen, isTree, isMatch}` from top to bottom.

import { matcher } from "./agents-filter.js";
import { byStatus, Order } from "./agents-order.js";
import { above, forest, leastBelow, rowsOf } from "./tree.js";

const FLAT = { depth: 0, rails: [], hasChildren: false, isOpen: false, isTree: false, isMatch: true };

/** Keeps the order of the agents between two looks at them. */
export class AgentList {
  #order = new Order();

  /** Whether rows are held back from places that are theirs by now. */
  get isStale() {
    return this.#order.isStale;
  }

  /**
   * The rows of `agents` (AgentViews by id) as `choice` wants them, and how many agents match it: `{rows, matches}`. In the
   * tree, the agents above one that matches are shown with it. While `isHeld`, no row changes its place.
   */
  update(agents, choice, closed, isHeld, now) {
    const parentOf = (id) => (Object.hasOwn(agents, id) ? (agents[id]["parent-agent"] ?? null) : null);
    const urgencies = choice.isTree ? urgenciesOf(agents, parentOf) : null;
    const ids = this.#order.update(Object.entries(agents), { ...choice, urgencies }, isHeld, now);
    const matches = matcher(choice);
    const matching = ids.filter((id) => matches(id, agents[id]));
    if (!choice.isTree) return { rows: matching.map((id) => ({ ...FLAT, id })), matches: matching.length };
    const isMatch = new Set(matching);
    const isKept = new Set([...matching, ...above(matching, parentOf)]);
    const trees = forest(ids.filter((id) => isKept.has(id)), parentOf);
    const rows = rowsOf(trees, (id) => closed.has(id));
    return { rows: rows.map((row) => ({ ...row, isTree: true, isMatch: isMatch.has(row.id) })), matches: matching.length };
  }
}

/** A tree stands where the most urgent of its agents would. */
function urgenciesOf(agents, parentOf) {
  return leastBelow(forest(Object.keys(agents), parentOf), (id) => agents[id].status, byStatus);
}
