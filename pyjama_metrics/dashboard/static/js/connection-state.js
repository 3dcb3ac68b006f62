// The state of the connection, in the head of the page. Only the word is read out, and only when it changes.

import { connect } from "./connection.js";
import { elapsed, exactTime } from "./format.js";
import { onTick } from "./ticks.js";

const OFFLINE_MS = 10_000; // without any answer

const SAYS = {
  connecting: "Asking the server for the first time.",
  live: "Changes are shown when they happen.",
  polling: "The server has no place for one more page that is live; the figures are asked for every 3 seconds.",
  reconnecting: "The server does not answer; it is asked again and again.",
  offline: "The server does not answer; it is asked again and again. The figures are what it said last.",
  resting: "Nobody looks at this tab; it goes on when somebody does.",
};

const place = document.querySelector("#connection");
const shape = place.querySelector("use");
const word = document.querySelector("#connection-word");
const since = document.querySelector("#connection-since");

let lost = null; // the moment of the last word from the server, ms

connect((state) => {
  lost = state === "reconnecting" ? (lost ?? Date.now()) : null;
  show(state);
});

onTick((now) => {
  if (lost === null || now - lost < OFFLINE_MS) return;
  show("offline");
  since.textContent = elapsed(now - lost);
});

function show(state) {
  if (state === "reconnecting" && place.dataset.state === "offline") return; // it still is
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  place.title = lost === null ? SAYS[state] : `${SAYS[state]} Last heard of at ${exactTime(lost)}.`;
  shape.setAttribute("href", `#shape-${state}`);
  word.textContent = state;
  since.textContent = "";
}
