// The page "Lofty rows". Whatever comes from elsewhere is set as text, never as markup.
"use strict";

const RUNNING_MS = 2000;
const WAITING_MS = 5000;
const STALE_MS = 20000;
const BUSY_MS = 1000;
const MOST_BUSY_MS = 15000;
const BUSY = [409, 503]; // another request took its place, or too many wait: asked again, it is answered
const MANY_REQUESTS = 50;
const FAILED = ["invalid", "rejected", "unknown", "not_attempted"];
const EXPLAINED = [...FAILED, "unmatched"];
const OUTCOMES = ["delivered", "already_delivered", "would_send", "duplicate", ...EXPLAINED];
const base = location.pathname.replace(/\/$/, "");
const pageId = Math.random().toString(36).slice(2); // a newer request takes the place of an older one of this page
const byId = (id) => document.getElementById(id);

let chosenTry = Number(new URLSearchParams(location.search).get("try")) || 0; // 0: the last one
let timer = 0;
let looks = 0; // count requests, so that an answer that is late changes nothing
let asked = 0;
let reading = null; // the request for rows that is under way
let listed = "";
let page = 1;
let code = ""; // Lofty's, while the rows of one group are shown
let drawn = {};

// Small helpers

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const count = (number) => Number(number).toLocaleString("en");

function duration(seconds) {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

function facts(list, pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined);
  list.replaceChildren(...known.map(([name, value]) => element("div", {}, element("dt", { textContent: name }),
    element("dd", { textContent: value }))));
}

// Drawing a part anew takes the focus from it, so it is done only where something has changed.
function hasChanged(part, value) {
  const before = drawn[part];
  drawn[part] = JSON.stringify(value);
  return before !== drawn[part];
}

async function ask(path, options = {}) {
  const headers = { "X-Lofty-Page": pageId, ...options.headers };
  const answer = await fetch(`${base}/${path}`, { credentials: "same-origin", ...options, headers });
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  const why = { 401: "You are no longer logged in. Reload Airflow's page.",
    403: "You may not read this Dag's XComs, of which this page is made." }[answer.status];
  throw Object.assign(new Error(why || String(body.detail || `HTTP ${answer.status}`)), { status: answer.status });
}

const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

// Light or dark, as the Airflow page around this one

function outerPage() {
  try {
    return parent === window ? null : parent.document.documentElement;
  } catch {
    return null;
  }
}

function followTheme() {
  const outer = outerPage();
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const saved = outer ? null : localStorage.getItem("theme");
    const isDark = outer ? outer.classList.contains("dark") : saved === "dark" || (saved !== "light" && system.matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
  };
  apply();
  system.addEventListener("change", apply);
  if (outer) new MutationObserver(apply).observe(outer, { attributes: true, attributeFilter: ["class"] });
}

// Where the run stands

async function look() {
  clearTimeout(timer);
  const number = ++looks;
  let wait = WAITING_MS;
  try {
    const standing = await ask(`standing?try=${chosenTry}`);
    if (number !== looks) return;
    draw(standing);
    byId("live").className = "soft small";
    byId("live").textContent = `as of ${new Date().toLocaleTimeString()}`;
    if (standing.is_over) wait = 0;
    else if (standing.state === "running" || standing.mapped) wait = RUNNING_MS;
  } catch (error) {
    if (number !== looks) return;
    const isFinal = error.status >= 400 && error.status < 500 && !BUSY.includes(error.status);
    notice(isFinal ? error.message : null);
    byId("live").className = "small lost";
    byId("live").textContent = isFinal ? "" : "no answer; trying again";
    if (isFinal) wait = 0;
  }
  byId("live").hidden = false;
  if (wait && !document.hidden) timer = setTimeout(look, wait);
}

function notice(text) {
  byId("notice").hidden = !text;
  byId("notice").textContent = text || "";
}

