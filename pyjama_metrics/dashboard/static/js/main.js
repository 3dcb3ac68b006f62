// Brings the page to life. Each panel is a module that knows its part of the page and nothing of the others. Here is what
// one sees first; the rest is loaded when that is on screen, and the page of an agent when somebody goes there.

import "./theme.js";
import "./shell.js";
import "./needs.js";
import "./limits.js";
import "./tiles.js";
import "./agents.js";
import "./title.js";
import "./connection-state.js";
import { onRoute } from "./route.js";
import { onFrame } from "./store.js";

const asked = new Set();
let isAgent = false;

onRoute(({ name }) => {
  isAgent = name === "agent";
  if (isAgent) bring("./agent.js");
});

onFrame(() => {
  if (isAgent) bring("./agent.js");
  // What this frame shows is on screen when the next one begins.
  if (!asked.has("./later.js")) requestAnimationFrame(() => setTimeout(() => bring("./later.js")));
});

/** Load a module, once. */
async function bring(name) {
  if (asked.has(name)) return;
  asked.add(name);
  try {
    await import(name);
  } catch {
    asked.delete(name); // the server is gone; with its next figures comes a frame, and then it is asked for again
  }
}
