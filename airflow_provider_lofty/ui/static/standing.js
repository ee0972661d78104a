// How far a try is, and what came of it.

import { byId, element, facts, hasChanged, text } from "./dom.js";
import { clockTime, count, duration, rows } from "./format.js";
import { OUTCOMES, all, colour, wrong } from "./outcomes.js";

const STALE_MS = 20000;
const MANY_REQUESTS = 50;

const isEnded = (progress) => progress.phase === "ended";
const isLive = ({ progress, state }) => Boolean(progress) && !isEnded(progress) && state === "running";

// Where there is no verdict: what is known at all

export function drawNotice(standing) {
  const told = typeof standing === "string" ? standing : noticeOf(standing);
  byId("notice").hidden = !told;
  byId("notice").textContent = told || "";
}

function noticeOf(standing) {
  const { progress, report } = standing;
  if (!progress && !report.is_here) return standing.is_over ? nothingLeft(standing) : "Nothing to see yet: the task has not begun, or it is no Lofty task.";
  const wasKilled = progress && !isEnded(progress) && standing.state !== "running" && standing.state !== null;
  if (!wasKilled) return null;
  return "The task ended without a summary, as it does when it is killed; a retry or a clear goes on from there. " +
    `What is known of it, as of ${clockTime(progress.at)}:`;
}

function nothingLeft(standing) {
  return standing.try === standing.tries[standing.tries.length - 1].number
    ? "This task has left nothing here: it is no Lofty task, it ended before it began, do_xcom_push is off, or " +
      "a store of XComs of your own keeps what it left."
    : "Airflow keeps what a try has shown of itself only until the next one begins, and this try left no report.";
}

// One line that says what came of it

export function drawVerdict(standing) {
  const told = verdictOf(standing);
  byId("verdict").hidden = !told;
  if (!told || !hasChanged("verdict", told)) return;
  byId("verdict").dataset.kind = told.kind;
  byId("verdict-title").textContent = told.line;
  byId("advice").textContent = told.advice || "";
  byId("message").hidden = !told.message;
  byId("message").lastElementChild.textContent = told.message || "";
}

function verdictOf({ progress, outcomes, state, report, summary }) {
  const error = progress && progress.error;
  if (error) return { kind: "bad", ...linesOf(error), message: error.text ? `${error.type}: ${error.text}` : "" };
  const failed = wrong(outcomes);
  const total = all(outcomes);
  if (progress && !isEnded(progress)) return state === "running" && failed ? soFar(failed) : null;
  if (!summary && !report.is_here) return null;
  if (progress && progress.preview) return { kind: "plain", line: previewed(outcomes.would_send || 0, failed) };
  if (!total) return { kind: "plain", line: "The source had no rows" };
  if (!failed) return { kind: "good", line: total === 1 ? "The row is at Lofty" : `All ${rows(total)} are at Lofty` };
  const isAllowed = state === "success";
  return { kind: isAllowed ? "plain" : "bad", line: `${count(failed)} of ${rows(total)} failed${isAllowed ? ", which the task allows" : ""}` };
}

function previewed(sent, failed) {
  return `A preview: nothing was sent. ${rows(sent)} would be${failed ? `, ${rows(failed)} would fail` : ""}`;
}

function soFar(failed) {
  return {
    kind: "bad",
    line: `${rows(failed)} failed so far`,
    advice: "The others are being sent. What is wrong with these can be corrected at the source meanwhile.",
  };
}

// The text of an exception is a sentence with counts, what to do now, and where the report is: the page has room for
// the counts and the report elsewhere.
function linesOf(error) {
  if (!error.text) return { line: `The task failed: ${error.type}`, advice: "The task's log says why." };
  const [first, ...others] = error.text.split(/\. (?=[A-Z])/);
  const line = first.replace(/: \d+ [a-z_]+(, \d+ [a-z_]+)*$/, "");
  const advice = others.filter((sentence) => !sentence.startsWith("Report: ")).join(". ");
  return { line: line[0].toUpperCase() + line.slice(1), advice: advice && advice.replace(/\.?$/, ".") };
}

// While it runs

export function drawProgress(standing) {
  const progress = standing.progress;
  byId("progress").hidden = !isLive(standing);
  if (byId("progress").hidden) return;
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
  facts(byId("pace"), paceOf(standing, progress));
}

