// What sessions of other programs tell, in words. The names are those of pyjama_metrics/about_sessions.py; a test compares.

import { ago, count, text } from "./format.js";

const SOURCES = { "claude-code": "Claude Code", codex: "Codex", python: "Python", shell: "Shell", run: "Command" };
const LIMITS = { five_hour: "5 h", seven_day: "7 days", seven_day_opus: "7 days Opus", seven_day_sonnet: "7 days Sonnet" };
const NEXT_PROMPT = "the next prompt";
const OLD_MS = 10 * 60_000; // from when on it is said how old a figure is

/** The name of a source. */
export function sourceWords(source) {
  return Object.hasOwn(SOURCES, source ?? "") ? SOURCES[source] : text(source);
}

/** The name of a limit of a plan. */
export function limitName(name) {
  return Object.hasOwn(LIMITS, name) ? LIMITS[name] : text(name);
}

/** Whether a NeedView only says that a session is done with its work. */
export function isIdle(need) {
  return need.kind === "waiting" && need.reason === NEXT_PROMPT;
}

/** A percentage without digits that nobody reads. */
export function share(percent) {
  return `${Math.round(percent)} %`;
}

/** How full the context of an AboutView is; "" where that is not known. */
export function contextWords(about, now) {
  const percent = about["context-percent"];
  const used = about["context-tokens"];
  const fits = about["context-window"];
  const tokens = used === null ? "" : `${count(used)}${fits === null ? "" : ` of ${count(fits)}`} tokens`;
  const known = [percent === null ? "" : share(percent), tokens].filter(Boolean).join(" · ");
  return known && known + ageWords(about["context-time"], now);
}

/** When a LimitView was told, where that is long ago; "" where it is not. */
export function ageWords(time, now) {
  return time !== null && now - time >= OLD_MS ? ` (told ${ago(time, now)})` : "";
}

/** Whether a limit began anew since it was told: then its percentage says nothing of now. */
export function isOver(limit, now) {
  return limit.resets !== null && limit.resets <= now;
}

/** A time to the minute, with its day where that is another one. */
export function minuteOf(time, now) {
  const at = new Date(time);
  const clock = `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
  if (at.toDateString() === new Date(now).toDateString() || Math.abs(time) >= 8.64e15) return clock;
  return `${at.toLocaleDateString(undefined, { weekday: "short", day: "numeric", month: "short" })} ${clock}`;
}
