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

  /** Show `items` in this order. `key(item)` names an item, `fill(row, item)` writes it into its row. */
  show(items, key, fill) {
    const wanted = new Map(items.map((item) => [key(item), item]));
    for (const [name, row] of this.#rows) {
      if (!wanted.has(name)) this.#drop(name, row);
    }
    let next = this.#body.firstElementChild;
    for (const [name, item] of wanted) {
      const row = this.#rows.get(name) ?? this.#make(name);
      fill(row, item);
      if (row === next) next = next.nextElementSibling;
      else this.#body.insertBefore(row, next);
    }
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