function draw(standing) {
  const index = standing.map_index >= 0 ? ` [${standing.map_index}]` : "";
  byId("task").textContent = `${standing.dag_id} / ${standing.run_id} / ${standing.task_id}${index}`;
  byId("mapped").hidden = !standing.mapped;
  byId("overview").hidden = !(standing.map_index >= 0);
  if (standing.mapped) {
    notice(null);
    drawMapped(standing.mapped);
    return;
  }
  byId("state").hidden = false;
  byId("state").textContent = standing.state || "not started";
  byId("state").dataset.state = standing.state || "";
  drawTries(standing);
  drawNotice(standing);
  drawFailure(standing);
  drawProgress(standing);
  drawResult(standing);
  drawGroups(standing);
  drawReport(standing);
}

function drawTries(standing) {
  byId("tries").hidden = standing.tries.length < 2;
  if (!hasChanged("tries", [standing.tries.map((one) => [one.number, one.state]), standing.try])) return;
  byId("tries").replaceChildren(...standing.tries.map((one) => {
    const button = element("button", { type: "button", textContent: `Try ${one.number}: ${one.state || "waiting"}` });
    button.setAttribute("aria-pressed", String(one.number === standing.try));
    button.addEventListener("click", () => {
      const last = standing.tries[standing.tries.length - 1].number;
      chosenTry = one.number === last ? 0 : one.number;
      look();
    });
    return button;
  }));
}

function isEnded(progress) {
  return progress.phase === "ended";
}

function drawNotice(standing) {
  const progress = standing.progress;
  let text = null;
  if (progress && progress.preview) text = "This was a preview: nothing was sent.";
  if (!progress && standing.is_over && !standing.report.is_here) {
    text = standing.try === standing.tries[standing.tries.length - 1].number
      ? "This task has left nothing here: it is no Lofty task, it ended before it began, do_xcom_push is off, or " +
        "a store of XComs of your own keeps what it left."
      : "Airflow keeps what a try has shown of itself only until the next one begins, and this try left no report.";
  } else if (!progress && !standing.is_over && !standing.report.is_here) {
    text = "Nothing to see yet: the task has not begun, or it is no Lofty task.";
  } else if (progress && !isEnded(progress) && standing.state !== "running" && standing.state !== null) {
    const at = new Date(progress.at).toLocaleTimeString();
    text = `The task ended without a summary, as it does when it is killed; a retry or a clear goes on from there. What is known of it, as of ${at}:`;
  }
  notice(text);
}

function drawFailure(standing) {
  const error = standing.progress && standing.progress.error;
  byId("failure").hidden = !error;
  if (error && hasChanged("failure", error)) {
    byId("failure").replaceChildren(element("strong", { textContent: error.type }), element("span", { textContent: error.text }));
  }
}

function drawProgress(standing) {
  const progress = standing.progress;
  const isLive = Boolean(progress) && !isEnded(progress) && standing.state === "running";
  byId("progress").hidden = !isLive;
  if (!isLive) return;
  const read = progress.read || 0;
  if (progress.phase === "reading") {
    byId("bar").removeAttribute("value");
    byId("done").textContent = read ? `${count(read)} rows read and checked so far` : "Reading the source";
    facts(byId("pace"), [profiled(progress)]);
    return;
  }
  const done = read - progress.left;
  byId("bar").value = read ? done / read : 0;
  const share = read ? Math.floor((done / read) * 100) : 0;
  byId("done").textContent = `${count(done)} of ${count(read)} rows done (${share} %)${age(progress.at)}`;
  const rate = progress.rows_per_minute;
  facts(byId("pace"), [
    ["rows a minute", rate === undefined ? null : count(Math.round(rate))],
    ["quota, requests a minute", progress.limit ? quota(rate, progress) : "not named by Lofty yet"],
    ["in doubt, being read back", progress.in_doubt ? count(progress.in_doubt) : null],
    ["time left, about", progress.seconds_left === null || progress.seconds_left === undefined ? null : duration(progress.seconds_left)],
    ["running for", standing.seconds === null ? null : duration(standing.seconds)],
    ["requests", progress.requests === undefined ? null : count(progress.requests)],
    ["refused for the rate", progress.throttled ? count(progress.throttled) : null],
    profiled(progress),
  ]);
}

