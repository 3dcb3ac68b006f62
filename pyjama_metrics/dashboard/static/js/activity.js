// The panel of the activity: asks for what the chosen range needs, no more often than it can change, and shows it while somebody looks.

import { onRange, chooseSpan, pace, range, RANGES } from "./activity-range.js";
import { sliceAt, slicesBetween, spanNow } from "./activity-slices.js";
import { onOpen, showTable } from "./activity-table.js";
import * as words from "./activity-words.js";
import { unpricedWords } from "./cost-words.js";
import { compact, count } from "./format.js";
import { isPlainKey } from "./keys.js";
import { CHARTS, loadScript, loadStyles } from "./loading.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";

const AGAIN = 5000; // ms after a failure
const REST = 2000; // ms without an event, after which the sums shall be those of the tiles
const LEAST_PACE = 3000; // ms between two requests, whatever happens
const FOLLOWED = 30_000; // ms after which the history is asked again: it may have caught up without a new version of the data
const SHIFTS = 60; // in which a span passes by

const panel = document.querySelector(".panel.activity");
const charts = panel.querySelector(".charts");
const [when, what] = panel.querySelector(".reading").children;
const known = document.querySelector("#activity-known");
const note = document.querySelector("#activity-note");
const figures = Object.fromEntries([...panel.querySelectorAll("[data-sum]")].map((element) => [element.dataset.sum, element]));

let plots = null;
let making = null; // the promise of the charts
let isSeen = false;
let activity = null; // the ActivityView that came last
let answered = null; // the choice that it answers
let shown = null; // what is drawn of it: {slices, span}
let asked = { at: -Infinity, version: null, request: null, isFailed: false };
let ahead = 0; // ms by which the server's clock is ahead of this one
let pointed = null;
let most = 0;
let changed = { version: null, at: -Infinity }; // the latest version of the data, and since when it is there

new IntersectionObserver((entries) => {
  isSeen = entries.at(-1).isIntersecting;
  look();
}).observe(panel);

onTick(look);
onRange(() => {
  asked.at = -Infinity;
  charts.setAttribute("aria-busy", "true"); // what is drawn is still that of another choice
  look();
});
onFrame(() => {
  const executions = data().metrics.global.count;
  if (executions < most) asked.at = -Infinity; // cleared
  most = executions;
  if (changed.version !== data().hub.version) changed = { version: data().hub.version, at: Date.now() };
  if (!Number.isFinite(asked.at)) look();
});
onOpen(() => shown && showTable(shown.slices, shown.span.step, Date.now()));

// Chosen here, in another tab or by the system: the theme ends up as this attribute.
new MutationObserver(() => plots?.recolour()).observe(document.documentElement, { attributeFilter: ["data-theme"] });

charts.addEventListener("keydown", (event) => {
  const last = (shown?.slices.times.length ?? 0) - 1;
  if (last < 0 || !isPlainKey(event)) return;
  const places = { ArrowLeft: (pointed ?? last + 1) - 1, ArrowRight: (pointed ?? -1) + 1, Home: 0, End: last, Escape: null };
  if (!Object.hasOwn(places, event.key)) return;
  event.preventDefault();
  const place = places[event.key];
  plots?.point(place === null ? null : Math.min(Math.max(place, 0), last));
});
charts.addEventListener("blur", () => plots?.point(null));

function look() {
  if (!isSeen || document.hidden || !data()) return;
  const now = Date.now();
  if (isDue(now)) ask(now);
  else if (answered === range && isBehind(now)) show(now);
}

/** Whether time has gone on so far that it is seen. Where nothing happens, the charts need not move bar by bar. */
function isBehind(now) {
  const { from, to } = spanOf(activity, now);
  return to - shown.span.to >= Math.max(activity.step, (to - from) / SHIFTS);
}

function isDue(now) {
  if (!Number.isFinite(asked.at)) return true;
  if (asked.isFailed) return now - asked.at >= AGAIN;
  if (range.name === "custom") return now - asked.at >= pace(asked.at);
  if (activity?.source === "history" && now - asked.at >= FOLLOWED) return true;
  const wait = now - changed.at >= REST ? Math.min(LEAST_PACE, pace(asked.at)) : pace(asked.at);
  return now - asked.at >= wait && asked.version !== data().hub.version;
}

async function ask(now) {
  asked.request?.abort();
  const request = new AbortController();
  const chosen = range;
  asked = { at: now, version: data().hub.version, request, isFailed: false };
  const query = range.name === "custom" ? `from=${range.from}&to=${range.to}` : `range=${range.name}`;
  try {
    const [answer] = await Promise.all([fetch(`/api/activity?${query}`, { signal: request.signal }), draw()]);
    const body = await answer.json();
    if (request.signal.aborted) return; // another choice was made while this came
    if (!answer.ok) throw new Error(body.error);
    activity = body;
    answered = chosen;
    ahead = range.name === "custom" ? ahead : activity.to - Date.now();
    delete note.dataset.failure;
    write(note, activity.note ?? "");
    charts.removeAttribute("aria-busy");
    show(Date.now());
  } catch (error) {
    if (request.signal.aborted) return;
    asked.isFailed = true;
    showFailure(error);
  }
}

/** The charts are made, and their library is loaded, when they are looked at for the first time. */
async function draw() {
  making ??= make();
  try {
    plots = await making;
  } catch (error) {
    making = null; // the next look tries again
    throw error;
  }
}

async function make() {
  const [{ Plots }] = await Promise.all([import("./activity-plot.js"), loadScript(CHARTS), loadStyles("../vendor/uplot/uPlot.min.css")]);
  return new Plots(window.uPlot, charts, { onPoint: showReading, onDrag: chooseSpan });
}

function spanOf({ step }, now) {
  return spanNow(range, RANGES[range.name]?.span, step, now + ahead);
}

function show(now) {
  const span = { ...spanOf(activity, now), step: activity.step, known: activity["known-from"] };
  const slices = slicesBetween(activity, span.from, span.to);
  const all = words.sums(slices);
  shown = { slices, span };
  plots.show(slices, span);
  write(known, words.knowledge(activity, now));
  write(figures.success, all.success === null ? "–" : `${compact(all.success)} ok`, count(all.success));
  write(figures.error, all.error === null ? "" : `${compact(all.error)} failed`, count(all.error));
  write(figures.tokens, compact(all.tokens), count(all.tokens));
  write(figures.cost, words.costWords(all) + (all.cost !== null && all.unpriced ? " + unpriced calls" : ""));
  const unpriced = unpricedWords(all.unpriced ?? 0, activity["unpriced-models"]);
  if (figures.cost.title !== unpriced) figures.cost.title = unpriced;
  charts.setAttribute("aria-label", words.summary(words.spanWords(span.from, span.to, span.step, now), all));
  showReading(pointed);
  showTable(slices, span.step, now);
}

/** The slice that is pointed at, in a line; else which span is shown. */
function showReading(place) {
  pointed = place;
  if (!shown) return;
  const { slices, span } = shown;
  const now = Date.now();
  if (place === null || slices.times[place] === undefined) {
    write(when, words.spanWords(span.from, span.to, span.step, now));
    write(what, "");
    return;
  }
  const slice = sliceAt(slices, place);
  write(when, words.spanWords(slice.time, slice.time + span.step, span.step, now));
  write(what, words.sliceLine(slice));
}

function showFailure(error) {
  note.dataset.failure = "";
  write(note, `The activity could not be loaded: ${error.message}`);
}

function write(element, text, exact = "") {
  if (element.textContent !== text) element.textContent = text;
  if (element.title !== exact) element.title = exact;
}
