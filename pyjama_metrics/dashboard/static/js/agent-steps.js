// The workflow of a run: a diagram, with the names and times of the steps as a list over it.

import { writeText } from "./fields.js";
import * as format from "./format.js";
import { drawSteps } from "./steps.js";

const MOST = 100;
const WORDS = { pending: "to do", running: "running", completed: "done", failed: "failed", stopped: "stopped" };

const section = document.querySelector("#steps");
const total = section.querySelector(".total");
const stage = section.querySelector(".stations");
const drawing = stage.querySelector("svg");
const list = stage.querySelector("ol");

let steps = [];
new ResizeObserver(draw).observe(stage);

/** Show the steps of a RunView. */
export function showSteps(run) {
  steps = (run?.steps ?? []).slice(0, MOST);
  const all = run?.steps.length ?? 0;
  const done = (run?.steps ?? []).filter((step) => step.status === "completed").length;
  section.hidden = all === 0;
  total.textContent = `${done} of ${all} done${all > MOST ? `, the first ${MOST} are shown` : ""}`;
  draw();
}

/** Write what changes with time alone. */
export function tickSteps(now) {
  steps.forEach((step, place) => writeTimes(list.children[place], step, now));
}

function draw() {
  if (section.hidden || stage.clientWidth === 0) return;
  const { cell, height, stations } = drawSteps(drawing, steps, stage.clientWidth);
  stage.style.height = `${height}px`;
  while (list.children.length > steps.length) list.lastElementChild.remove();
  while (list.children.length < steps.length) list.append(item());
  const now = Date.now();
  steps.forEach((step, place) => {
    const element = list.children[place];
    element.style.translate = `${stations[place].x - 14}px ${stations[place].y + 14}px`;
    element.style.width = `${cell - 16}px`;
    element.dataset.step = step.status;
    element.ariaCurrent = step.status === "running" ? "step" : null;
    writeText(element.firstElementChild, step.id || "(no name)");
    writeTimes(element, step, now);
  });
}

function item() {
  const element = document.createElement("li");
  element.append(document.createElement("bdi"), document.createElement("span"));
  return element;
}

function writeTimes(element, step, now) {
  const text = [WORDS[step.status] ?? step.status, timeOf(step, now), step.attempts > 1 ? `×${step.attempts}` : ""].filter(Boolean).join(" · ");
  const times = element.lastElementChild;
  if (times.textContent === text) return;
  times.textContent = text;
  const began = step.started === null ? "not begun" : `began ${format.exactTime(step.started)}`;
  times.title = step.attempts > 1 ? `${began}, ${step.attempts} attempts` : began;
}

function timeOf(step, now) {
  if (step["duration-ms"] !== null) return format.duration(step["duration-ms"]);
  return step.status === "running" && step.started !== null ? format.elapsed(Math.max(0, now - step.started)) : "";
}