// What the connection's profile says that may keep rows from being settled.
function profiled(told) {
  return ["by the connection's profile", told.profile_remarks ? told.profile_remarks.join(". ") : null];
}

// A task that Airflow's server does not answer at once, or one before Airflow 3.3, tells less often.
function age(at) {
  const then = new Date(at);
  return Date.now() - then > STALE_MS ? `, as it was at ${then.toLocaleTimeString()}` : "";
}

// A cap of the connection or the task, where it is the smaller one, is all that may be used.
function quota(rate, progress) {
  const most = usable(progress);
  const named = most < progress.limit ? `${count(most)} by a cap, Lofty allows ${count(progress.limit)}` : count(most);
  return rate === undefined ? named : `${named}, ${Math.min(Math.round((rate / most) * 100), 100)} % used`;
}

function usable(progress) {
  return Math.min(progress.limit, progress.cap || progress.limit);
}

function drawResult(standing) {
  const { outcomes, summary, progress } = standing;
  const known = OUTCOMES.filter((outcome) => outcomes[outcome]);
  byId("result").hidden = !known.length && !summary;
  if (byId("result").hidden) return;
  const left = progress && !isEnded(progress) ? progress.left || 0 : 0;
  const total = known.reduce((sum, outcome) => sum + outcomes[outcome], left);
  drawChart(known, outcomes, left, total);
  if (hasChanged("outcomes", [known, outcomes])) {
    byId("outcomes").replaceChildren(...known.map((outcome) => {
      const name = element("dt", { textContent: outcome });
      name.style.setProperty("--colour", `var(--${outcome})`);
      return element("div", {}, name, element("dd", { textContent: count(outcomes[outcome]) }));
    }));
  }
  facts(byId("facts"), summary ? summed(standing, summary) : left ? [] : counted(standing, total));
}

function counted(standing, total) {
  return [["rows", count(total)], ["duration", standing.seconds === null ? null : duration(standing.seconds)]];
}

function summed(standing, summary) {
  const limit = standing.progress && standing.progress.limit && usable(standing.progress);
  // The share of a few requests says nothing.
  const share = limit && summary.seconds && summary.requests >= MANY_REQUESTS ? (summary.requests * 60) / (limit * summary.seconds) : null;
  return [
    ["rows read", count(summary.read)],
    ["duration", duration(summary.seconds)],
    ["requests", count(summary.requests)],
    ["quota used", share === null ? null : `${Math.min(Math.round(share * 100), 100)} % of ${count(limit)} a minute`],
    ["refused for the rate", count(summary.throttled)],
    ["leads read back", count(summary.read_backs)],
    ["carried over", summary.carried_over ? count(summary.carried_over) : null],
    ...(summary.cursor ? watermark(summary.cursor) : []),
    profiled(summary),
  ];
}

function watermark(cursor) {
  const START = "the beginning";
  return [
    [`${cursor.column}, read from`, cursor.from === null ? START : cursor.from],
    ["next run reads from", cursor.to === null ? START : cursor.to],
    ["held back by", cursor.held_back_by],
    ["failed rows behind the watermark", cursor.behind ? count(cursor.behind) : null],
  ];
}

function drawChart(known, outcomes, left, total) {
  const parts = known.map((outcome) => {
    const part = element("span", { title: `${outcome}: ${count(outcomes[outcome])}` });
    part.style.background = `var(--${outcome})`;
    part.style.width = `${(outcomes[outcome] / total) * 100}%`;
    return part;
  });
  byId("chart").replaceChildren(...parts);
  const words = known.map((outcome) => `${count(outcomes[outcome])} ${outcome}`);
  byId("chart").setAttribute("aria-label", [...words, ...(left ? [`${count(left)} to come`] : [])].join(", ") || "no rows");
}

