// The limits of the user's plans, once for all: what any session told last. The strip is there only where one is known.

import { writePlain, writeText } from "./fields.js";
import { Rows } from "./rows.js";
import { ageWords, isOver, limitName, minuteOf, share, sourceWords } from "./session-words.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";

const NEARLY = 75; // per cent from which on one should know
const FULL = 90;

const strip = document.querySelector("#limits");
const rows = new Rows(strip.querySelector("ul"), document.querySelector("#limit-row"));
const limits = new WeakMap(); // row → its LimitView

onFrame(() => show());
onTick(tick);

function show() {
  const told = data().limits ?? [];
  strip.hidden = told.length === 0;
  rows.show(told, (limit) => JSON.stringify([limit.source, limit.name]), fillRow);
}

function fillRow(row, limit) {
  limits.set(row, limit);
  writeText(row.querySelector("[data-source]"), sourceWords(limit.source));
  writeText(row.querySelector("[data-limit]"), limitName(limit.name));
  tickRow(row, limit, Date.now());
}

function tick(now) {
  for (const row of strip.querySelectorAll("li")) if (limits.has(row)) tickRow(row, limits.get(row), now);
}

function tickRow(row, limit, now) {
  const over = isOver(limit, now);
  row.querySelector(".gauge i").style.width = `${over ? 0 : Math.min(100, Math.max(0, limit.percent))}%`;
  row.dataset.level = over || limit.percent < NEARLY ? "" : limit.percent < FULL ? "nearly" : "full";
  writePlain(row.querySelector("[data-percent]"), over ? "–" : share(limit.percent));
  const resets = limit.resets === null ? "" : `${over ? "began anew" : "resets"} ${minuteOf(limit.resets, now)}`;
  writePlain(row.querySelector("[data-resets]"), resets + (over ? "" : ageWords(limit.time, now)));
}
