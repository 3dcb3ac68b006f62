// The tiles: views that are there once.

import { fill } from "./fields.js";
import { count } from "./format.js";

const successTile = document.querySelector("#success-tile");
const definition = successTile.title;

export function showOverview(data) {
  const { overview, metrics } = data;
  const views = { Overview: overview, ToolView: metrics.global, RunsView: metrics.runs };
  for (const tile of document.querySelectorAll(".tile")) {
    fill(tile, views[tile.dataset.view]);
    tile.toggleAttribute("data-none", tile.dataset.status !== undefined && overview[tile.dataset.status] === 0);
  }
  const noun = document.querySelector("[data-plural]");
  noun.textContent = overview.agents === 1 ? noun.dataset.one : noun.dataset.plural;
  const tool = metrics.global;
  successTile.title = `${definition}: ${count(tool.success)} of ${count(tool.success + tool.error)}; ${count(tool.interrupted)} interrupted stand apart`;
}