function drawGroups(standing) {
  const groups = standing.groups;
  byId("errors").hidden = !groups.length;
  if (!hasChanged("groups", [groups, standing.report.is_here])) return;
  byId("groups").replaceChildren(...groups.map((group) => {
    const code = [group.http_status && `HTTP ${group.http_status}`, group.error_code && `code ${group.error_code}`];
    const line = group.example_line ? ` (line ${group.example_line})` : "";
    const source = group.example_source ? ` of ${group.example_source}` : "";
    const lead = group.example_lead_id ? `, lead ${group.example_lead_id}` : "";
    const head = element("div", { className: "head" }, element("span", { textContent: `${count(group.count)} × ${group.outcome}` }),
      ...code.filter(Boolean).map((text) => element("span", { className: "mono soft", textContent: text })));
    const item = element("li", {}, head, element("p", { textContent: group.error || "" }),
      element("p", { className: "soft", textContent: group.meaning }), element("p", { textContent: group.action }),
      element("p", { className: "small soft", textContent: `for example row ${group.example_row}${line}${source}${lead}` }));
    if (standing.report.is_here) item.append(showButton(group));
    return item;
  }));
  const failed = EXPLAINED.reduce((sum, outcome) => sum + (standing.outcomes[outcome] || 0), 0);
  const others = failed - groups.reduce((sum, group) => sum + group.count, 0);
  if (others > 0) byId("groups").append(element("li", { textContent: `… and ${count(others)} more that failed otherwise` }));
}

function showButton(group) {
  const button = element("button", { type: "button", textContent: "Show these rows" });
  button.addEventListener("click", () => {
    byId("outcome").value = group.outcome;
    const error = group.outcome === "unmatched" ? group.error.split(":")[0] : group.error; // which leads differs from row to row
    byId("text").value = group.error_code || !error ? "" : error.slice(0, 200);
    code = group.error_code ? String(group.error_code) : "";
    page = 1;
    list();
    byId("rows").scrollIntoView();
    byId("outcome").focus();
  });
  return button;
}

// Rows and report

function drawReport(standing) {
  const report = standing.report;
  byId("download").hidden = !report.is_here;
  byId("rows").hidden = !report.is_here || !Object.keys(standing.outcomes).length;
  byId("download").href = `${base}/report?try=${standing.try}`;
  const isEmpty = Boolean(standing.progress && standing.progress.error) && !Object.keys(standing.outcomes).length;
  const isExpected = standing.progress && (isEnded(standing.progress) || standing.state !== "running");
  byId("without").hidden = report.is_here || !isExpected;
  if (report.is_here) {
    const wanted = `${standing.try} ${standing.state}`;
    if (wanted !== listed) {
      listed = wanted;
      page = 1;
      list();
    }
  } else if (hasChanged("why", [report, isEmpty])) {
    byId("why").replaceChildren(...explanation(report, isEmpty));
  }
}

function explanation(report, isEmpty) {
  const paragraphs = [];
  if (isEmpty) return [element("p", { textContent: "The task failed before it had read its rows; nothing was sent." })];
  if (report.path) {
    paragraphs.push(element("p", {}, "The report is at ", element("code", { textContent: report.path }), `; ${report.why}.`));
  } else {
    paragraphs.push(element("p", { textContent: `There are counts and errors here, and no rows: ${report.why}.` }));
  }
  if (!report.is_configured) {
    paragraphs.push(
      element("p", { textContent: "To see rows here, give all tasks a report folder that workers and web server share, in airflow.cfg:" }),
      element("pre", { textContent: "[lofty]\nreport_folder = /opt/airflow/lofty_reports" }),
      element("p", { textContent: "or set report_path to get a file of your own." }),
    );
  }
  return paragraphs;
}

