// The title of the tab and its icon count who waits and who runs, while nobody looks, too.

import { text } from "./format.js";
import { isDismissed, onDismissed } from "./needs-dismissed.js";
import { onRoute } from "./route.js";
import { data, onData } from "./store.js";

const NAME = "pyjama-metrics";
const MOST_SHOWN = 9;

const icon = document.querySelector("#icon");
const folder = new URL("../favicons/", import.meta.url);
const idle = icon.href;

let view = "";

onData(show);
onDismissed(show);

onRoute((route) => {
  view = route.name === "agent" ? text(route.id) : "";
  show();
});

function show() {
  const overview = data()?.overview ?? {};
  const counts = ["waiting", "running"].map((status) => [status, overview[status] ?? 0]).filter(([, number]) => number > 0);
  const said = counts.map(([status, number]) => `${number} ${status}`);
  const title = [...said, view, NAME].filter(Boolean).join(" · ");
  if (document.title !== title) document.title = title;
  showIcon(counts);
}

function showIcon([urgent]) {
  const hasTrouble = (data()?.needs ?? []).some((need) => !isDismissed(need));
  const name = urgent ? `${urgent[0]}-${Math.min(urgent[1], MOST_SHOWN + 1)}` : hasTrouble ? "trouble" : "";
  const href = name ? new URL(`${name}.svg`, folder).href : idle;
  if (icon.href !== href) icon.href = href;
}
