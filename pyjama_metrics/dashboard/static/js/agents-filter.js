// Which agents are shown: by name, status, source and host.

import { FINISHED } from "./statuses.js";

/** The test that a choice puts to each agent: `(id, agent) => boolean`. A status that is asked for is shown, finished or not. */
export function matcher(choice) {
  const wanted = choice.search.trim().toLowerCase();
  return (id, agent) =>
    (choice.status === "" ? !(choice.hidesFinished && FINISHED.has(agent.status)) : agent.status === choice.status) &&
    (choice.source === "" || agent.source === choice.source) &&
    (choice.host === "" || agent.host === choice.host) &&
    (wanted === "" || id.toLowerCase().includes(wanted));
}

/** The values that occur in a field of the agents, and how often, sorted by `before`: `[[value, count]]`. */
export function occurring(agents, field, before) {
  const counts = new Map();
  for (const agent of agents) {
    const value = agent[field];
    if (value !== null && value !== undefined && value !== "") counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].sort(([valueA], [valueB]) => before(valueA, valueB));
}
