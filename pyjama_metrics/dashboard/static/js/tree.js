// The agents as a forest, by the agent that started each. Whatever the data say: each agent is in it exactly once.

/**
 * The children of each agent and the agents at the top. `order` has every id once, in the order that brothers and sisters
 * shall have. An agent whose parent is not there is at the top; of agents that are each other's parents, the first is.
 */
export function forest(order, parentOf) {
  const known = new Set(order);
  const children = new Map();
  const roots = [];
  for (const id of order) {
    const parent = parentOf(id);
    if (!known.has(parent) || parent === id) roots.push(id);
    else if (children.has(parent)) children.get(parent).push(id);
    else children.set(parent, [id]);
  }
  const reached = new Set(roots.flatMap((id) => [id, ...below(id, children)]));
  for (const id of order) {
    if (reached.has(id)) continue;
    const ring = ringAbove(id, parentOf);
    const top = order.find((each) => ring.has(each));
    const parent = parentOf(top);
    children.set(parent, children.get(parent).filter((child) => child !== top));
    roots.push(top);
    for (const each of [top, ...below(top, children)]) reached.add(each);
  }
  return { roots, children };
}

/**
 * The rows of a forest from top to bottom: `{id, depth, rails, hasChildren, isOpen}`. `rails` says per level what is drawn
 * there: "pass" (a line goes by), "tee", "elbow" (the last child) or "gap". Those below a closed agent are left out.
 */
export function rowsOf({ roots, children }, isClosed) {
  const rows = [];
  const waiting = roots.map((id) => ({ id, rails: [] })).reverse();
  while (waiting.length > 0) {
    const { id, rails } = waiting.pop();
    const own = children.get(id) ?? [];
    const isOpen = own.length > 0 && !isClosed(id);
    rows.push({ id, depth: rails.length, rails, hasChildren: own.length > 0, isOpen });
    if (!isOpen) continue;
    const passed = rails.map((rail) => (rail === "tee" || rail === "pass" ? "pass" : "gap"));
    for (let place = own.length - 1; place >= 0; place -= 1) {
      waiting.push({ id: own[place], rails: [...passed, place === own.length - 1 ? "elbow" : "tee"] });
    }
  }
  return rows;
}

/** The first by `compare` of each agent's value and those of all below it, for each agent of a forest: a Map. */
export function leastBelow({ roots, children }, valueOf, compare) {
  const least = new Map();
  // Parents come before their children in this list, so that from its end on all children are done.
  for (const { id } of rowsOf({ roots, children }, () => false).reverse()) {
    const values = [valueOf(id), ...(children.get(id) ?? []).map((child) => least.get(child))];
    least.set(id, values.reduce((best, each) => (compare(each, best) < 0 ? each : best)));
  }
  return least;
}

/** The agents above those of `ids`, by `parentOf`; rings end where they began. */
export function above(ids, parentOf) {
  const found = new Set();
  for (const id of ids) {
    for (let parent = parentOf(id); parent !== null && !found.has(parent); parent = parentOf(parent)) found.add(parent);
  }
  return found;
}

/** The agents that are each other's parents, above one that hangs on no root. */
function ringAbove(id, parentOf) {
  const passed = new Set();
  let each = id;
  while (!passed.has(each)) {
    passed.add(each);
    each = parentOf(each);
  }
  const ring = new Set();
  while (!ring.has(each)) {
    ring.add(each);
    each = parentOf(each);
  }
  return ring;
}

function below(id, children) {
  const found = [];
  const waiting = [...(children.get(id) ?? [])];
  const seen = new Set([id]);
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (seen.has(next)) continue;
    seen.add(next);
    found.push(next);
    waiting.push(...(children.get(next) ?? []));
  }
  return found;
}
