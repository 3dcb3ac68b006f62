// The words for what agents, runs and needs are, as pyjama_metrics/statuses.py and needs.py have them; a test compares.

/** The statuses of agents and runs: what waits for somebody first, what is done last. */
export const STATUSES = ["waiting", "running", "crashed", "failed", "unknown", "stopped", "completed"];

/** The statuses of what is not over. */
export const OPEN = new Set(["running", "waiting"]);

/** The statuses of what ended and told how. */
export const FINISHED = new Set(["completed", "failed", "stopped"]);

/** The kinds of needs: an agent that cannot go on alone, and one whose end somebody has to look at. */
export const HELD_UP = new Set(["waiting", "repeating"]);
export const ENDED_BADLY = new Set(["failed", "crashed"]);

/** A status to show: one that this page does not know is unknown. */
export function knownStatus(status) {
  return STATUSES.includes(status) ? status : "unknown";
}
