// The figures of the charts as a table: the slices in which something happened, newest first.

import { costWords, spanWords } from "./activity-words.js";
import { sliceAt } from "./activity-slices.js";
import { count } from "./format.js";
import { Rows } from "./rows.js";

const MOST = 200;

const details = document.querySelector("#activity-table");
const rows = new Rows(details.querySelector("tbody"), document.querySelector("#activity-row"));
const rest = details.querySelector(".rest");

/** Call `listener()` when the table is opened: before, it is not made. */
export function onOpen(listener) {
  details.addEventListener("toggle", () => {
    if (details.open) listener();
  });
}

/** Write the slices, `step` ms each, into the table, if it is open. */
export function showTable(slices, step, now) {
  if (!details.open) return;
  const wanted = slices.times.map((time, place) => sliceAt(slices, place)).filter(hasSomething).reverse();
  rows.show(wanted.slice(0, MOST), (slice) => slice.time, (row, slice) => {
    const cells = [
      spanWords(slice.time, slice.time + step, step, now),
      count(slice.success),
      count(slice.error),
      count(slice.interrupted),
      count(slice.requests),
      count(slice.tokens),
      costWords(slice),
    ];
    for (const [place, words] of cells.entries()) {
      if (row.cells[place].textContent !== words) row.cells[place].textContent = words;
    }
  });
  rest.textContent = restWords(wanted.length, slices);
}

function hasSomething({ success, error, interrupted, requests }) {
  return success + error + interrupted + requests > 0;
}

function restWords(number, slices) {
  const empty = slices.success.filter((value) => value !== null).length - number;
  const parts = [];
  if (number > MOST) parts.push(`The newest ${MOST} of ${count(number)} bars.`);
  if (empty > 0) parts.push(`In ${count(empty)} ${number > 0 ? "other " : ""}${empty === 1 ? "bar" : "bars"} nothing happened.`);
  return parts.join(" ");
}
