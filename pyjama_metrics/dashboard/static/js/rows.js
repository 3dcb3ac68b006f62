// A table body that is patched in place: each row belongs to a key, stays the same element while its figures change, and
// moves only when its place in the order does.

export class Rows {
  #body;
  #template;
  #rows = new Map();

  constructor(body, template) {
    this.#body = body;
    this.#template = template.content.firstElementChild;
  }

  /**
   * Show `items` in this order. `key(item)` names an item, `fill(row, item)` writes it into its row. Of those without a row
   * yet no more than `most` get one; returns whether all of them have.
   */
  show(items, key, fill, most = Infinity) {
    const focused = this.#body.contains(document.activeElement) ? document.activeElement : null;
    const wanted = new Map(items.map((item) => [key(item), item]));
    for (const [name, row] of this.#rows) {
      if (!wanted.has(name)) this.#drop(name, row);
    }
    let next = this.#body.firstElementChild;
    let room = most;
    for (const [name, item] of wanted) {
      if (!this.#rows.has(name) && room-- <= 0) continue;
      const row = this.#rows.get(name) ?? this.#make(name);
      fill(row, item);
      // One row that goes down is moved by itself, when its turn comes; not all those that it lets pass.
      if (row === next || (next && row === next.nextElementSibling)) next = row.nextElementSibling;
      else this.#body.insertBefore(row, next);
    }
    // An element that is moved loses the focus.
    if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
    return room >= 0;
  }

  #make(name) {
    const row = this.#template.cloneNode(true);
    this.#rows.set(name, row);
    return row;
  }

  #drop(name, row) {
    row.remove();
    this.#rows.delete(name);
  }
}
