// Which rows are shown: what the controls set, and what a link to this page says after its "#", which no server sees.
// The text that is looked for is not part of it: people look for people.

import { FAILED, OUTCOMES } from "./outcomes.js";

const SORTS = ["row", "lead", "outcome", "field", "error", "code"];
const IS_GROUP = /^[0-9a-f]{16}$/;

export const view = { outcome: null, group: "", sort: "", page: 1 }; // outcome null: nobody has chosen one

function read(fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const outcome = given.get("outcome");
  const sort = given.get("sort") || "";
  const group = given.get("group") || "";
  return {
    outcome: outcome === "all" ? "" : [FAILED, ...OUTCOMES].includes(outcome) ? outcome : null,
    group: IS_GROUP.test(group) ? group : "",
    sort: SORTS.includes(sort.replace(/^-/, "")) ? sort : "",
    page: 1,
  };
}

function written() {
  const told = new URLSearchParams();
  if (view.outcome !== null) told.set("outcome", view.outcome || "all");
  if (view.group) told.set("group", view.group);
  if (view.sort) told.set("sort", view.sort);
  return told.toString();
}

export function restore() {
  Object.assign(view, read(location.hash));
}

export function change(changes) {
  Object.assign(view, { page: 1 }, changes);
  const fragment = written();
  history.replaceState(null, "", `${location.pathname}${location.search}${fragment && `#${fragment}`}`);
}

// To this page by itself, and this try of it, wherever it is shown now; Airflow's own leaves a placeholder in its path.
export function link(standing) {
  const ids = [standing.dag_id, standing.run_id, standing.task_id, standing.map_index].map(encodeURIComponent);
  const page = [...location.pathname.replace(/\/$/, "").split("/").slice(0, -ids.length), ...ids].join("/");
  const fragment = written();
  return `${location.origin}${page}?try=${standing.try}${fragment && `#${fragment}`}`;
}
