// The order of the tools: most used, slowest or most failing first. It is kept for a while, so that rows can be read.

const LEAST = 3000; // ms between two looks at the order

const ORDERS = {
  used: (tool) => [tool.count],
  slow: (tool) => [tool["p95-ms"] ?? -1, tool.count],
  failing: (tool) => [tool.error > 0 ? tool.error / tool.count : 0, tool.error, tool.count],
};

export class ToolOrder {
  #names = [];
  #by = null;
  #madeAt = -Infinity;

  /** Whether the last update looked at the figures, or kept the order that was there. */
  isFresh = false;

  /**
   * The names of `tools` (ToolViews by name) in the order `by`. Those that are known stay where they are while `isHeld`, and
   * for a moment after each look; new ones come below.
   */
  update(tools, by, isHeld, now) {
    this.isFresh = by !== this.#by || (!isHeld && now - this.#madeAt >= LEAST);
    if (this.isFresh) {
      const keys = new Map(Object.entries(tools).map(([name, tool]) => [name, ORDERS[by](tool)]));
      this.#names = [...keys.keys()].sort((nameA, nameB) => descending(keys.get(nameA), keys.get(nameB)) || (nameA < nameB ? -1 : 1));
      this.#by = by;
      this.#madeAt = now;
      return this.#names;
    }
    const known = new Set(this.#names);
    const added = Object.keys(tools).filter((name) => !known.has(name));
    this.#names = [...this.#names.filter((name) => Object.hasOwn(tools, name)), ...added];
    return this.#names;
  }
}

function descending(keysA, keysB) {
  for (const [place, key] of keysA.entries()) if (key !== keysB[place]) return keysB[place] - key;
  return 0;
}
