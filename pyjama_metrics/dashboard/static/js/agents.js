// The table of agents. Those that wait for somebody come first, then those at work, both by name so that rows stay where
// they are; the others follow, the latest first.

import { fill, showState, writeText } from "./fields.js";
import { count } from "./format.js";
import { Rows } from "./rows.js";

const FIRST_SHOWN = 200;
const RANKS = { waiting: 0, running: 1 };
const STATES = new Set(["running", "waiting", "completed", "failed", "crashed", "stopped", "unknown"]);

const ENDED_BADLY = new Set(["failed", "crashed"]);

const rows = new Rows(document.querySelector("#agents"), document.querySelector("#agent-row"));
const total = document.querySelector("#agents-total");
const more = document.querySelector("#more-agents");
let showsAll = false;
let newest = {};

more.addEventListener("click", () => {
  showsAll = true;
  showAgents(newest);
});

export function showAgents(agents) {
  newest = agents;
  const sorted = Object.entries(agents).sort(byUrgency);
  const shown = showsAll ? sorted : sorted.slice(0, FIRST_SHOWN);
  rows.show(shown, ([name]) => name, fillAgent);
  total.textContent = sorted.length ? count(sorted.length) : "";
  more.hidden = shown.length === sorted.length;
  more.textContent = `Show ${count(sorted.length - shown.length)} more`;
}

function fillAgent(row, [name, agent]) {
  fill(row, agent);
  writeText(row.querySelector("[data-name]"), name || "(no name)");
  writeText(row.querySelector("[data-now]"), whatNow(agent));
  showState(row, STATES.has(agent.status) ? agent.status : "unknown");
}

/** What an agent at work does, why one waits, what went wrong where one did not end well. */
function whatNow(agent) {
  if (agent.status === "waiting") return agent["waiting-reason"] ?? "";
  if (agent.status === "running") return [agent["current-step"], agent["current-tool"]].filter(Boolean).join(" · ");
  return ENDED_BADLY.has(agent.status) ? (agent["last-error"] ?? "") : "";
}

function byUrgency([nameA, agentA], [nameB, agentB]) {
  const rankA = RANKS[agentA.status] ?? 2;
  const rankB = RANKS[agentB.status] ?? 2;
  if (rankA !== rankB) return rankA - rankB;
  const later = rankA === 2 ? (agentB["last-seen"] ?? 0) - (agentA["last-seen"] ?? 0) : 0;
  return later || (nameA < nameB ? -1 : 1);
}
