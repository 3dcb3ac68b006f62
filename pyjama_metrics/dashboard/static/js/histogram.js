// The distribution of durations as bars over a logarithmic axis, with lines where the percentiles are.

import { px, set, svg } from "./svg.js";

const SHORTEST = 0.001; // ms; what took no measurable time stands here
const HEIGHT = 32;
const LEAST = 2; // px: one slow execution among a million is still seen
const GAP = 1;

/** The span that all these histograms share, in whole powers of ten and at least one of them: `{from, to}` in ms. */
export function sharedSpan(histograms) {
  const buckets = histograms.flat();
  const shortest = Math.min(...buckets.map((bucket) => lower(bucket)));
  const longest = Math.max(...buckets.map((bucket) => bucket["to-ms"]));
  if (!Number.isFinite(shortest) || !Number.isFinite(longest)) return { from: 1, to: 1000 };
  const from = 10 ** Math.floor(Math.log10(shortest) + 1e-9);
  const to = 10 ** Math.ceil(Math.log10(Math.max(longest, shortest)) - 1e-9);
  return { from, to: Math.max(to, from * 10) };
}

/** Where a duration in ms is on an axis `width` px wide. */
export function place(ms, { from, to }, width) {
  const share = Math.log(Math.max(ms, from) / from) / Math.log(to / from);
  return Math.min(1, share) * width;
}

/** The bars of BucketViews: `[{x, width, height, bucket}]`, empty buckets left out, the highest as high as there is room. */
function barsOf(buckets, span, width) {
  const most = Math.max(...buckets.map((bucket) => bucket.count));
  return buckets
    .filter((bucket) => bucket.count > 0)
    .map((bucket) => {
      const x = place(lower(bucket), span, width);
      const end = place(bucket["to-ms"], span, width);
      return {
        x: Math.min(x, width - 2),
        width: Math.max(2, end - x - GAP),
        height: Math.max(LEAST, (bucket.count / most) * HEIGHT),
        bucket,
      };
    });
}

/** Draw BucketViews and marks (`[{ms, kind}]`) into an `<svg>`; `label` says in words what is to be seen. */
export function drawHistogram(root, buckets, marks, span, width, label) {
  const bars = barsOf(buckets, span, width).map((bar) =>
    svg("rect", { class: "bar", x: px(bar.x), y: px(HEIGHT - bar.height), width: px(bar.width), height: px(bar.height), "data-count": bar.bucket.count }),
  );
  const lines = marks
    .filter((mark) => mark.ms !== null)
    .map((mark) => svg("path", { class: `mark ${mark.kind}`, d: `M${px(place(mark.ms, span, width))} 0v${HEIGHT}` }));
  set(root, { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": label });
  root.replaceChildren(...bars, svg("path", { class: "ground", d: `M0 ${HEIGHT - 0.5}H${width}` }), ...lines);
}

function lower(bucket) {
  return Math.max(bucket["from-ms"], SHORTEST);
}
