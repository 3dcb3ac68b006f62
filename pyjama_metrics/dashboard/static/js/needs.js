// Who needs somebody: those that are held up, then those that ended badly and were not put aside. What is below this list must
// not jump when one comes or goes: there is always room for a few, and the room grows only while nobody points below it.

import { copy, isCopyable } from "./copy.js";
import { fill, showState, writeText } from "./fields.js";
import { count } from "./format.js";
import { canDismiss, dismiss, isDismissed, onDismissed } from "./needs-dismissed.js";
import { agentHref, onRoute } from "./route.js";
import { Rows } from "./rows.js";
import { isIdle } from "./session-words.js";
import { ENDED_BADLY, HELD_UP } from "./statuses.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";

const MOST = 6; // rows, until asked for more
const LEAST_ROOM = matchMedia("(max-width: 759px)").matches ? 1 : 3; // rows; on a phone each takes two lines
const SILENCE_MS = 10_000; // between two sentences for a screen reader

const panel = document.querySelector("#needs-panel");
const below = document.querySelectorAll(".tiles, .panels");
const rows = new Rows(document.querySelector("#needs"), document.querySelector("#need-row"));
const title = document.querySelector("#needs-title");
const total = document.querySelector("#needs-total");
const none = document.querySelector("#needs-none");
const more = document.querySelector("#more-needs");
const aside = document.querySelector("#dismissed");
const asideCount = document.querySelector("#dismissed-count");
const asideButton = document.querySelector("#show-dismissed");
const link = document.querySelector("#needs-link");
const said = document.querySelector("#needs-said");

const shown = new WeakMap(); // row → the NeedView in it
let room = LEAST_ROOM; // rows
let isBegun = false;
let isFull = false; // more are to be shown than there is room for
let showsAll = false;
let showsAside = false;
let isOverview = true;
let toSay = null;
let lastSaid = 0;

onFrame(() => (isBegun ? show() : fit()));
onDismissed(fit);
onRoute((route) => {
  isOverview = route.name === "overview";
  fit();
});
onTick((now) => {
  if (isFull) show();
  speak(now);
});
document.addEventListener("visibilitychange", () => document.hidden && fit());

more.addEventListener("click", () => {
  showsAll = isFull || !showsAll;
  fit();
});
asideButton.addEventListener("click", () => {
  showsAside = !showsAside;
  fit();
});
panel.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  const need = shown.get(button?.closest("li"));
  if (need && "copy" in button.dataset) copyCommand(need, button);
  if (need && "dismiss" in button.dataset) putAside(need, button.closest("li"));
});

/** Make the room as large as it has to be: after the reader's own act, or while nobody looks. */
function fit() {
  room = LEAST_ROOM;
  isBegun = data() !== null;
  show(false);
}

function show(isHeld = isPointedBelow()) {
  const needs = data()?.needs ?? [];
  const dismissed = needs.filter(isDismissed);
  const wanted = needs.filter((need) => !isDismissed(need));
  const listed = showsAside ? [...wanted, ...dismissed] : wanted;
  const most = showsAll ? listed.length : Math.min(listed.length, MOST);
  if (!isHeld) room = Math.max(room, most);
  isFull = most > room;
  rows.show(listed.slice(0, Math.min(most, room)), keyOf, fillRow);
  panel.style.setProperty("--room", String(room));
  panel.toggleAttribute("data-urgent", wanted.some((need) => HELD_UP.has(need.kind) && !isIdle(need)));
  title.classList.toggle("unseen", wanted.length === 0);
  total.textContent = wanted.length === 0 ? "" : count(wanted.length);
  none.hidden = wanted.length > 0;
  more.hidden = listed.length <= Math.min(MOST, room);
  more.textContent = showsAll && !isFull ? "Show fewer" : `${count(listed.length - Math.min(most, room))} more`;
  aside.hidden = dismissed.length === 0;
  asideCount.textContent = count(dismissed.length);
  asideButton.textContent = showsAside ? "hide" : "show";
  link.hidden = isOverview || wanted.length === 0;
  link.firstElementChild.textContent = sentence(wanted.length);
  say(`${sentence(wanted.length)}.`);
}

function isPointedBelow() {
  return [...below].some((part) => part.matches(":hover, :focus-within"));
}

function keyOf(need) {
  return JSON.stringify([need["agent-id"], need.kind, need.run]);
}

function fillRow(row, need) {
  shown.set(row, need);
  row.querySelector("time").dataset.format = HELD_UP.has(need.kind) ? "since" : "ago";
  fill(row, need);
  showState(row, HELD_UP.has(need.kind) || ENDED_BADLY.has(need.kind) ? need.kind : "unknown");
  row.toggleAttribute("data-aside", isDismissed(need));
  const name = row.querySelector("a");
  name.href = agentHref(need["agent-id"]);
  writeText(name.firstElementChild, need["agent-id"] || "(no name)");
  row.querySelector("[data-times]").textContent = need.error ? ` failed ${count(need.error)} times` : "";
  if (need.kind === "crashed" && !need.reason) writeText(row.querySelector(".reason"), "its process died without a word");
  fillActs(row, need);
}

function fillActs(row, need) {
  const copying = row.querySelector("[data-copy]");
  const hasCommand = isCopyable(need.command);
  copying.hidden = !hasCommand;
  copying.title = hasCommand ? `Copy: ${need.command}` : "";
  const dismissing = row.querySelector("[data-dismiss]");
  dismissing.hidden = !canDismiss(need);
  dismissing.textContent = isDismissed(need) ? "Take back" : "Dismiss";
}

async function copyCommand(need, button) {
  if (await copy(need.command, button)) say("Copied.", true);
}

function putAside(need, row) {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  dismiss(need, !isDismissed(need));
  // The focus goes to the next row and not to the top of the page.
  if (!row.isConnected) (next?.querySelector("button:not([hidden]), a") ?? asideButton).focus();
}

function sentence(number) {
  if (number === 0) return "Nobody needs you";
  return number === 1 ? "1 agent needs you" : `${count(number)} agents need you`;
}

/** Have a sentence read out: the latest one, and not more often than one can listen to. */
function say(text, isAnswer = false) {
  toSay = text;
  if (isAnswer) lastSaid = 0;
  speak(Date.now());
}

function speak(now) {
  if (toSay === null || toSay === said.textContent || now - lastSaid < SILENCE_MS) return;
  said.textContent = toSay;
  lastSaid = now;
}
