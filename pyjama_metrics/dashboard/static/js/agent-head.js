// Who an agent is, where it runs, and its figures.

import { elapsedWords, whatNow, writeCost } from "./agents-row.js";
import { copy, isCopyable } from "./copy.js";
import { fill, showState, write, writePlain, writeText } from "./fields.js";
import * as format from "./format.js";
import { agentHref } from "./route.js";
import { ageWords, contextWords, isOver, limitName, minuteOf, share, sourceWords } from "./session-words.js";
import { knownStatus } from "./statuses.js";

const page = document.querySelector("#agent-page");
const name = page.querySelector("#agent-name bdi");
const doing = page.querySelector("#agent-doing");
const origin = page.querySelector("#agent-origin");
const figures = page.querySelector("#agent-figures");
const MOST_CHILDREN = 50;
const TOLD = new Set(["session", "project", "version", "entrypoint", "subagent"]); // labels that have a place of their own

let shown = "";

/** Write the name into the head, before anything is known of the agent. */
export function showName(id) {
  writeText(name, id || "(no name)");
  doing.hidden = true;
}

/** Show an AgentDetail. */
export function showHead(detail) {
  const { agent } = detail;
  doing.hidden = false;
  showState(doing, knownStatus(agent.status));
  writeText(doing.querySelector("[data-now]"), whatNow(agent));
  fill(figures, agent);
  writeCost(figures.querySelector("[data-cost]"), agent);
  showMessages(detail.messages);
  showOrigin(detail);
  tickHead(detail, Date.now());
}

/** Write what changes with time alone. */
export function tickHead({ agent }, now) {
  writePlain(figures.querySelector("[data-elapsed]"), elapsedWords(agent, now));
  const since = agent.status === "waiting" ? agent["waiting-since"] : null;
  writePlain(doing.querySelector("[data-word]"), since === null ? agent.status : `waiting for ${format.elapsed(now - since)}`);
}

function showMessages(messages) {
  const roles = Object.entries(messages);
  write(figures.querySelector("[data-messages]"), format.count(roles.reduce((sum, [, count]) => sum + count, 0)));
  writeText(figures.querySelector("[data-roles]"), roles.map(([role, count]) => `${format.count(count)} ${role}`).join(", "));
}

function showOrigin(detail) {
  const { agent, children, labels } = detail;
  const parent = detail["parent-agent"];
  const command = detail.runs[0]?.command ?? null;
  const about = agent.about ?? null;
  const now = Date.now();
  const context = about && contextWords(about, now);
  const facts = [
    ["Source", agent.source && bdi([sourceWords(agent.source), about?.version].filter(Boolean).join(" "))],
    ["Project", about?.project && bdi(about.project)],
    ["Branch", about?.branch && bdi(about.branch)],
    ["Model", about?.model && bdi(about.model)],
    ["Context", context && bdi(context)],
    [about?.limits.length === 1 ? "Limit" : "Limits", about?.limits.length > 0 && limitsOf(about.limits, now)],
    ["Session", about?.id && bdi(about.id, "code")],
    ["Started as", about?.entrypoint && bdi(about.entrypoint)],
    ["Host", agent.host && bdi(agent.host)],
    ["Process", agent.pid && bdi(String(agent.pid))],
    ["Folder", (about?.cwd ?? agent.cwd) && bdi(about?.cwd ?? agent.cwd, "code")],
    ["Terminal", isCopyable(command) && copyable(command)],
    ["Parent", parent && linkTo(parent)],
    [children.length === 1 ? "Child" : `${format.count(children.length)} children`, children.length > 0 && linksTo(children)],
    ["Labels", tags(Object.entries(labels ?? {}).filter(([key]) => about === null || !TOLD.has(key)))],
    ["Task", detail.spec && bdi(typeof detail.spec === "string" ? detail.spec : JSON.stringify(detail.spec))],
  ];
  const key = JSON.stringify([agent.source, agent.host, agent.pid, agent.cwd, command, parent, children, labels, detail.spec, about, context]);
  if (shown === key) return; // a button that has the focus keeps it
  shown = key;
  origin.replaceChildren(...facts.filter(([, value]) => value).map(([title, value]) => fact(title, value)));
}

function fact(title, value) {
  const row = document.createElement("div");
  const term = document.createElement("dt");
  const definition = document.createElement("dd");
  term.textContent = title;
  definition.append(value);
  row.append(term, definition);
  return row;
}

function bdi(text, tag = "bdi") {
  const element = document.createElement(tag);
  element.dir = "auto";
  writeText(element, text);
  return element;
}

function linkTo(id) {
  const link = document.createElement("a");
  link.href = agentHref(id);
  link.append(bdi(id || "(no name)"));
  return link;
}

function linksTo(ids) {
  const list = document.createElement("ul");
  for (const id of ids.slice(0, MOST_CHILDREN)) {
    const item = document.createElement("li");
    item.append(linkTo(id));
    list.append(item);
  }
  if (ids.length > MOST_CHILDREN) {
    const rest = document.createElement("li");
    rest.textContent = `and ${format.count(ids.length - MOST_CHILDREN)} more`;
    list.append(rest);
  }
  return list;
}

function limitsOf(limits, now) {
  const list = document.createElement("ul");
  for (const limit of limits) {
    const item = document.createElement("li");
    const used = isOver(limit, now) ? "began anew" : share(limit.percent);
    const resets = limit.resets === null || isOver(limit, now) ? "" : `, resets ${minuteOf(limit.resets, now)}`;
    item.append(bdi(limitName(limit.name)), ` ${used}${resets}${ageWords(limit.time, now)}`);
    list.append(item);
  }
  return list;
}

function tags(labels) {
  if (labels.length === 0) return null;
  const list = document.createElement("ul");
  for (const [key, value] of labels) {
    const item = document.createElement("li");
    item.append(bdi(key), "=", bdi(value));
    list.append(item);
  }
  return list;
}

function copyable(command) {
  const parts = document.createDocumentFragment(); // the command, and a button that copies it
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy the command that shows its terminal");
  button.addEventListener("click", () => copy(command, button));
  parts.append(bdi(command, "code"), button);
  return parts;
}
