// What is told of the execution that is pointed at: beside it, and aloud to who moves by keyboard.

import { offset } from "./axis.js";
import { showState, writeText } from "./fields.js";
import * as format from "./format.js";

/** The shape of an outcome. */
export const SHAPES = { success: "completed", error: "failed", interrupted: "stopped" };

const stage = document.querySelector("#waterfall .stage");
const told = stage.querySelector(".told");
const spoken = document.querySelector("#waterfall [data-spoken]");

/** Tell of an ExecutionView of a run that began at `began`, ms since the epoch. */
export function tell(execution, began) {
  showState(told, SHAPES[execution.outcome] ?? "unknown");
  writeText(part("tool"), execution.tool || "(no name)");
  const at = `${offset(execution.start - began, 1)} (${format.timeOfDay(execution.start)})`;
  part("times").textContent = `${format.text(execution.status)} · ${format.duration(execution["duration-ms"])} · at ${at}`;
  part("error").hidden = !execution.message;
  part("error").firstElementChild.textContent = format.text(execution.message);
  told.hidden = false;
}

/** Say it to a screen reader. */
export function speak() {
  spoken.textContent = ["tool", "times", "error"].map((name) => part(name).textContent).join(", ");
}

/** Tell nothing. */
export function hush() {
  told.hidden = true;
}

/** Stand at a place in the stage, px, or as near to it as there is room. */
export function standAt({ left, top }) {
  told.style.left = `${Math.max(4, Math.min(left, stage.clientWidth - told.offsetWidth - 4))}px`;
  told.style.top = `${top}px`;
}

function part(name) {
  return told.querySelector(`[data-tip=${name}]`);
}
