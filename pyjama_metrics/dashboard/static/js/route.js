// Which view of the page is shown, by the address: `#/` is the overview, `#/agents/<id>` one agent.

const AGENTS = "#/agents/";

const listeners = [];
let route = routeOf(location.hash) ?? { name: "overview" };

/** Call `listener(route)` now and whenever it changes: `{name: "overview"}` or `{name: "agent", id}`. */
export function onRoute(listener) {
  listeners.push(listener);
  listener(route);
}

/** The address of an agent's page. */
export function agentHref(id) {
  return AGENTS + encodeURIComponent(id.toWellFormed?.() ?? id);
}

window.addEventListener("hashchange", () => {
  const next = routeOf(location.hash);
  if (!next || (next.name === route.name && next.id === route.id)) return;
  route = next;
  for (const listener of listeners) listener(route);
});

/** The route of an address; null for an address within the view that is shown. */
function routeOf(hash) {
  if (hash === "" || hash === "#" || hash === "#/") return { name: "overview" };
  if (!hash.startsWith(AGENTS)) return null;
  try {
    return { name: "agent", id: decodeURIComponent(hash.slice(AGENTS.length)) };
  } catch {
    return { name: "overview" }; // no text that encodeURIComponent makes
  }
}
