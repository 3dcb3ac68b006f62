// Who needs somebody: those that are blocked, then those that ended badly and were not put aside.

import { copy } from "./copy.js";
import { fill, showState, writeText } from "./fields.js";
import { count } from "./format.js";
import { canDismiss, dismiss, isDismissed, onDismissed } from "./needs-dismissed.js";
import { agentHref, onRoute } from "./route.js";
import { Rows } from "./rows.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";

const MOST = 6; // rows, until asked for more
const SILENCE_MS = 10_000; // between two sentences for a screen reader
const KINDS = new Set(["waiting", "repeating", "failed", "crashed"]);
const BLOCKED = new Set(["waiting", "repeating"]);
const UNFIT = /[\u0000-\u001f\u007f]/; // a command with a line end would be executed when it is pasted

const panel = document.querySelector("#needs-panel");
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
let showsAll = false;
let showsAside = false;
let isOverview = true;
let toSay = null;
let lastSaid = 0;

onFrame(show);
onDismissed(show);
onRoute((route) => {
  isOverview = route.name === "overview";
  show();
});
onTick(speak);

more.addEventListener("click", () => {
  showsAll = !showsAll;
  show();
});
asideButton.addEventListener("click", () => {
  showsAside = !showsAside;
  show();
});
panel.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  const need = shown.get(button?.closest("li"));
  if (need && "copy" in button.dataset) copyCommand(need, button);
  if (need && "dismiss" in button.dataset) putAside(need, button.closest("li"));
});

function show() {
  const needs = data()?.needs ?? [];
  const dismissed = needs.filter(isDismissed);
  const wanted = needs.filter((need) => !isDismissed(need));
  const listed = showsAside ? [...wanted, ...dismissed] : wanted;
  rows.show(showsAll ? listed : listed.slice(0, MOST), keyOf, fillRow);
  panel.toggleAttribute("data-urgent", wanted.some((need) => BLOCKED.has(need.kind)));
  title.classList.toggle("unseen", wanted.length === 0);
  total.textContent = wanted.length === 0 ? "" : count(wanted.length);
  none.hidden = wanted.length > 0;
  more.hidden = listed.length <= MOST;
  more.textContent = showsAll ? "Show fewer" : `${count(listed.length - MOST)} more`;
  aside.hidden = dismissed.length === 0;
  asideCount.textContent = count(dismissed.length);
  asideButton.textContent = showsAside ? "hide" : "show";
  link.hidden = isOverview || wanted.length === 0;
  link.firstElementChild.textContent = sentence(wanted.length);
  say(`${sentence(wanted.length)}.`);
}

function keyOf(need) {
  return JSON.stringify([need["agent-id"], need.kind, need.run]);
}

function fillRow(row, need) {
  shown.set(row, need);
  row.querySelector("time").dataset.format = BLOCKED.has(need.kind) ? "since" : "ago";
  fill(row, need);
  showState(row, KINDS.has(need.kind) ? need.kind : "unknown");
  row.toggleAttribute("data-aside", isDismissed(need));
  const name = row.querySelector("a");
  name.href = agentHref(need["agent-id"]);
  writeText(name.firstElementChild, need["agent-id"] || "(no name)");
  row.querySelector("[data-times]").textContent = need.times ? ` failed ${count(need.times)} times` : "";
  if (need.kind === "crashed" && !need.reason) writeText(row.querySelector(".reason"), "its process died without a word");
  fillActs(row, need);
}

function fillActs(row, need) {
  const copying = row.querySelector("[data-copy]");
  const hasCommand = Boolean(need.command) && !UNFIT.test(need.command);
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
