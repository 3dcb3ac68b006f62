// Which entries of the log are shown: by agent, tool, kind and text.

import { kindOf, messageOf, wordOf } from "./log-words.js";

const MOST_OFFERED = 300;

/** The test that a choice `{agent, tool, kind, text}` puts to each entry; what is "" is not asked for. */
export function matcher({ agent, tool, kind, text }) {
  const wanted = text.trim().toLowerCase();
  return (entry) =>
    (agent === "" || entry["agent-id"] === agent) &&
    (tool === "" || entry.tool === tool) &&
    (kind === "" || kindOf(entry) === kind) &&
    (wanted === "" || textsOf(entry).some((text) => text.toLowerCase().includes(wanted)));
}

/** The agents, tools and kinds of these entries: `{agent, tool, kind}`, each a sorted list. */
export function occurring(entries) {
  const sorted = (values) => [...new Set(values)].filter((value) => value !== null && value !== "").sort().slice(0, MOST_OFFERED);
  return {
    agent: sorted(entries.map((entry) => entry["agent-id"])),
    tool: sorted(entries.map((entry) => entry.tool)),
    kind: sorted(entries.map(kindOf)),
  };
}

function textsOf(entry) {
  return [entry["agent-id"], entry.tool, entry.status, entry.event, messageOf(entry), entry.run, wordOf(entry)].filter(Boolean);
}
