// The page "Lofty deliveries". Whatever comes from elsewhere is set as text, never as markup.

import { byId, cell, element, live } from "./dom.js";
import { count, duration, moment } from "./format.js";
import { OUTCOMES, all, colour } from "./outcomes.js";
import { ask, base, isBusy } from "./requests.js";
import { clickIn, followTheme, outerPage } from "./theme.js";

const LIVE_MS = 5000;
const QUIET_MS = 30000;
const MOST_MS = 60000;
const airflow = base.replace(/\/lofty\/deliveries$/, "");

let timer = 0;
let looks = 0; // count requests, so that an answer that is late changes nothing
let pages = [""]; // before which delivery each page begins, this one's last
let next = null;
let failures = 0;
let dags = "";
const lines = new Map(); // by id: a line that stays keeps the focus

function setText(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text; // said again only where it has changed
}

// Asking

function listed() {
  const wanted = new URLSearchParams({ dag: byId("dag").value, outcome: byId("outcome").value });
  const before = pages[pages.length - 1];
  if (before) wanted.set("before", before);
  return ask(`list?${wanted}`);
}

async function look() {
  clearTimeout(timer);
  const number = ++looks;
  let wait = 0;
  try {
    const found = await listed();
    if (number !== looks) return;
    failures = 0;
    draw(found);
    wait = pause(found);
    live(`as of ${new Date().toLocaleTimeString()}`);
  } catch (error) {
    if (number !== looks) return;
    const isFinal = error.status >= 400 && error.status < 500 && !isBusy(error);
    notice(isFinal ? error.message : "");
    live(isFinal ? "" : "no answer; trying again", true);
    if (!isFinal) wait = Math.min(LIVE_MS * 2 ** failures++, MOST_MS) * (0.5 + Math.random());
  }
  if (wait && !document.hidden) timer = setTimeout(look, wait);
}

// Older pages change only by what still runs on them; a first page gets new ones, too.
function pause(found) {
  if (found.deliveries.some((one) => !one.is_over || one.counts === "not_read")) return LIVE_MS;
  return pages.length === 1 ? QUIET_MS : 0;
}

function notice(text) {
  byId("notice").hidden = !text;
  setText("notice", text);
}

// Drawing

function draw(found) {
  next = found.next;
  notice("");
  drawDags(found.dags);
  setText("found", heading(found));
  byId("table").hidden = !found.deliveries.length;
  drawLines(found.deliveries);
  byId("pager").hidden = pages.length === 1 && !next;
  byId("newer").disabled = pages.length === 1;
  byId("older").disabled = !next;
  byId("older").textContent = next && !found.deliveries.length ? "Look further back" : "Older";
  if (document.activeElement.disabled) byId("found").focus();
}

function drawDags(names) {
  if (dags === JSON.stringify(names)) return;
  dags = JSON.stringify(names);
  const chosen = byId("dag").value;
  byId("dag").replaceChildren(element("option", { value: "", textContent: "every Dag" }),
    ...names.map((name) => element("option", { value: name, textContent: name })));
  byId("dag").value = names.includes(chosen) ? chosen : "";
}

function heading(found) {
  const number = found.deliveries.length;
  const isFiltered = byId("dag").value || byId("outcome").value;
  const none = isFiltered || pages.length > 1 ? "No such delivery" : "No delivery yet: a task is listed here from its first one on";
  let text = number ? `${count(number)} ${number === 1 ? "delivery" : "deliveries"}` : none;
  if (found.examined > number) text += ` among the ${count(found.examined)} back to ${moment(found.back_to).textContent}`;
  if (found.next) text += ", and there are older ones";
  if (found.undecided) {
    text += `; ${count(found.undecided)} more left out, for the outcomes of their rows are not known here`;
  }
  return `${text}.`;
}

function drawLines(deliveries) {
  const ids = new Set(deliveries.map((one) => one.id));
  for (const [id, line] of lines) {
    if (!ids.has(id)) {
      line.row.remove();
      lines.delete(id);
    }
  }
  let place = byId("list").firstElementChild;
  for (const one of deliveries) {
    if (!lines.has(one.id)) lines.set(one.id, { row: element("tr", {}, deliveryCell(one)), drawn: "" });
    const line = lines.get(one.id);
    drawLine(line, one);
    if (line.row === place) place = place.nextElementSibling;
    else byId("list").insertBefore(line.row, place);
  }
}

