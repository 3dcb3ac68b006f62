// One agent in the table: what it does, since when, and how well.

import { elapsedOf } from "./agents-order.js";
import { costParts, costWords } from "./cost-words.js";
import { fill, showState, write, writePlain, writeText } from "./fields.js";
import * as format from "./format.js";
import { agentHref } from "./route.js";
import { contextWords, share as shareWords, sourceWords } from "./session-words.js";
import { drawSpark, makeSpark } from "./sparkline.js";
import { knownStatus, OPEN } from "./statuses.js";
import { set } from "./svg.js";

const ALARMING = 0.1; // share of executions that failed
const BADGES = new Map([["claude-code", "Claude"]]); // shorter than its name
const LONGEST_BADGE = 12; // characters
const NEARLY_FULL = 80; // per cent of a context
const DEEPEST = 8; // levels that are drawn; whoever is deeper stands at the eighth

/** Write an agent into its row. `place` is its place in the tree: `{id, depth, rails, hasChildren, isOpen, isTree}`. */
export function fillRow(row, agent, place, now) {
  const parts = partsOf(row);
  const subtree = place.isTree && place.hasChildren ? (agent.subtree ?? null) : null;
  fill(row, subtree ? withSums(agent, subtree) : agent);
  writeCost(parts.cost, subtree ?? agent);
  writeText(parts.now, whatNow(agent));
  fillSession(parts, agent);
  showState(row, knownStatus(agent.status));
  markFailures(row, (subtree ?? agent).error, (subtree ?? agent).count);
  row.toggleAttribute("data-sum", subtree !== null);
  for (const cell of parts.sums) cell.title = subtree ? `with the agents below it: ${subtree.agents} in all` : "";
  fillPlace(parts, place);
  tickRow(row, agent, now);
}

/** Mark a row in which something failed, and one in which so much failed that somebody should look. */
export function markFailures(row, error, count) {
  row.toggleAttribute("data-missed", error > 0);
  row.toggleAttribute("data-failing", error > count * ALARMING);
}

/** Write what changes with time alone. */
export function tickRow(row, agent, now) {
  const { elapsed, seen, spark } = partsOf(row);
  writePlain(elapsed, elapsedWords(agent, now));
  writePlain(seen, format.ago(agent["last-seen"], now));
  drawSpark(spark, agent.recent ?? null, now);
}

/** How long the latest run has taken so far, or took. */
export function elapsedWords(agent, now) {
  const words = OPEN.has(agent.status) ? format.elapsed : format.took;
  return words(elapsedOf(agent, now));
}

/** Who recorded the agent, and what its session told: a badge, a gauge of its context, and the rest in tips. */
function fillSession({ link, source, context, gauge, share }, agent) {
  const about = agent.about ?? null;
  const program = agent.source === null ? "" : sourceWords(agent.source);
  writePlain(source, BADGES.get(agent.source) ?? program.slice(0, LONGEST_BADGE));
  source.title = [program, about?.version].filter(Boolean).map(format.text).join(" ");
  source.hidden = program === "";
  const facts = about === null ? [] : [about.project, about.branch && `branch ${format.text(about.branch)}`, about.model];
  link.dataset.tip = [program, ...facts].filter(Boolean).map(format.text).join(" · ");
  const percent = about?.["context-percent"] ?? null;
  gauge.parentElement.hidden = percent === null;
  gauge.style.width = `${percent ?? 0}%`;
  writePlain(share, percent === null ? "" : shareWords(percent));
  context.dataset.level = percent === null || percent < NEARLY_FULL ? "" : "nearly";
  context.title = about === null ? "" : [contextWords(about, Date.now()), format.text(about.model)].filter(Boolean).join(" · ");
}

function withSums(agent, { count, error, tokens, "estimated-tokens": estimated }) {
  return { ...agent, count, error, tokens, "estimated-tokens": estimated, "success-rate": count > 0 ? (count - error) / count : null };
}

/** What a waiting agent waits for, what one at work does, what went wrong where one did not end well. */
export function whatNow(agent) {
  if (agent.status === "waiting") return agent["waiting-reason"] ?? "";
  if (agent.status === "running") return [agent["current-step"], agent["current-tool"]].filter(Boolean).join(" · ");
  if (agent.status === "crashed") return "its process died without a word"; // its last error is another story
  return agent.status === "failed" ? (agent["last-error"] ?? "") : "";
}

/** Write a cost as far as it is known; how sure it is stands in its tooltip. */
export function writeCost(element, view) {
  const cost = view["cost-micros"] ?? null;
  const requests = view.requests ?? 0;
  write(element, costWords(view));
  element.toggleAttribute("data-unpriced", cost === null);
  const exact = cost === null ? "" : `${format.exactMoney(cost)} for `;
  const title = requests > 0 ? `${exact}${format.many(requests, "model call")}: ${costParts(view)}` : "";
  if (element.title !== title) element.title = title;
}

const known = new WeakMap();

function partsOf(row) {
  if (!known.has(row)) known.set(row, findParts(row));
  return known.get(row);
}

function findParts(row) {
  const spark = makeSpark();
  row.querySelector(".recent").append(spark);
  return {
    spark,
    rails: row.querySelector(".rails"),
    twist: row.querySelector(".twist"),
    link: row.querySelector("a"),
    name: row.querySelector("[data-name]"),
    now: row.querySelector("[data-now]"),
    source: row.querySelector("[data-source]"),
    context: row.querySelector("td.context"),
    gauge: row.querySelector(".gauge i"),
    share: row.querySelector("[data-context]"),
    cost: row.querySelector("[data-cost]"),
    elapsed: row.querySelector("[data-elapsed]"),
    seen: row.querySelector("time"),
    sums: row.querySelectorAll(".count, .error, .success-rate, .tokens"),
  };
}

function fillPlace({ rails, twist, link, name }, { id, depth, rails: wanted, hasChildren, isOpen, isTree }) {
  writeText(name, id || "(no name)");
  const href = agentHref(id);
  if (link.getAttribute("href") !== href) link.setAttribute("href", href);
  link.title = [id.length > 12 ? format.text(id) : "", link.dataset.tip].filter(Boolean).join("\n");
  const drawn = isTree ? wanted.slice(0, DEEPEST) : [];
  if (rails.dataset.drawn !== drawn.join(" ")) {
    rails.dataset.drawn = drawn.join(" ");
    rails.replaceChildren(...drawn.map(rail));
  }
  twist.hidden = !(isTree && hasChildren);
  set(twist, { "aria-expanded": isOpen, "aria-label": `agents below ${format.text(id)}` });
  set(rails.parentElement, { "data-depth": isTree ? depth : "" });
}

function rail(kind) {
  const element = document.createElement("i");
  element.className = kind;
  return element;
}
