// How sure a cost is, in words: what was reported, what was computed from prices, and what nobody knows.

import { count, exactMoney, many, money, text } from "./format.js";

const NAMED = 5;

/** The mark before tokens of which some are an estimate; "" where all were counted. */
export function tokensMark(view) {
  return (view?.["estimated-tokens"] ?? 0) > 0 ? "~" : "";
}

/** The mark before a cost that was computed, and from tokens of which some are an estimate. */
export function costMark(view) {
  return (view["computed-micros"] ?? null) === null ? "" : tokensMark(view);
}

/** A cost with its marks: "+" behind it where calls without a price are still to be added; "unpriced" where models were called and no price is known, or a dash where none was called. */
export function costWords(view) {
  const cost = view["cost-micros"] ?? null;
  if (cost === null) return (view.requests ?? 0) > 0 ? "unpriced" : money(null);
  return costMark(view) + money(cost) + ((view["unpriced-requests"] ?? 0) > 0 ? "+" : "");
}

/** How many tokens are an estimate, in words; "" where none is. */
export function estimatedWords(view) {
  const tokens = view?.["estimated-tokens"] ?? 0;
  return tokens > 0 ? `${many(tokens, "token")} estimated` : "";
}

/** The parts of a CostView, such as "$1.00 reported, $0.25 computed from prices; 2 calls unpriced: some-model; 50 tokens estimated". */
export function costParts(view) {
  const { "reported-micros": reported = null, "computed-micros": computed = null } = view;
  const known = [reported === null ? "" : `${exactMoney(reported)} reported`, computed === null ? "" : `${exactMoney(computed)} computed from prices`];
  const parts = [known.filter(Boolean).join(", "), unpricedWords(view["unpriced-requests"] ?? 0, view["unpriced-models"] ?? []), estimatedWords(view)];
  return parts.filter(Boolean).join("; ");
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
