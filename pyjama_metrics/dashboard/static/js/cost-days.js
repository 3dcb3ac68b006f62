// Which days the cost is shown of, as calendars have them where the reader is. The choice lasts as long as the tab.

import { keep, kept } from "./kept.js";

const KEY = "cost";

/** The choices: how many days, and how many days ago the last of them was. */
const DAYS = { today: [1, 0], yesterday: [1, 1], "7d": [7, 0], "30d": [30, 0] };

/** What each is called within a sentence. */
export const NAMES = { today: "today", yesterday: "yesterday", "7d": "the last 7 days", "30d": "the last 30 days" };

const DIMENSIONS = ["agent", "model", "phase", "tool", "project", "host", "day"];

/** What is chosen: `{days, by}`. */
export function storedChoice() {
  const { days = "", by = "" } = kept("sessionStorage", KEY) ?? {};
  return { days: Object.hasOwn(DAYS, days) ? days : "today", by: DIMENSIONS.includes(by) ? by : "agent" };
}

/** Keep a choice. */
export function keepChoice(choice) {
  keep("sessionStorage", KEY, choice);
}

/** From midnight to midnight, ms since the epoch; a day on which the clocks change has 23 hours or 25. */
export function spanOf(days, now) {
  const [length, ago] = DAYS[days];
  const day = new Date(now);
  const midnight = (offset) => new Date(day.getFullYear(), day.getMonth(), day.getDate() + offset).getTime();
  return { from: midnight(1 - ago - length), to: midnight(1 - ago) };
}

/** The time zone of the reader, for who divides a span into days. */
export function timeZone() {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}
