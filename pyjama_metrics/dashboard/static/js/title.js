// The title of the tab and its icon count who needs somebody and who runs, while nobody looks, too.

import { text } from "./format.js";
import { canDismiss, isDismissed, onDismissed } from "./needs-dismissed.js";
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
  const running = data()?.overview.running ?? 0;
  const needs = (data()?.needs ?? []).filter((need) => !isDismissed(need));
  const said = [
    needs.length > 0 && `${needs.length} ${needs.length === 1 ? "needs" : "need"} you`,
    running > 0 && `${running} running`,
  ];
  const title = [...said, view, NAME].filter(Boolean).join(" · ");
  if (document.title !== title) document.title = title;
  showIcon(iconOf(needs, running));
}

/** The name of an icon: a number while somebody waits or all is well, a warning where there is only what went wrong. */
function iconOf(needs, running) {
  if (needs.some((need) => !canDismiss(need))) return `waiting-${Math.min(needs.length, MOST_SHOWN + 1)}`;
  if (needs.length > 0) return "trouble";
  return running > 0 ? `running-${Math.min(running, MOST_SHOWN + 1)}` : "";
}

function showIcon(name) {
  const href = name ? new URL(`${name}.svg`, folder).href : idle;
  if (icon.href !== href) icon.href = href;
}
