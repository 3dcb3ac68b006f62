// The frame of the page: which view is shown, what is told of the hub as a whole, and the times that go by.

import { fill, refreshTimes } from "./fields.js";
import { onRoute } from "./route.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";
import { showTroubles } from "./troubles.js";

const overviewPart = document.querySelector("#overview");
const nothing = document.querySelector("#nothing");
const main = document.querySelector("#main");
const hubParts = document.querySelectorAll("[data-view=HubView]");

let left = null; // where the overview was left: `{y, id}`

onRoute((route) => {
  const isOverview = route.name === "overview";
  if (overviewPart.hidden && isOverview) comeBack();
  else if (!overviewPart.hidden && !isOverview) left = { y: scrollY, id: route.id };
  overviewPart.hidden = !isOverview;
});

onFrame(() => {
  const { hub, problems } = data();
  for (const part of hubParts) fill(part, hub);
  showTroubles(hub, problems);
  const isEmpty = hasNothing(data());
  nothing.hidden = !isEmpty;
  for (const part of overviewPart.children) if (part !== nothing) part.hidden = isEmpty;
});

onTick((now) => refreshTimes(document, now));

document.querySelector("#skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address belongs to the route
  main.focus();
});

function comeBack() {
  overviewPart.hidden = false;
  scrollTo(0, left?.y ?? 0);
  const links = [...overviewPart.querySelectorAll(".agents a")];
  (links.find((link) => link.textContent === left?.id) ?? main).focus({ preventScroll: true });
}

function hasNothing({ agents, metrics, "recent-logs": logs }) {
  return logs.length === 0 && Object.keys(agents).length === 0 && Object.keys(metrics.tools).length === 0;
}
