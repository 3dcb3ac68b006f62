// The panel of the cost: what some days cost, how sure that is, and by whom, with which model and for what it was spent.

import { writeCost } from "./agents-row.js";
import { keepChoice, NAMES, spanOf, storedChoice, timeZone } from "./cost-days.js";
import { showFew, showRows } from "./cost-rows.js";
import { costParts, costWords } from "./cost-words.js";
import { fill, write } from "./fields.js";
import { count, exactMoney, many, money, text } from "./format.js";
import { loadStyles } from "./loading.js";
import { askPast } from "./past-source.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";

await loadStyles("../cost.css");

const AGAIN = 5000; // ms after a failure
const REST = 2500; // ms without a change, after which the history has it, too
const LEAST = 3000; // ms between two questions, whatever happens
const PACE = 10_000; // ms between two questions about today while something changes
const FOLLOWED = 30_000; // ms after which it is asked anyway: of longer spans, for changed prices, and because other days begin

const panel = document.querySelector(".panel.cost");
const spent = panel.querySelector(".spent");
const note = document.querySelector("#cost-note");
const known = document.querySelector("#cost-known");
const said = document.querySelector("#cost-said");
const advice = panel.querySelector("[data-advice]");
const parts = Object.fromEntries([...panel.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

let choice = storedChoice();
let isSeen = false;
let isNew = true; // nothing was said of the choice yet
let asked = { at: -Infinity, version: null, request: null, isFailed: false };
let changed = { version: null, at: -Infinity };

for (const [group, key] of [[".days", "days"], [".by", "by"]]) {
  for (const button of panel.querySelectorAll(`${group} button`)) {
    button.addEventListener("click", () => choose({ ...choice, [key]: button.value }));
  }
}

new IntersectionObserver((entries) => {
  isSeen = entries.at(-1).isIntersecting;
  look();
}).observe(panel);
onTick(look);
onFrame(() => {
  if (changed.version !== data().hub.version) changed = { version: data().hub.version, at: Date.now() };
});
mark();
delete panel.dataset.unloaded;
if (note.textContent === "") note.textContent = "Asking the history …";

function choose(next) {
  choice = next;
  keepChoice(choice);
  showFew();
  isNew = true;
  mark();
  spent.setAttribute("aria-busy", "true"); // what is shown is still that of another choice
  asked.at = -Infinity;
  look();
}

function mark() {
  for (const button of panel.querySelectorAll(".days button")) button.setAttribute("aria-pressed", String(button.value === choice.days));
  for (const button of panel.querySelectorAll(".by button")) button.setAttribute("aria-pressed", String(button.value === choice.by));
}

function look() {
  if (isSeen && !document.hidden && data() && isDue(Date.now())) ask(Date.now());
}

function isDue(now) {
  const since = now - asked.at;
  if (asked.isFailed) return since >= AGAIN;
  if (since >= FOLLOWED) return true;
  if (asked.version === changed.version) return false;
  return (choice.days === "today" && since >= PACE) || (since >= LEAST && now - changed.at >= REST);
}

async function ask(now) {
  asked.request?.abort();
  const request = new AbortController();
  // Of a change that has just come the history may know nothing yet: it is asked for once more.
  asked = { at: now, version: now - changed.at >= REST ? changed.version : null, request, isFailed: false };
  const { from, to } = spanOf(choice.days, now);
  const zone = choice.by === "day" ? `&timezone=${encodeURIComponent(timeZone())}` : "";
  try {
    const { body, failure } = await askPast(`/metrics/history/breakdown?from=${from}&to=${to}&by=${choice.by}${zone}`, request.signal);
    if (request.signal.aborted) return;
    asked.isFailed = failure !== undefined;
    spent.removeAttribute("aria-busy");
    if (failure === undefined) show(body);
    else showFailure(failure);
  } catch (error) {
    if (!request.signal.aborted) throw error;
  }
}

function show(breakdown) {
  const { usage, executions } = breakdown;
  const isEmpty = usage.requests === 0;
  spent.hidden = isEmpty;
  delete note.dataset.failure;
  write(note, isEmpty ? emptyWords(executions.count) : "");
  if (!isEmpty) {
    showSum(usage);
    showParts(usage);
    showAdvice(usage);
    showRows(breakdown);
    showKnown(breakdown);
  }
  if (isNew) write(said, isEmpty ? "" : `Cost ${inWords()}, by ${choice.by}: ${costWords(usage)}; ${costParts(usage)}.`);
  isNew = false;
}

function inWords() {
  return NAMES[choice.days].startsWith("the") ? `of ${NAMES[choice.days]}` : NAMES[choice.days];
}

function emptyWords(executions) {
  const when = NAMES[choice.days].startsWith("the") ? `in ${NAMES[choice.days]}` : NAMES[choice.days];
  const others = executions > 0 ? `, in ${many(executions, "execution")} of tools` : "";
  return `No model was called ${when}${others}. A call counts when it is recorded: with record_llm_usage in Python, or “pyjama-metrics record llm”.`;
}

function showSum(usage) {
  const sum = panel.querySelector(".sum");
  fill(sum, usage);
  writeCost(sum.querySelector("[data-cost]"), usage);
  write(sum.querySelector("[data-when]"), `${NAMES[choice.days]}, for `);
  const all = Math.max(1, usage["cost-micros"] ?? 0);
  const [reported, computed] = panel.querySelectorAll(".known i");
  reported.style.flexGrow = (usage["reported-micros"] ?? 0) / all;
  computed.style.flexGrow = (usage["computed-micros"] ?? 0) / all;
}

function showParts(usage) {
  showPart(parts.reported, money(usage["reported-micros"]), exactMoney(usage["reported-micros"]));
  showPart(parts.computed, computedMoney(usage), exactMoney(usage["computed-micros"]));
  const unpriced = usage["unpriced-requests"];
  const models = usage["unpriced-models"].map((model) => text(model) || "no model told");
  showPart(parts.unpriced, unpriced === 0 ? "–" : many(unpriced, "call"), models.join(", "));
  write(parts.unpriced.querySelector(".fine"), unpriced === 0 ? "every call has a price" : models.join(", "));
  parts.unpriced.querySelector(".fine").title = unpriced === 0 ? "" : models.join(", ");
}

// In whole cents the parts add up to the sum as it is written: what rounding leaves over is in the computed part.
function computedMoney({ "cost-micros": cost, "reported-micros": reported, "computed-micros": computed }) {
  const areCents = [cost, reported, computed].every((micros) => micros !== null && micros >= 1e4 && micros < 999e6);
  return money(areCents ? (Math.round(cost / 1e4) - Math.round(reported / 1e4)) * 1e4 : computed);
}

function showPart(part, words, exact) {
  const figure = part.querySelector("dd");
  write(figure, words);
  figure.title = exact === words ? "" : exact;
  part.toggleAttribute("data-nothing", words === "–");
}

/** What can be done about calls without a price. */
function showAdvice(usage) {
  const [model, ...others] = usage["unpriced-models"];
  advice.hidden = usage["unpriced-requests"] === 0;
  if (advice.hidden) return;
  const [before, after] = advice.querySelectorAll("span");
  const isNamed = model !== undefined && /^[\w.:/@-]+$/.test(model);
  const calls = usage["unpriced-requests"];
  write(before, `${many(calls, "call")} ${calls === 1 ? "is" : "are"} not in this sum, because nobody told what ${calls === 1 ? "it" : "they"} cost and no price is known. See`);
  write(advice.querySelector("code"), `pyjama-metrics prices${isNamed ? ` ${model}` : ""}`);
  const rest = others.length > 0 ? ` (and ${count(others.length)} more ${others.length === 1 ? "model" : "models"})` : "";
  write(after, `${rest}; a price of your own goes into config.toml, and then counts for the past, too.`.trimStart());
}

function showKnown(breakdown) {
  const from = breakdown["known-from"];
  write(known, from !== null && from > breakdown.from ? `The history begins on ${date.format(from)}; what was before is in none of this.` : "");
}

function showFailure(failure) {
  note.dataset.failure = "";
  write(note, spent.hidden ? failure : `${failure} What is here is what it said last.`);
}
