// The slices of an ActivityView between two times, column by column.

const COLUMNS = { success: "success", error: "error", interrupted: "interrupted", tokens: "tokens", requests: "requests", cost: "cost-micros", unpriced: "unpriced-requests" };

/** The slices of `activity` that reach into `from`–`to`: `{times, success, error, interrupted, tokens, requests, cost, unpriced}`. */
export function slicesBetween(activity, from, to) {
  const { times, step } = activity;
  const first = times.findIndex((time) => time + step > from);
  const after = times.findIndex((time) => time >= to);
  const end = after === -1 ? times.length : after;
  const cut = (values) => (first === -1 ? [] : values.slice(first, end));
  const columns = Object.entries(COLUMNS).map(([name, field]) => [name, cut(activity[field])]);
  return { times: cut(times), ...Object.fromEntries(columns) };
}

/** One of the slices. */
export function sliceAt(slices, place) {
  return Object.fromEntries(Object.entries(slices).map(([name, values]) => [name === "times" ? "time" : name, values[place]]));
}

/**
 * The span that is shown, in whole slices: those at its ends are whole in the figures, too. A named span goes on with the time,
 * one slice at a time, so that what is drawn does not creep.
 */
export function spanNow(range, length, step, now) {
  const [from, to] = range.name === "custom" ? [range.from, range.to] : [now - length, now];
  return { from: Math.floor(from / step) * step, to: Math.ceil(to / step) * step };
}
