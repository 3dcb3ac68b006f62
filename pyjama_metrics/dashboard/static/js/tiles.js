// The tiles: figures that one sees from across the room. What they are out of is beneath them, and in full in their tips.

import { costParts, costWords, estimatedWords } from "./cost-words.js";
import { fill, write, writePlain, writeShort, writeTokens } from "./fields.js";
import * as format from "./format.js";
import { many } from "./format.js";
import { isIdle } from "./session-words.js";
import { drawSpark, makeSpark } from "./sparkline.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";

const MINUTE = 60_000;

const statusTiles = [...document.querySelectorAll(".tile[data-status]")];
const noun = document.querySelector("#running-tile [data-noun]");
const longest = document.querySelector("#waiting-tile [data-longest]");
const tiles = Object.fromEntries(["executions", "success", "errors", "tokens", "cost", "throughput"].map((id) => [id, partsOf(id)]));
const spark = makeSpark();
tiles.throughput.note.append(spark);

for (const tile of statusTiles) {
  tile.addEventListener("click", () => {
    document.dispatchEvent(new CustomEvent("filter-agents", { detail: { status: tile.dataset.status } }));
  });
}

onFrame(() => {
  showOverview(data().overview);
  showTools(data().metrics.global, data().today ?? null);
  showToday(data().today ?? null);
  showMoment(Date.now());
});

onTick(showMoment);

function showOverview(overview) {
  for (const tile of statusTiles) {
    fill(tile, overview);
    tile.toggleAttribute("data-none", overview[tile.dataset.status] === 0);
  }
  noun.textContent = overview.agents === 1 ? "agent" : "agents";
}

function showTools(tool, today) {
  const { executions, success, errors } = tiles;
  writeShort(executions.figure, format.compact(tool.count), format.count(tool.count));
  writeNote(executions, today ? `${format.compact(today.count)} today` : "");
  const apart = tool.interrupted === 0 ? "" : ` ${many(tool.interrupted, "was interrupted and is", "were interrupted and are")} not counted.`;
  writeTip(executions, `${many(tool.count, "execution")} with an outcome: ${format.count(tool.success)} succeeded, ${format.count(tool.error)} failed.${apart}`);
  write(success.figure, format.percent(tool["success-rate"]));
  writeNote(success, tool.count === 0 ? "" : `${format.compact(tool.success)} of ${format.compact(tool.count)}`);
  writeTip(success, tool.count === 0 ? "No tool was executed yet." : `${format.count(tool.success)} succeeded of ${format.count(tool.count)} with an outcome, which is success + error.${apart}`);
  write(errors.figure, format.percent(tool["error-rate"] ?? null));
  writeNote(errors, tool.count === 0 ? "" : `${format.compact(tool.error)} of ${format.compact(tool.count)}`);
  writeTip(errors, tool.count === 0 ? "No tool was executed yet." : `${format.count(tool.error)} failed of ${format.count(tool.count)} with an outcome, which is success + error.${apart}`);
}

function showToday(today) {
  const { tokens, cost } = tiles;
  const requests = today?.requests ?? 0;
  const calls = many(requests, "model call");
  writeTokens(tokens.figure, today?.tokens ?? null, today);
  writeNote(tokens, requests === 0 ? "" : `${format.compact(requests)} ${requests === 1 ? "call" : "calls"}`);
  const estimated = estimatedWords(today);
  writeTip(tokens, `${many(today?.tokens ?? 0, "token")} of all kinds in ${calls} since midnight${estimated && `; ${estimated}`}.`);
  showCost(cost, today ?? {}, requests, calls);
}

/** A cost that nobody knows is not written as 0. */
function showCost(tile, today, requests, calls) {
  const micros = today["cost-micros"] ?? null;
  const unpriced = today["unpriced-requests"] ?? 0;
  const isUnknown = requests > 0 && micros === null;
  const exact = format.exactMoney(micros);
  writeShort(tile.figure, costWords(today), exact);
  tile.place.toggleAttribute("data-none", isUnknown || micros === null);
  writeNote(tile, isUnknown ? `${format.compact(requests)} ${requests === 1 ? "call" : "calls"}` : unpriced > 0 ? `+ ${format.compact(unpriced)} unpriced` : "");
  if (requests === 0) writeTip(tile, "No model was called since midnight.");
  else if (isUnknown) writeTip(tile, `${calls} since midnight, and the cost of none is known: ${costParts(today)}.`);
  else writeTip(tile, `${exact} since midnight for ${calls}: ${costParts(today)}.`);
}

/** What changes with time alone: the longest wait, and the executions of the minute that ends now. */
function showMoment(now) {
  if (!data()) return;
  const waiting = (data().needs ?? []).filter((need) => need.kind === "waiting" && need.since !== null);
  const held = waiting.filter((need) => !isIdle(need));
  const needs = held.length > 0 ? held : waiting; // who is done with its work may wait for days
  const first = Math.min(...needs.map((need) => need.since));
  writePlain(longest, needs.length === 0 ? "" : `${needs.length === 1 ? "for" : "longest"} ${format.since(first, now)}`);
  const recent = data().recent ?? null;
  const executions = lastMinute(recent, now);
  writePlain(tiles.throughput.figure, rate(executions));
  tiles.throughput.place.toggleAttribute("data-none", executions === 0);
  writeTip(tiles.throughput, `${many(Math.round(executions), "tool execution")} in the last minute. The bars are the last 5 minutes.`);
  drawSpark(spark, recent, now);
}

/** The executions of a SparkView's last minute before `now`; of a slot that has begun before it, the part within it. */
function lastMinute(recent, now) {
  if (!recent) return 0;
  const { until, step, executions } = recent;
  const parts = executions.map((count, place) => {
    const end = until - (executions.length - 1 - place) * step;
    return count * Math.min(1, Math.max(0, (end - (now - MINUTE)) / step));
  });
  return parts.reduce((sum, part) => sum + part, 0);
}

function rate(perMinute) {
  const perSecond = perMinute / 60;
  if (perSecond < 1) return `${Math.round(perMinute)} /min`;
  return `${perSecond < 99.95 ? perSecond.toFixed(1) : format.count(Math.round(perSecond))} /s`;
}

function partsOf(id) {
  const place = document.querySelector(`#${id}-tile`);
  return { place, figure: place.querySelector("[data-figure]"), note: place.querySelector("[data-note]"), tip: document.querySelector(`#${id}-tip`) };
}

function writeNote(tile, text) {
  writePlain(tile.note, text);
}

function writeTip(tile, text) {
  writePlain(tile.tip, text);
}
