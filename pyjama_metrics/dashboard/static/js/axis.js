// The marks of axes: where they are, and what they say.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500,
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY, 365 * DAY, 3650 * DAY,
];

/** At most `most` marks between two offsets in ms, `[{at, text}]`, on even seconds, minutes or hours. */
export function timeTicks(from, to, most) {
  const wanted = (to - from) / Math.max(1, most);
  const step = STEPS.find((each) => each >= wanted) ?? STEPS.at(-1);
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push({ at, text: offset(at, step) });
  return ticks;
}

/** An offset in ms as exactly as marks every `step` ms need it: "250 ms", "12.4 s", "3:05", "50 min", "2 h 10 min", "3 d". */
export function offset(ms, step) {
  if (ms === 0) return "0";
  if (ms < 0) return `−${offset(-ms, step)}`;
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  const digits = step < 10 ? 3 : step < 100 ? 2 : step < SECOND ? 1 : 0;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(digits)} s`;
  if (step >= DAY) return `${Math.round(ms / DAY)} d`;
  const hours = Math.floor(ms / HOUR);
  const minutes = Math.floor((ms % HOUR) / MINUTE);
  if (step >= MINUTE) return [hours && `${hours} h`, minutes && `${minutes} min`].filter(Boolean).join(" ");
  const seconds = ((ms % MINUTE) / SECOND).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

/** The powers of ten between two durations in ms, `[{at, text}]`. */
export function logTicks(from, to) {
  const ticks = [];
  for (let power = Math.ceil(Math.log10(from)); power <= Math.log10(to); power += 1) {
    ticks.push({ at: 10 ** power, text: inUnit(power) });
  }
  return ticks;
}

function inUnit(power) {
  if (power < 0) return `${10 ** (power + 3)} µs`;
  return power < 3 ? `${10 ** power} ms` : `${10 ** (power - 3)} s`;
}