function paceOf(standing, progress) {
  const rate = progress.rows_per_minute;
  return [
    ["rows a minute", rate === undefined ? null : count(Math.round(rate))],
    ["quota, requests a minute", progress.limit ? quota(rate, progress) : "not named by Lofty yet"],
    ["in doubt, being read back", progress.in_doubt ? count(progress.in_doubt) : null],
    ["time left, about", progress.seconds_left === null || progress.seconds_left === undefined ? null : duration(progress.seconds_left)],
    ["running for", standing.seconds === null ? null : duration(standing.seconds)],
    ["requests", progress.requests === undefined ? null : count(progress.requests)],
    ["refused for the rate", progress.throttled ? count(progress.throttled) : null],
    profiled(progress),
  ];
}

// What the connection's profile says that may keep rows from being settled.
function profiled(told) {
  return ["by the connection's profile", told.profile_remarks ? told.profile_remarks.join(". ") : null];
}

// A task that Airflow's server does not answer at once, or one before Airflow 3.3, tells less often.
function age(at) {
  return Date.now() - new Date(at) > STALE_MS ? `, as it was at ${clockTime(at)}` : "";
}

// A cap of the connection or the task, where it is the smaller one, is all that may be used.
function quota(rate, progress) {
  const most = usable(progress);
  const named = most < progress.limit ? `${count(most)} by a cap, Lofty allows ${count(progress.limit)}` : count(most);
  return rate === undefined ? named : `${named}, ${Math.min(Math.round((rate / most) * 100), 100)} % used`;
}

const usable = (progress) => Math.min(progress.limit, progress.cap || progress.limit);

// Outcomes: each number, and its part of the bar, shows its rows

export function drawResult(standing, choose) {
  const { outcomes, summary, progress, report } = standing;
  const known = OUTCOMES.filter((outcome) => outcomes[outcome]);
  byId("result").hidden = !known.length && !summary;
  if (byId("result").hidden) return;
  const left = progress && !isEnded(progress) ? progress.left || 0 : 0;
  const total = all(outcomes) + left;
  const pick = report.is_here ? (outcome) => choose({ outcome, group: "" }, { isFar: true }) : null;
  if (hasChanged("outcomes", [outcomes, left, report.is_here])) {
    drawChart(known, outcomes, left, total, pick);
    byId("outcomes").replaceChildren(...known.map((outcome) => number(outcome, outcomes[outcome], pick)));
  }
  facts(byId("facts"), summary ? summed(standing, summary) : left ? [] : counted(standing, total));
}

function number(outcome, rowCount, pick) {
  const name = text("span", outcome, "outcome");
  name.style.setProperty("--colour", colour(outcome));
  const made = element(pick ? "button" : "div", { className: "number" }, text("strong", count(rowCount)), name);
  if (pick) {
    made.type = "button";
    made.dataset.outcome = outcome;
    made.addEventListener("click", () => pick(outcome));
  }
  return element("li", {}, made);
}

// For the eye and the mouse; the numbers below are the same, and are reached by keyboard.
function drawChart(known, outcomes, left, total, pick) {
  byId("chart").replaceChildren(...known.map((outcome) => {
    const part = element("span", { title: `${outcome}: ${count(outcomes[outcome])}`, className: pick ? "choice" : "" });
    part.style.background = colour(outcome);
    part.style.width = `${(outcomes[outcome] / total) * 100}%`;
    if (pick) part.addEventListener("click", () => pick(outcome));
    return part;
  }));
  const words = known.map((outcome) => `${count(outcomes[outcome])} ${outcome}`);
  byId("chart").setAttribute("aria-label", [...words, ...(left ? [`${count(left)} to come`] : [])].join(", ") || "no rows");
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

// Where the rows are, if not here

export function drawWithout(standing) {
  const { progress, report, outcomes, state } = standing;
  const isExpected = progress && (isEnded(progress) || state !== "running");
  byId("without").hidden = report.is_here || !isExpected;
  const isEmpty = Boolean(progress && progress.error) && !Object.keys(outcomes).length;
  if (byId("without").hidden || !hasChanged("why", [report, isEmpty])) return;
  byId("why").replaceChildren(...explanation(report, isEmpty));
}

function explanation(report, isEmpty) {
  if (isEmpty) return [text("p", "The task failed before it had read its rows; nothing was sent.")];
  const where = report.path
    ? element("p", {}, "The report is at ", text("code", report.path), `; ${report.why}.`)
    : text("p", `There are counts and errors here, and no rows: ${report.why}.`);
  if (report.is_configured) return [where];
  return [
    where,
    text("p", "To see rows here, give all tasks a report folder that workers and web server share, in airflow.cfg:"),
    text("pre", "[lofty]\nreport_folder = /opt/airflow/lofty_reports"),
    text("p", "or set report_path to get a file of your own."),
  ];
}