function drawLine(line, one) {
  const drawn = JSON.stringify(one);
  if (line.drawn === drawn) return;
  line.drawn = drawn;
  while (line.row.children.length > 1) line.row.lastElementChild.remove();
  const rate = one.rows_per_minute;
  line.row.append(stateCell(one), rowsCell(one),
    cell("Rows/min", rate === null ? "" : count(Math.round(rate)), "number"),
    cell("Duration", one.seconds === null ? "" : duration(one.seconds), "number"),
    cell("Began", moment(one.started), "number"));
}

function deliveryCell(one) {
  const index = one.map_index >= 0 ? ` [${one.map_index}]` : "";
  const link = element("a", { href: pageOf(one), target: "_top", textContent: one.dag_id });
  link.setAttribute("aria-label", `${one.dag_id} / ${one.run_id} / ${one.task_id}${index}`);
  link.addEventListener("click", open);
  const made = cell("Delivery", "", "delivery");
  made.append(link, element("span", { textContent: `${one.task_id}${index}` }), element("span", { textContent: one.run_id }));
  return made;
}

// Airflow's page of the task, with the tab "Lofty rows" open
function pageOf(one) {
  const [dag, run, task] = [one.dag_id, one.run_id, one.task_id].map(encodeURIComponent);
  const mapped = one.map_index >= 0 ? `/mapped/${one.map_index}` : "";
  return `${airflow}/dags/${dag}/runs/${run}/tasks/${task}${mapped}/plugin/lofty-rows`;
}

// Airflow shows this page in a frame that may neither leave it nor open a window; the page around it may.
function open(event) {
  const outer = outerPage();
  if (!outer) return;
  event.preventDefault();
  const isAside = event.ctrlKey || event.metaKey || event.shiftKey;
  clickIn(outer, { href: event.currentTarget.href, rel: "noopener", target: isAside ? "_blank" : "" });
}

function stateCell(one) {
  const made = cell("Task", "");
  const pill = element("span", { className: "pill", textContent: one.state || "not started" });
  pill.dataset.state = one.state || "";
  const number = one.try > 1 ? element("span", { className: "soft small", textContent: ` try ${one.try}` }) : null;
  made.append(element("div", {}, pill, number));
  return made;
}

const UNKNOWN = {
  nothing: "this try has shown nothing of itself",
  other_format: "its summary is of another version of the provider",
  not_read: "the counts are kept in a store of XComs, and being read",
  unreadable: "the counts are kept in a store of XComs, which does not give them",
};

function rowsCell(one) {
  const made = cell("Rows", "", "rows");
  const known = OUTCOMES.filter((outcome) => one.outcomes[outcome]);
  const left = one.phase === "sending" && one.left ? one.left : 0;
  const total = all(one.outcomes) + left;
  const words = known.map((outcome) => `${count(one.outcomes[outcome])} ${outcome}`);
  if (left) words.push(`${count(left)} to come`);
  const preview = one.preview ? "preview: " : "";
  const text = element("span", { className: "words", textContent: preview + (UNKNOWN[one.counts] || words.join(", ") || without(one)) });
  if (!total) {
    made.append(text);
    return made;
  }
  const chart = element("div", { className: "chart" }, ...known.map((outcome) => part(outcome, one.outcomes[outcome] / total)));
  chart.setAttribute("aria-hidden", "true"); // the words say the same
  made.append(element("div", {}, chart, text));
  return made;
}

function without(one) {
  if (one.phase === "reading") return one.read ? `${count(one.read)} rows read so far` : "reading the source";
  return one.phase === "ended" ? "no row" : "nothing sent yet";
}

function part(outcome, share) {
  const made = element("span", { title: outcome });
  made.style.background = colour(outcome);
  made.style.width = `${share * 100}%`;
  return made;
}

function start() {
  followTheme();
  const again = () => { pages = [""]; look(); };
  byId("filter").addEventListener("submit", (event) => { event.preventDefault(); again(); });
  byId("dag").addEventListener("change", again);
  byId("outcome").addEventListener("change", again);
  byId("newer").addEventListener("click", () => { pages.pop(); look(); });
  byId("older").addEventListener("click", () => {
    if (!next) return; // the one before is still being asked for
    pages.push(next);
    next = null;
    look();
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) look();
  });
  look();
}

start();
