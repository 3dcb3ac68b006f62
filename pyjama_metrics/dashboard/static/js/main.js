// Brings the data to the panels. Each panel is a module that knows its part of the page and nothing of the others.

import { showAgents } from "./agents.js";
import "./clear.js";
import { connect } from "./connection.js";
import { fill, refreshTimes } from "./fields.js";
import { showLog } from "./log.js";
import { showOverview } from "./overview.js";
import { showTools } from "./tools.js";
import { showTroubles } from "./troubles.js";

const connection = document.querySelector("#connection");
const connectionText = document.querySelector("#connection-text");
const hubParts = document.querySelectorAll("[data-view=HubView]");

connect(show, tell);
setInterval(() => document.hidden || refreshTimes(document), 1000);
document.addEventListener("visibilitychange", () => document.hidden || refreshTimes(document));

function show(data) {
  const { hub, metrics, agents } = data;
  for (const part of hubParts) fill(part, hub);
  showTroubles(hub, data.problems);
  showOverview(data);
  showAgents(agents);
  showTools(metrics.tools);
  showLog(data["recent-logs"]);
  const isEmpty = !Object.keys(agents).length && !Object.keys(metrics.tools).length && !data["recent-logs"].length;
  document.querySelector("#nothing").hidden = !isEmpty;
  document.querySelector("#panels").hidden = isEmpty;
  document.body.dataset.version = hub.version;
}

function tell(state) {
  if (connection.dataset.state === state) return;
  connection.dataset.state = state;
  connectionText.textContent = state;
}
