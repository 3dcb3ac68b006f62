// What is wrong, in sentences: what keeps the figures from being current, and what could not be counted.

import { count } from "./format.js";

const panel = document.querySelector("#troubles");
const list = panel.querySelector("ul");
let lastSaid = "";

// The kind, and what to say of one and of many of them.
const LOSSES = [
  ["lost-events", "event could not be written by its recorder and is missing here", "events could not be written by their recorders and are missing here"],
  ["malformed-lines", "line of the journals could not be read and was left out", "lines of the journals could not be read and were left out"],
  ["invalid-values", "impossible time, duration or count was left out", "impossible times, durations or counts were left out"],
  ["unknown-events", "event is of a kind that this version does not know and was left out", "events are of kinds that this version does not know and were left out"],
];

export function showTroubles(hub, problems) {
  const sentences = [...hub.troubles, ...losses(problems)];
  panel.hidden = sentences.length === 0;
  const said = sentences.join("\n");
  if (said === lastSaid) return; // a screen reader need not hear it again
  lastSaid = said;
  list.replaceChildren(...sentences.map(item));
}

function losses(problems) {
  const counted = LOSSES.filter(([kind]) => problems[kind] > 0);
  return counted.map(([kind, one, many]) => `${count(problems[kind])} ${problems[kind] === 1 ? one : many}.`);
}

function item(sentence) {
  const element = document.createElement("li");
  element.textContent = sentence;
  return element;
}
