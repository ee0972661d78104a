// The report's rows: filtered, sorted, a page at a time.

import { byId, cell, element, text } from "./dom.js";
import { count, moment, rows } from "./format.js";
import { find } from "./groups.js";
import { lead } from "./leads.js";
import { FAILED, colour, wrong } from "./outcomes.js";
import { ask, patiently } from "./requests.js";
import { view } from "./view.js";

const TYPING_MS = 300;
const PAGE_ROWS = 50;

let choose = () => {};
let standing = null;
let listed = ""; // try and state whose report was read
let asked = 0; // count requests, so that an answer that is late changes nothing
let reading = null; // the request that is under way
let pages = 1;

export function start(chooser) {
  choose = chooser;
  let typing = 0;
  byId("filter").addEventListener("submit", (event) => { event.preventDefault(); turnTo(1); });
  byId("outcome").addEventListener("change", () => choose({ outcome: byId("outcome").value, group: "" }));
  byId("text").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => turnTo(1), TYPING_MS); });
  byId("ungroup").addEventListener("click", () => { choose({ group: "" }); byId("outcome").focus(); });
  for (const head of sortButtons()) head.addEventListener("click", () => choose({ sort: turned(head.dataset.sort) }));
  const turns = { first: () => 1, previous: () => view.page - 1, next: () => view.page + 1, last: () => pages };
  for (const [id, page] of Object.entries(turns)) byId(id).addEventListener("click", () => { turnTo(page()); goTo(); });
  byId("page").addEventListener("change", () => turnTo(Number(byId("page").value)));
}

const sortButtons = () => byId("table").querySelectorAll("button[data-sort]");

// Up, down, and then in the report's order again.
function turned(sort) {
  if (view.sort === sort) return `-${sort}`;
  return view.sort === `-${sort}` ? "" : sort;
}

function turnTo(page) {
  view.page = Math.min(Math.max(Math.trunc(page) || 1, 1), Math.max(pages, 1));
  show();
}

export function goTo() {
  byId("rows").scrollIntoView();
  byId("rows").focus({ preventScroll: true });
}

export function draw(told) {
  standing = told;
  byId("rows").hidden = byId("skip").hidden = !told.report.is_here || !Object.keys(told.outcomes).length;
  const wanted = `${told.try} ${told.state}`;
  if (byId("rows").hidden || wanted === listed) return;
  if (listed) view.page = 1;
  listed = wanted;
  show();
}

const outcome = () => (view.outcome === null ? (wrong(standing.outcomes) ? FAILED : "") : view.outcome);

export async function show() {
  if (!listed) return;
  drawControls();
  const number = ++asked;
  if (reading) reading.abort();
  reading = new AbortController();
  byId("found").textContent = "Reading the report …";
  try {
    const found = await patiently(() => request(reading.signal), () => number === asked);
    if (number === asked) drawList(found);
  } catch (error) {
    if (number !== asked) return;
    byId("list").replaceChildren();
    byId("found").textContent = `The rows cannot be shown: ${error.message}`;
  }
}

// In the body, for addresses are logged: people search for names.
function request(signal) {
  const wanted = {
    try: Number(listed.split(" ")[0]), outcome: outcome(), text: byId("text").value.trim(),
    group: view.group, sort: view.sort, page: view.page,
  };
  return ask("list", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wanted), signal });
}

function drawControls() {
  byId("outcome").value = outcome();
  byId("chip").hidden = !view.group;
  for (const head of sortButtons()) {
    const isDown = view.sort === `-${head.dataset.sort}`;
    const direction = isDown ? "descending" : view.sort === head.dataset.sort ? "ascending" : "none";
    head.parentElement.setAttribute("aria-sort", direction);
  }
  for (const made of byId("outcomes").querySelectorAll("button")) {
    made.setAttribute("aria-pressed", String(made.dataset.outcome === outcome()));
  }
}

function drawList(found) {
  pages = found.pages;
  const first = (found.page - 1) * PAGE_ROWS;
  const isPlain = outcome() === FAILED && !byId("text").value && !view.group;
  byId("found").textContent = found.total ? rows(found.total) : isPlain ? "No row failed." : "No such rows.";
  drawChip(found);
  byId("pager").hidden = pages < 2;
  Object.assign(byId("page"), { value: found.page, max: pages });
  byId("pages").textContent = `of ${count(pages)}`;
  byId("range").textContent = `${count(first + 1)}–${count(first + found.rows.length)} of ${count(found.total)}`;
  byId("first").disabled = byId("previous").disabled = found.page <= 1;
  byId("next").disabled = byId("last").disabled = found.page >= pages;
  if (document.activeElement.disabled) byId("found").focus();
  byId("list").replaceChildren(...found.rows.map(rowOf));
}

function drawChip(found) {
  const group = find(view.group) || found.rows[0];
  byId("chip").firstElementChild.textContent = group ? `Only: ${group.error || `code ${group.error_code}`}` : "Only one group";
}

function rowOf(row) {
  const failing = failingColumns(row);
  const what = text("span", row.outcome, "outcome");
  what.style.setProperty("--colour", colour(row.outcome));
  return element("tr", {},
    cell("Row", row.row_number, "row"),
    cell("Failing value", failing.length ? element("dl", { className: "failing" }, ...failing.flatMap(pair)) : "", "value"),
    cell("Error", row.error && text("p", row.error), "error"), cell("Lead", lead(row.lead_id), "lead"), cell("Outcome", what, "what"),
    cell("Code", codes(row), "code"), cell("Columns", more(row, failing), "more"));
}

const codes = (row) => [row.error_code, row.http_status && `HTTP ${row.http_status}`].filter(Boolean).join(" · ");

const plain = (name) => name.toLowerCase().replace(/[\s_.-]+/g, "");

// By the mapping, as far as the run has told of it, or by its name, as the run itself finds a field's column.
function failingColumns(row) {
  const columns = row.error_field.split(", ").filter(Boolean).map((field) => {
    const named = (Object.hasOwn(standing.columns, field) ? [standing.columns[field], field] : [field]).map(plain);
    return row.columns.find(([name]) => named.includes(plain(name)));
  });
  return columns.filter(Boolean);
}

function pair([name, value]) {
  return [text("dt", name), value ? text("dd", value) : text("dd", "empty", "soft none")];
}

// Below its row, over the whole width, and made only when it is asked for.
function more(row, failing) {
  const number = row.columns.length;
  const made = element("button", { type: "button", textContent: `${number} ${number === 1 ? "column" : "columns"}` });
  const open = (isOpen) => made.setAttribute("aria-expanded", String(isOpen));
  made.addEventListener("click", () => {
    const line = made.closest("tr");
    const isOpen = made.getAttribute("aria-expanded") === "true";
    if (isOpen) line.nextElementSibling.remove();
    else line.after(element("tr", { className: "opened" }, element("td", { colSpan: 7 }, allColumns(row, failing))));
    open(!isOpen);
  });
  open(false);
  return made;
}

function allColumns(row, failing) {
  const others = row.columns.filter((column) => !failing.includes(column));
  const told = [["from", row.source], ["line", row.line], ["requests", row.attempts], ["found by", row.matched_by]];
  const sent = row.sent_at ? [element("div", {}, text("dt", "sent"), element("dd", {}, moment(row.sent_at)))] : [];
  return element("dl", {},
    ...failing.map((one) => element("div", { className: "failing" }, ...pair(one))),
    ...others.map((one) => element("div", {}, ...pair(one))),
    ...told.filter(([, value]) => value).map((one) => element("div", { className: "soft" }, ...pair(one))), ...sent);
}
