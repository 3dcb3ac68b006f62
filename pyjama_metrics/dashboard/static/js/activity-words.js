// What the charts say in words: sums, spans of time, and what is not known.

import { compact, count, many, money } from "./format.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const SOURCES = { memory: "from the dashboard’s memory", file: "from metrics.json", history: "from the history and metrics.json" };

const minutes = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const seconds = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** The marks of a time axis, `step` ms apart: "12:05", "12:05:30"; a day where one begins. */
export function axisTime(ms, step) {
  const time = new Date(ms);
  const isMidnight = time.getHours() === 0 && time.getMinutes() === 0 && time.getSeconds() === 0;
  if (isMidnight || step >= DAY) return day.format(ms);
  return (step < MINUTE ? seconds : minutes).format(ms);
}

/** A number for an axis: "2M" and not "2.0M". */
export function axisNumber(value) {
  return compact(value).replace(/\.0(?=\D)/, "");
}

/** An amount of micro-dollars for an axis. */
export function axisMoney(micros) {
  return micros >= 100e6 ? `$${axisNumber(Math.round(micros / 1e6))}` : money(micros).replace(/\.00$/, "");
}

/** A moment, with its day where that is not today. */
function moment(ms, step, now) {
  const time = (step < MINUTE ? seconds : minutes).format(ms);
  return isSameDay(ms, now) ? time : `${dayWords(ms, now)} ${time}`;
}

/** A span, with its days where they are not today: "12:05 – 12:06", "Mon 3 Nov 23:45 – Tue 4 Nov 00:00". */
export function spanWords(from, to, step, now) {
  const time = step < MINUTE ? seconds : minutes;
  if (isSameDay(from, to)) return `${moment(from, step, now)} – ${time.format(to)}`;
  return `${dayWords(from, now)} ${time.format(from)} – ${dayWords(to, now)} ${time.format(to)}`;
}

/** How long a slice is: "5 s", "15 min". */
function sliceWords(step) {
  if (step < MINUTE) return `${count(step / SECOND)} s`;
  if (step < HOUR) return `${count(step / MINUTE)} min`;
  return step < DAY ? `${count(step / HOUR)} h` : `${count(step / DAY)} d`;
}

/** Where the figures are from and since when they are known, for an ActivityView. */
export function knowledge(activity, now) {
  const since = activity["known-from"];
  if (activity.source === "none" || since === null) return "Nothing is known of this time.";
  const parts = [`A bar is ${sliceWords(activity.step)}`];
  if (since - activity.from >= activity.step) parts.push(`known since ${moment(since, activity.step, now)}`);
  parts.push(SOURCES[activity.source] ?? SOURCES.file);
  return parts.join(" · ");
}

/** The sums of the slices: what is null in all of them stays null. */
export function sums(slices) {
  const sum = (values) => values.reduce((all, value) => (value === null ? all : (all ?? 0) + value), null);
  const { success, error, tokens, requests } = slices;
  const priced = slices.cost.filter((cost, place) => cost !== null && requests[place] > 0);
  return {
    success: sum(success),
    error: sum(error),
    tokens: sum(tokens),
    requests: sum(requests),
    cost: priced.length > 0 ? sum(priced) : null,
    unpriced: sum(slices.unpriced),
  };
}

/** What is said of costs, of a slice or of all: an amount, "unpriced", "no model calls", or that nothing is known. */
export function costWords({ cost, requests }, words = money) {
  if (requests === null) return "–";
  if (requests === 0) return "no model calls";
  return cost === null ? "unpriced" : words(cost);
}

/** One slice in a line. */
export function sliceLine({ success, error, interrupted, tokens, requests, cost }) {
  if (success === null) return "nothing is known";
  const parts = [`${count(success)} ok`, `${count(error)} failed`];
  if (interrupted > 0) parts.push(`${count(interrupted)} interrupted`);
  parts.push(many(tokens, "token"), costWords({ cost, requests }));
  return parts.join(" · ");
}

/** The charts in a sentence, for those who do not see them. */
export function summary(span, all) {
  if (all.success === null) return `Activity, ${span}: nothing is known.`;
  const executions = `${many(all.success, "execution")} went well, ${count(all.error)} failed`;
  return `Activity, ${span}: ${executions}; ${many(all.tokens, "token")}; cost: ${costWords(all)}. The arrow keys read it bar by bar; the table below has all figures.`;
}

function dayWords(ms, now) {
  return Math.abs(now - ms) < 180 * DAY ? day.format(ms) : dayOfYear.format(ms);
}

function isSameDay(a, b) {
  return new Date(a).toDateString() === new Date(b).toDateString();
}
