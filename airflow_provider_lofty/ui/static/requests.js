// Asking the server, and asking again while it is busy.

const BUSY_MS = 1000;
const MOST_BUSY_MS = 15000;
const BUSY = [409, 503]; // another request took its place, or too many wait: asked again, it is answered
const WHY = {
  401: "You are no longer logged in. Reload Airflow's page.",
  403: "You may not read the XComs of which this page is made.",
};

export const base = location.pathname.replace(/\/$/, "");
const pageId = Math.random().toString(36).slice(2); // a newer request takes the place of an older one of this page

export const isBusy = (error) => BUSY.includes(error.status);

export async function ask(path, options = {}) {
  const headers = { "X-Lofty-Page": pageId, ...options.headers };
  const answer = await fetch(`${base}/${path}`, { credentials: "same-origin", ...options, headers });
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  const why = WHY[answer.status] || String(body.detail || `HTTP ${answer.status}`);
  throw Object.assign(new Error(why), { status: answer.status });
}

const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

export async function patiently(request, isWanted) {
  for (let pause = BUSY_MS; ; pause = Math.min(pause * 2, MOST_BUSY_MS)) {
    try {
      return await request();
    } catch (error) {
      if (!isBusy(error) || !isWanted()) throw error;
    }
    await sleep(pause * (0.5 + Math.random()));
    if (!isWanted()) throw new Error("nobody waits for it");
  }
}
