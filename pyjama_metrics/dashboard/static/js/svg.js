// Makes and changes SVG elements. Texts of others go in as text, never as markup.

const SPACE = "http://www.w3.org/2000/svg";

/** An SVG element with these attributes and children. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SPACE, name);
  set(element, attributes);
  element.append(...children);
  return element;
}

/** Set attributes, only those that differ: an attribute that is written anew is painted anew. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

/** The shape of a state, as in the tables: `<use>` of the page's sprite, `size` px wide with its middle at (x, y). */
export function shapeOf(status, x, y, size) {
  return svg("use", { href: `#shape-${status}`, x: x - size / 2, y: y - size / 2, width: size, height: size });
}

/** A number for a path: tenths of a pixel are enough, and short. */
export function px(value) {
  return Math.round(value * 10) / 10;
}
