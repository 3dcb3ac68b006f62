// How sure a cost is, in words: what was reported, what was computed from prices, and what nobody knows.

import { count, exactMoney, many, text } from "./format.js";

const NAMED = 5;

/** The parts of a CostView, such as "$1.00 reported, $0.25 computed from prices; 2 calls unpriced: some-model". */
export function costParts(view) {
  const { "reported-micros": reported = null, "computed-micros": computed = null } = view;
  const known = [reported === null ? "" : `${exactMoney(reported)} reported`, computed === null ? "" : `${exactMoney(computed)} computed from prices`];
  return [known.filter(Boolean).join(", "), unpricedWords(view["unpriced-requests"] ?? 0, view["unpriced-models"] ?? [])].filter(Boolean).join("; ");
}

/** How many calls have no price, and of which models; "" where each has one. */
export function unpricedWords(requests, models) {
  if (requests === 0) return "";
  const others = models.length > NAMED ? ` and ${count(models.length - NAMED)} more` : "";
  return `${many(requests, "call")} unpriced${models.length > 0 ? `: ${models.slice(0, NAMED).map(nameOf).join(", ")}${others}` : ""}`;
}

function nameOf(model) {
  return text(model) || "no model told";
}
