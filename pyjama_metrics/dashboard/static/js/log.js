// The panel of the log: newest first. It follows, until somebody pauses it or reads further down; then new entries wait.

import { count } from "./format.js";
import { isCommand } from "./keys.js";
import { choice, isFiltered, onChoice, showOffers } from "./log-controls.js";
import { copyEntries } from "./log-copy.js";
import { LogEntries, MOST } from "./log-entries.js";
import { matcher } from "./log-filter.js";
import { LogRows } from "./log-rows.js";
import { onRoute } from "./route.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";

const PAGE = 100;
const AT_TOP = 2; // px; zoomed pages stop at fractions
const DAY = 86_400_000;

const panel = document.querySelector(".panel.log");
const list = document.querySelector("#log");
const scroll = panel.querySelector(".scroll");
const total = document.querySelector("#log-total");
const none = document.querySelector("#no-log");
const nonesuch = document.querySelector("#no-such-entry");
const fresh = document.querySelector("#log-fresh");
const more = document.querySelector("#more-log");
const pause = document.querySelector("#log-pause");
const copy = document.querySelector("#log-copy");

const entries = new LogEntries();
const rows = new LogRows(list, document.querySelector("#log-row"));

const reasons = { isPaused: false, isAway: false, isFocused: false, isSelected: false }; // why new entries wait
let held = null; // while they wait: {all, number} of those that are shown
let matching = [];
let limit = PAGE;
let isInView = true;
let isOffered = false;

onRoute(({ name }) => {
  isInView = name === "overview";
  if (isInView) show();
});

onFrame((change) => {
  const before = entries.all;
  if (entries.update(data()["recent-logs"], change.logs)) {
    if (held) held = holding();
    limit = PAGE;
  }
  if (before === entries.all) return;
  isOffered = false;
  show();
});

onTick(() => {
  if (isOffered || !data()) return;
  isOffered = true;
  showOffers(entries.all.map(({ entry }) => entry));
});

onChoice(() => {
  limit = PAGE;
  scroll.scrollTop = 0;
  show();
});

scroll.addEventListener("scroll", () => hold({ isAway: scroll.scrollTop > AT_TOP }), { passive: true });
list.addEventListener("focusin", () => hold({ isFocused: true }));
list.addEventListener("focusout", () => hold({ isFocused: false }));
document.addEventListener("selectionchange", () => {
  const selection = document.getSelection();
  hold({ isSelected: !selection.isCollapsed && list.contains(selection.anchorNode) });
});

pause.addEventListener("click", () => setPaused(!reasons.isPaused));
document.addEventListener("keydown", (event) => {
  if (isCommand(event, "p") && isInView) setPaused(!reasons.isPaused);
});

fresh.addEventListener("click", () => {
  scroll.focus({ preventScroll: true });
  scroll.scrollTop = 0;
  reasons.isAway = false;
  held = isHeld() ? holding() : null;
  show();
});

more.addEventListener("click", () => {
  limit += PAGE;
  show();
});

copy.addEventListener("click", () => copyEntries(copy, shownEntries().map(({ entry }) => entry)));

function setPaused(isPaused) {
  hold({ isPaused });
  pause.textContent = isPaused ? "Follow" : "Pause";
  panel.toggleAttribute("data-paused", isPaused);
}

function isHeld() {
  return Object.values(reasons).some(Boolean);
}

/** Change why new entries wait. What is shown stays as it is while there is a reason. */
function hold(changes) {
  Object.assign(reasons, changes);
  if (isHeld() === (held !== null)) return;
  held = isHeld() ? holding() : null;
  show();
}

function holding() {
  return { all: entries.all, number: entries.arrived };
}

function shownEntries() {
  return matching.slice(0, limit);
}

function show() {
  if (!isInView) return;
  const isWanted = matcher(choice);
  matching = (held?.all ?? entries.all).filter(({ entry }) => isWanted(entry));
  rows.show(shownEntries());
  showFresh(held ? entries.all.filter(({ entry, number }) => number > held.number && isWanted(entry)).length : 0);
  showRest();
}

function showFresh(waiting) {
  fresh.hidden = waiting === 0;
  fresh.textContent = `${count(waiting)}${waiting === MOST ? "+" : ""} new`;
}

function showRest() {
  const known = (held?.all ?? entries.all).length;
  total.textContent = isFiltered() ? `${count(matching.length)} of ${count(known)}` : known > 0 ? count(known) : "";
  none.hidden = known > 0;
  nonesuch.hidden = matching.length > 0 || known === 0;
  const hidden = Math.max(0, matching.length - limit);
  more.hidden = hidden === 0;
  more.textContent = `Show ${count(Math.min(PAGE, hidden))} more`;
  const oldest = shownEntries().at(-1)?.entry.timestamp ?? Infinity;
  list.toggleAttribute("data-days", Date.now() - oldest >= DAY);
}