async function list() {
  const number = ++asked;
  if (reading) reading.abort();
  reading = new AbortController();
  byId("found").textContent = "Reading the report …";
  try {
    const found = await patiently(() => rows(reading.signal), () => number === asked);
    if (number === asked) drawList(found);
  } catch (error) {
    if (number !== asked) return;
    byId("list").replaceChildren();
    byId("found").textContent = `The rows cannot be shown: ${error.message}`;
  }
}

// In the body, for addresses are logged: people search for names.
function rows(signal) {
  const wanted = { try: Number(listed.split(" ")[0]), outcome: byId("outcome").value, text: byId("text").value.trim(), code, page };
  return ask("list", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wanted), signal });
}

async function patiently(request, isWanted) {
  for (let pause = BUSY_MS; ; pause = Math.min(pause * 2, MOST_BUSY_MS)) {
    try {
      return await request();
    } catch (error) {
      if (!BUSY.includes(error.status) || !isWanted()) throw error;
    }
    await sleep(pause * (0.5 + Math.random()));
    if (!isWanted()) throw new Error("nobody waits for it");
  }
}

function drawList(found) {
  const first = (found.page - 1) * 50;
  const none = byId("outcome").value === "failed" && !byId("text").value ? "No row failed." : "No such rows.";
  const rows = `${count(found.total)} ${found.total === 1 ? "row" : "rows"}${code ? ` with code ${code}` : ""}`;
  byId("found").textContent = found.total ? rows : none;
  byId("page").textContent = found.total ? `${count(first + 1)}–${count(first + found.rows.length)} of ${count(found.total)}` : "";
  byId("pager").hidden = found.pages < 2;
  byId("previous").disabled = found.page <= 1;
  byId("next").disabled = found.page >= found.pages;
  if (document.activeElement.disabled) byId("found").focus();
  byId("list").replaceChildren(...found.rows.map((row) => element("tr", {},
    cell("Row", row.row_number, "number"), cell("Lead", row.lead_id, "number"), cell("Outcome", row.outcome),
    cell("Field", row.error_field), cell("Error", row.error, "error"), cell("HTTP", row.http_status, "number"),
    cell("Code", row.error_code, "number"), columnsCell(row))));
}

function cell(label, text, className = "") {
  const made = element("td", { textContent: text || "", className });
  made.dataset.label = label;
  return made;
}

function columnsCell(row) {
  const list = element("dl");
  const line = row.line ? [["line", row.line]] : [];
  for (const [name, value] of [...row.columns, ["from", row.source], ...line]) {
    list.append(element("dt", { textContent: name }), element("dd", { textContent: value }));
  }
  const made = cell("Columns", "");
  made.append(element("details", {}, element("summary", { textContent: `${row.columns.length} columns` }), list));
  return made;
}

function drawMapped(instances) {
  if (!hasChanged("mapped", instances)) return;
  byId("instances").replaceChildren(...instances.map((one) => {
    const index = cell("Index", "");
    index.append(element("a", { href: String(one.map_index), textContent: one.map_index }));
    const number = (label, value) => cell(label, value === undefined || value === null ? "" : count(value), "number");
    return element("tr", {}, index, cell("State", one.state || "waiting"), number("Rows read", one.read),
      number("Delivered", one.outcomes.delivered), number("Failed", one.failed));
  }));
}

// Airflow 3.1 shows this page in a frame that may not start a download; the page around it may.
function download(event) {
  const outer = outerPage();
  if (!outer) return;
  event.preventDefault();
  const link = outer.ownerDocument.createElement("a");
  link.href = event.currentTarget.href;
  link.download = "";
  outer.ownerDocument.body.append(link);
  link.click();
  link.remove();
}

function start() {
  followTheme();
  let typing = 0;
  const again = () => { page = 1; code = ""; list(); };
  byId("filter").addEventListener("submit", (event) => { event.preventDefault(); again(); });
  byId("outcome").addEventListener("change", again);
  byId("text").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(again, 300); });
  const turn = (by) => { page += by; list(); byId("rows").scrollIntoView(); };
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("download").addEventListener("click", download);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
}

start();
