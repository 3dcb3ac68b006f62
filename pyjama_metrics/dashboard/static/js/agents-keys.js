// The arrow keys in the table of agents: up and down from row to row; in the tree, right opens and left closes.

import { setClosed } from "./agents-choice.js";
import { isPlainKey } from "./keys.js";

/** Listen in a table body whose rows were filled by `fillRow`. `idOf(row)` names the agent of a row. */
export function listenForArrows(body, idOf) {
  const moves = { ArrowDown: (row) => focusOn(row.nextElementSibling), ArrowUp: (row) => focusOn(row.previousElementSibling), ArrowRight: open, ArrowLeft: close };
  body.addEventListener("keydown", (event) => {
    const row = event.target.closest("tr");
    if (!row || !Object.hasOwn(moves, event.key) || !isPlainKey(event) || event.shiftKey) return;
    event.preventDefault();
    moves[event.key](row);
  });
  body.addEventListener("click", (event) => {
    const twist = event.target.closest(".twist");
    if (twist) setClosed(idOf(twist.closest("tr")), isOpen(twist));
  });

  function open(row) {
    const twist = twistOf(row);
    if (!twist) return;
    if (isOpen(twist)) focusOn(row.nextElementSibling);
    else setClosed(idOf(row), false);
  }

  function close(row) {
    const twist = twistOf(row);
    if (twist && isOpen(twist)) setClosed(idOf(row), true);
    else focusOn(parentOf(row));
  }
}

function twistOf(row) {
  return row.querySelector(".twist:not([hidden])");
}

function isOpen(twist) {
  return twist.getAttribute("aria-expanded") === "true";
}

function parentOf(row) {
  const depth = depthOf(row);
  let above = row.previousElementSibling;
  while (above && depthOf(above) >= depth) above = above.previousElementSibling;
  return above;
}

function depthOf(row) {
  return Number(row.querySelector("[data-depth]").dataset.depth);
}

function focusOn(row) {
  row?.querySelector("a").focus();
}
