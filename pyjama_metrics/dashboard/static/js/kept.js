// What the browser keeps for the page: in its localStorage for all tabs and visits, in its sessionStorage while the tab lasts.
// A browser that keeps nothing, or has no room, is no trouble: what was chosen lasts until the page is left.

/** The text kept under a key of an area ("localStorage", "sessionStorage"); null where there is none. */
export function keptText(area, key) {
  try {
    return window[area].getItem(key);
  } catch {
    return null;
  }
}

/** Keep a text. */
export function keepText(area, key, text) {
  try {
    window[area].setItem(key, text);
  } catch {
    // It is not kept.
  }
}

/** The value kept under a key; null where there is none, or somebody else put something there. */
export function kept(area, key) {
  try {
    return JSON.parse(keptText(area, key));
  } catch {
    return null;
  }
}

/** Keep a value. */
export function keep(area, key, value) {
  keepText(area, key, JSON.stringify(value));
}
