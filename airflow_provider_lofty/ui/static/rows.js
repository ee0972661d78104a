// The page "Lofty rows": one task instance, its tries, and what became of its rows.

import { byId, element, hasChanged, live } from "./dom.js";
import { clockTime } from "./format.js";
import * as groups from "./groups.js";
import { setPattern } from "./leads.js";
import * as list from "./list.js";
import { drawMapped } from "./mapped.js";
import { base, ask, isBusy } from "./requests.js";
import { drawNotice, drawProgress, drawResult, drawVerdict, drawWithout } from "./standing.js";
import { followTheme, letOuterPageOpenLinks } from "./theme.js";
import { change, link, restore } from "./view.js";

const RUNNING_MS = 2000;
const WAITING_MS = 5000;
const COPIED_MS = 4000;

let chosenTry = Number(new URLSearchParams(location.search).get("try")) || 0; // 0: the last one
let shown = null; // what is known of the try that is shown
let timer = 0;
let looks = 0; // count requests, so that an answer that is late changes nothing

async function look() {
  clearTimeout(timer);
  const number = ++looks;
  let wait = WAITING_MS;
  try {
    const standing = await ask(`standing?try=${chosenTry}`);
    if (number !== looks) return;
    draw(standing);
    live(`as of ${clockTime(Date.now())}`);
    if (standing.is_over) wait = 0;
    else if (standing.state === "running" || standing.mapped) wait = RUNNING_MS;
  } catch (error) {
    if (number !== looks) return;
    const isFinal = error.status >= 400 && error.status < 500 && !isBusy(error);
    if (isFinal) drawNotice(error.message);
    live(isFinal ? "" : "no answer; trying again", true);
    if (isFinal) wait = 0;
  }
  if (wait && !document.hidden) timer = setTimeout(look, wait);
}

function draw(standing) {
  const index = standing.map_index >= 0 ? ` [${standing.map_index}]` : "";
  byId("task").textContent = `${standing.dag_id} / ${standing.run_id} / ${standing.task_id}${index}`;
  byId("mapped").hidden = !standing.mapped;
  byId("overview").hidden = !(standing.map_index >= 0);
  if (standing.mapped) {
    drawMapped(standing.mapped);
    return;
  }
  shown = standing;
  setPattern(standing.lead_url);
  byId("state").hidden = false;
  byId("state").textContent = standing.state || "waiting";
  byId("state").dataset.state = standing.state || "";
  drawTries(standing);
  drawNotice(standing);
  drawVerdict(standing);
  drawDownloads(standing);
  drawProgress(standing);
  drawResult(standing, choose);
  groups.draw(standing);
  list.draw(standing);
  drawWithout(standing);
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

function drawDownloads(standing) {
  const isHere = standing.report.is_here;
  byId("download").hidden = byId("copy").hidden = !isHere;
  byId("download-failed").hidden = !isHere || !groups.haveFailed(standing);
  byId("download").href = `${base}/report?try=${standing.try}`;
  byId("download-failed").href = `${base}/report?try=${standing.try}&rows=failed`;
  drawAgain(isHere && groups.haveFailed(standing) ? standing.report.send_again : null);
}

// The Dag that sends what failed in a report, where one is set up; Airflow has no link to a form that is filled in.
function drawAgain(again) {
  byId("again").hidden = !again;
  if (!again) return;
  byId("again-dag").href = again.url;
  byId("again-dag").textContent = again.dag_id;
  byId("again").querySelector(".mono").textContent = again.conf;
}

// Outcome, group and order are what a link holds; each choice is written there.
function choose(changes, { isFar = false } = {}) {
  change(changes);
  list.show();
  groups.mark();
  if (isFar) list.goTo();
}

async function copyLink() {
  const address = link(shown);
  const isCopied = await copied(address);
  byId("copied").textContent = isCopied ? "Copied: it opens these rows" : address;
  if (isCopied) setTimeout(() => { byId("copied").textContent = ""; }, COPIED_MS);
}

// Browsers give the clipboard only to pages over https; the older way works everywhere else.
async function copied(address) {
  try {
    await navigator.clipboard.writeText(address);
    return true;
  } catch {
    const field = element("textarea", { value: address, readOnly: true });
    document.body.append(field);
    field.select();
    const isCopied = document.execCommand("copy");
    field.remove();
    return isCopied;
  }
}

function start() {
  followTheme();
  letOuterPageOpenLinks();
  restore();
  list.start(choose);
  groups.start(choose);
  byId("copy").addEventListener("click", copyLink);
  byId("skip").addEventListener("click", (event) => { // what stands after "#" is a choice of rows
    event.preventDefault();
    list.goTo();
  });
  window.addEventListener("hashchange", () => {
    restore();
    list.show();
    groups.mark();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
}

start();
