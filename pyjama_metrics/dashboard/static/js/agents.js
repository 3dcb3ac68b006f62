// The panel of agents. Rows are touched when their agent changed, and once a second where they are in view.

import { choice, closed, onChoice } from "./agents-choice.js";
import { showOffers } from "./agents-controls.js";
import { listenForArrows } from "./agents-keys.js";
import { AgentList } from "./agents-list.js";
import { fillRow, tickRow } from "./agents-row.js";
import * as format from "./format.js";
import { onRoute } from "./route.js";
import { Rows } from "./rows.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";

const PAGE = 50; // rows at first, and each time more are asked for: a hundred take twice as long to paint
const MOST_PER_FRAME = 25; // new rows: what is in sight comes first, and no frame takes long
const NOTHING = { all: false, agents: new Set() };
const EVERYTHING = { all: true, agents: new Set() };

const body = document.querySelector("#agents");
const rows = new Rows(body, document.querySelector("#agent-row"));
const more = document.querySelector("#more-agents");
const held = document.querySelector("#agents-held");
const list = new AgentList();

const places = new WeakMap(); // row → its place, as it was filled
const inView = new Set();
let limit = PAGE;
let isPointedAt = false;
let isAsked = false;
let isShown = true; // the overview, and this panel with it

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inView.add(target);
    else inView.delete(target);
    if (!target.isConnected) watcher.unobserve(target);
  }
  tick(Date.now());
});

onFrame((change) => show(change));
onRoute(({ name }) => {
  isShown = name === "overview";
  isPointedAt = false; // a panel that goes does not tell that the pointer has left it
  show(EVERYTHING);
});
onChoice(() => show(EVERYTHING));
onTick(tick);
listenForArrows(body, (row) => places.get(row).id);

body.addEventListener("pointerenter", (event) => {
  isPointedAt = event.pointerType === "mouse";
});
body.addEventListener("pointerleave", () => {
  isPointedAt = false;
});
more.addEventListener("click", () => {
  limit += PAGE;
  show(EVERYTHING);
});
held.addEventListener("click", () => show(EVERYTHING, false));

function show(change, isHeld = isPointedAt || body.contains(document.activeElement)) {
  if (!data() || !isShown) return;
  const { agents } = data();
  const now = Date.now();
  const { rows: wanted, matches } = list.update(agents, choice, closed, isHeld, now);
  const hasAll = rows.show(wanted.slice(0, limit), (place) => place.id, (row, place) => {
    const before = places.get(row);
    if (!before) watcher.observe(row);
    if (before && !change.all && !change.agents.has(place.id) && isSame(before, place)) return;
    places.set(row, place);
    row.toggleAttribute("data-aside", !place.isMatch);
    fillRow(row, agents[place.id], place, now);
  }, MOST_PER_FRAME);
  if (!hasAll) showMore();
  const hidden = Math.max(0, wanted.length - limit);
  more.hidden = hidden === 0;
  more.textContent = `Show ${format.count(Math.min(PAGE, hidden))} more`;
  held.hidden = !(isHeld && list.isStale);
  body.parentElement.toggleAttribute("data-tree", choice.isTree);
  showColumns(Object.values(agents));
  showOffers(Object.values(agents), matches);
}

/** Where all agents were recorded by one program, or no session told of its context, that is not worth the room. */
function showColumns(all) {
  const table = body.parentElement;
  table.toggleAttribute("data-sources", all.some((agent) => agent.source !== all[0].source));
  table.toggleAttribute("data-context", all.some((agent) => (agent.about?.["context-percent"] ?? null) !== null));
}

/** Show, with the next frame, more of the rows that this one had no time for. */
function showMore() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => {
    isAsked = false;
    show(NOTHING);
  });
}

function tick(now) {
  const agents = data()?.agents ?? {};
  for (const row of inView) {
    const { id } = places.get(row);
    if (Object.hasOwn(agents, id)) tickRow(row, agents[id], now);
  }
}

function isSame(placeA, placeB) {
  return (
    placeA.isTree === placeB.isTree &&
    placeA.hasChildren === placeB.hasChildren &&
    placeA.isOpen === placeB.isOpen &&
    placeA.isMatch === placeB.isMatch &&
    placeA.rails.join() === placeB.rails.join()
  );
}
