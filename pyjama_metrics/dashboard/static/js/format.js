// How figures are written. Every function takes a value of the view, which may be null, and returns text.

const NOTHING = "–";
const LONGEST = 300; // characters
const SIZES = ["k", "M", "G", "T"];
const CONTROLS = /[\u0000-\u001f]/g; // shown as the pictures that Unicode has for them: ␀ ␉ ␊
// What shows nothing, or turns what follows around, is written as the command line writes it: \u202e. Emoji need the joiner.
const HIDDEN = /(?!\u200d)[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

// The first formatter of a page takes some 20 ms to make, before anything is on screen; so each is made when it is needed.
const exact = lazily(() => new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }));
const clock = lazily(() => new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" }));
const day = lazily(() => new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" }));

/** A name or a message: whatever it is, as text, and no longer than a line can show. */
export function text(value) {
  if (value === null || value === undefined) return "";
  const start = String(value).slice(0, LONGEST + 1);
  const whole = start
    .replace(CONTROLS, (control) => String.fromCharCode(0x2400 + control.charCodeAt(0)))
    .replace(HIDDEN, (hidden) => `\\u${hidden.codePointAt(0).toString(16).padStart(4, "0")}`);
  return whole.length > LONGEST ? `${whole.slice(0, LONGEST)}…` : whole;
}

/** A number, whole. */
export function count(value) {
  return value === null ? NOTHING : grouped(value);
}

/** A large number in three or four digits: 9,999 · 12.3k · 1.2M. */
export function compact(value) {
  if (value === null) return NOTHING;
  if (Math.abs(value) < 10_000) return grouped(Math.round(value));
  let size = value;
  let place = -1;
  while (Math.abs(size) >= 999.5 && place < SIZES.length - 1) {
    size /= 1000;
    place += 1;
  }
  return `${Math.abs(size) < 99.95 ? size.toFixed(1) : grouped(Math.round(size))}${SIZES[place]}`;
}

/** Micro-dollars: less than a cent keeps two digits that count, and from a thousand dollars on cents do not matter. */
export function money(micros) {
  if (micros === null) return NOTHING;
  const amount = Math.abs(micros) / 1e6;
  const sign = micros < 0 ? "−" : "";
  if (amount === 0) return "$0.00";
  if (amount < 0.01) return `${sign}$${amount.toFixed(amount < 0.0001 ? 6 : 4)}`;
  if (amount < 999.995) return `${sign}$${amount.toFixed(2)}`;
  return `${sign}$${amount < 99_999.5 ? grouped(Math.round(amount)) : compact(amount)}`;
}

/** Micro-dollars to the last of them. */
export function exactMoney(micros) {
  if (micros === null) return "";
  const digits = (Math.abs(micros) / 1e6).toFixed(6).replace(/(\.\d\d\d*?)0+$/, "$1");
  return `${micros < 0 ? "−" : ""}$${digits}`;
}

/** A rate from 0 to 1. Only 1 itself is 100 %, and only 0 itself is 0 %: one failure in a million stays visible. */
export function percent(value) {
  if (value === null) return NOTHING;
  if (value === 1) return "100 %";
  if (value === 0) return "0 %";
  if (value < 0.0005) return "<0.1 %";
  if (value > 0.9995) return ">99.9 %";
  return `${(value * 100).toFixed(1)} %`;
}

/** Milliseconds in the unit that needs three digits. */
export function duration(ms) {
  if (ms === null) return NOTHING;
  if (ms < 0.0005) return "0 ms";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 9.995) return `${ms.toFixed(2)} ms`;
  if (ms < 99.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  return span(seconds);
}

/** How many of something there are, with its noun: 1 call · 2 calls. */
export function many(number, one, several = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : several}`;
}

/** How long something took that is over; in less than a second the clock would say 0:00. */
export function took(ms) {
  return ms !== null && ms < 1000 ? duration(Math.max(0, ms)) : elapsed(ms);
}

/** How long something has taken so far: 0:07 · 12:05 · 2 h 10 min · 3 d 4 h. */
export function elapsed(ms) {
  if (ms === null) return NOTHING;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.floor(minutes / 60);
  return `${grouped(Math.floor(hours / 24))} d ${hours % 24} h`;
}

/** How long something has lasted that began at a time. */
export function since(ms, now = Date.now()) {
  return elapsed(ms === null ? null : now - ms);
}

/** How long ago a time was. */
export function ago(ms, now = Date.now()) {
  if (ms === null) return NOTHING;
  const seconds = Math.floor((now - ms) / 1000);
  return seconds < 2 ? "now" : `${span(seconds)} ago`;
}

/** A time of today on the clock; an older one with its day. */
export function timeOfDay(ms, now = Date.now()) {
  if (ms === null) return NOTHING;
  const time = clock().format(ms);
  return now - ms < 86_400_000 ? time : `${day().format(ms)} ${time}`;
}

/** A time in full. */
export function exactTime(ms) {
  return ms === null ? "" : exact().format(ms);
}

function span(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h`;
  return `${grouped(Math.floor(whole / 86_400))} d`;
}

/** A number, or its digits, in groups of three. */
function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

function lazily(make) {
  let made = null;
  return () => (made ??= make());
}
