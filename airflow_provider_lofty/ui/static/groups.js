// What went wrong, by kind. While the report cannot be read, the largest groups that the run has told of; then all.

import { byId, cell, element, hasChanged, text } from "./dom.js";
import { count, rows } from "./format.js";
import { lead } from "./leads.js";
import { colour, wrong } from "./outcomes.js";
import { ask, patiently } from "./requests.js";
import { view } from "./view.js";

let choose = () => {};
let told = []; // by the run
let counted = null; // of the report: { of, total, groups }
let isHere = false;
let wrongRows = 0;

export function start(chooser) {
  choose = chooser;
  byId("more").addEventListener("click", () => load(Math.floor(counted.groups.length / 20) + 1));
}

export const haveFailed = (standing) => wrong(standing.outcomes) > 0;

export function draw(standing) {
  told = standing.groups;
  isHere = standing.report.is_here;
  wrongRows = wrong(standing.outcomes);
  const of = `${standing.try} ${standing.state}`;
  if (isHere && wrongRows && (!counted || counted.of !== of)) {
    counted = { of, total: 0, groups: [] };
    load(1);
  }
  if (!isHere) counted = null;
  show();
}

async function load(page) {
  const asked = counted;
  const number = asked.of.split(" ")[0];
  try {
    const found = await patiently(() => ask(`groups?try=${number}&page=${page}`), () => counted === asked);
    if (counted !== asked) return;
    asked.total = found.total;
    asked.groups = [...asked.groups, ...found.groups];
  } catch {
    return; // the list says why the report cannot be read; what the run has told is shown
  }
  show();
}

const shown = () => (counted && counted.groups.length ? counted.groups : told);

export function find(key) {
  return shown().find((group) => group.key === key);
}

function show() {
  const groups = shown();
  byId("errors").hidden = !groups.length;
  if (hasChanged("groups", groups)) byId("groups").replaceChildren(...groups.map(row));
  mark();
  const isWhole = counted && counted.groups.length;
  const others = isWhole ? 0 : wrongRows - groups.reduce((sum, group) => sum + group.count, 0);
  byId("others").hidden = others <= 0;
  byId("others").textContent = `… and ${rows(others)} that failed otherwise`;
  const left = isWhole ? counted.total - groups.length : 0;
  byId("more").hidden = left <= 0;
  byId("more").textContent = `Show more: ${count(left)} ${left === 1 ? "kind" : "kinds"} of error left`;
}

function row(group) {
  const outcome = text("span", group.outcome, "outcome small");
  outcome.style.setProperty("--colour", colour(group.outcome));
  return element("tr", {},
    cell("Rows", element("div", {}, text("strong", count(group.count)), outcome), "count"),
    cell("Field", group.error_field ? text("code", group.error_field) : "", "field"),
    cell("Error", element("div", {}, text("p", group.error || group.meaning), example(group)), "error"),
    cell("What to do", element("div", {}, text("p", group.action), group.error ? text("p", group.meaning, "soft small") : null), "action"),
    cell("", group.key ? button(group) : "", "show"));
}

function example(group) {
  const made = text("p", "", "soft small");
  const codes = [group.http_status && `HTTP ${group.http_status}`, group.error_code && `code ${group.error_code}`];
  const line = group.example_line ? ` (line ${group.example_line})` : "";
  const where = `first in row ${group.example_row}${line}${group.example_source ? ` of ${group.example_source}` : ""}`;
  made.append([...codes.filter(Boolean), where].join(" · "));
  if (group.example_lead_id) made.append(", lead ", lead(group.example_lead_id));
  return made;
}

function button(group) {
  const made = element("button", { type: "button", textContent: "Show rows" });
  made.setAttribute("aria-label", `Show rows: ${rows(group.count)}, ${group.outcome}, ${group.error || group.meaning}`);
  made.dataset.group = group.key;
  made.addEventListener("click", () => choose({ outcome: group.outcome, group: group.key }, { isFar: true }));
  return made;
}

export function mark() {
  for (const made of byId("groups").querySelectorAll("button")) {
    made.setAttribute("aria-pressed", String(made.dataset.group === view.group));
  }
}
