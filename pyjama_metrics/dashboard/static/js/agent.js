// The page of one agent: asks for it when the address names one, and again when it changed.

import { showHead, showName, tickHead } from "./agent-head.js";
import { followPast } from "./agent-past.js";
import { chosenRun, followLatest, onRun, showRuns, tickRuns } from "./agent-runs.js";
import { Source } from "./agent-source.js";
import { showSteps, tickSteps } from "./agent-steps.js";
import { showAgentLog, showErrors } from "./agent-talk.js";
import { showTools } from "./agent-tools.js";
import { showUsage } from "./agent-usage.js";
import { showWaterfall, tickWaterfall } from "./agent-waterfall.js";
import { loadStyles } from "./loading.js";
import { onRoute } from "./route.js";
import { data, onFrame } from "./store.js";
import { onTick } from "./ticks.js";

await loadStyles("../agent.css");

const page = document.querySelector("#agent-page");
const parts = document.querySelector("#agent-parts");
const gone = document.querySelector("#agent-gone");
const trouble = document.querySelector("#agent-trouble");

const agentSource = new Source(showAgent);
const runSource = new Source(showRun);
let id = null; // of the agent that the address names
let shown = null; // AgentDetail

onRoute((route) => {
  const wanted = route.name === "agent" ? route.id : null;
  page.hidden = wanted === null;
  if (wanted !== null && wanted !== id) open(wanted);
  if (wanted === null) close();
});

onFrame((change) => {
  if (id !== null && (change.all || change.agents.has(id))) look();
});

onRun(pointAtRun);

onTick((now) => {
  if (!shown) return;
  tickHead(shown, now);
  tickRuns(now);
  tickSteps(now);
  tickWaterfall(now);
});

function open(wanted) {
  id = wanted;
  shown = null;
  followLatest();
  parts.hidden = gone.hidden = trouble.hidden = true;
  showName(id);
  showSteps(null);
  showWaterfall(null);
  runSource.point(null);
  agentSource.point(null);
  followPast(id);
  look();
  document.querySelector("#agent-name").focus({ preventScroll: true });
  scrollTo(0, 0);
}

/** Ask for the agent, if it is there. */
function look() {
  if (!data()) return; // the first frame is on its way
  const isThere = Object.hasOwn(data().agents, id);
  if (!isThere) return showAgent({ status: 404, view: null });
  agentSource.point(`/api/agents?id=${encodeURIComponent(id)}`);
  agentSource.ask();
  runSource.ask();
}

function close() {
  id = shown = null;
  followPast(null);
  agentSource.point(null);
  runSource.point(null);
}

function showAgent({ status, view }) {
  shown = view ?? (status === 404 ? null : shown);
  gone.hidden = status !== 404;
  trouble.hidden = view !== null || status === 404;
  trouble.textContent = status === 0 ? "The server does not answer; what is here is what it said last." : `The server could not tell (${status}).`;
  parts.hidden = shown === null;
  if (status === 404) leave();
  if (view === null) return;
  showHead(view);
  showRuns(view);
  showTools(view);
  showUsage(view);
  showErrors(view);
  showAgentLog(view);
  pointAtRun();
}

/** The agent is gone: nothing more is asked until it comes back. */
function leave() {
  showName(id);
  agentSource.point(null);
  runSource.point(null);
}

function showRun({ view }) {
  const run = chosenRun();
  if (view === null || view.run.id !== run?.id) return;
  showSteps(view.run);
  showWaterfall(view);
}

function pointAtRun() {
  const run = chosenRun();
  if (run === null) {
    showSteps(null);
    showWaterfall(null);
  }
  runSource.point(run && `/api/runs?id=${encodeURIComponent(run.id)}`);
}
