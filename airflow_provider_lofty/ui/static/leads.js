// Links to the pages of leads, where the connection says where these are.

import { element } from "./dom.js";

const MARK = "{lead_id}";
const IS_ID = /^[1-9]\d{0,18}$/;
let pattern = null;

export function setPattern(leadUrl) {
  pattern = typeof leadUrl === "string" && leadUrl.split(MARK).length === 2 ? leadUrl : null;
}

function urlOf(leadId) {
  if (!pattern || !IS_ID.test(leadId)) return null;
  try {
    const url = new URL(pattern.replace(MARK, encodeURIComponent(leadId)));
    return url.protocol === "https:" && url.host === new URL(pattern.replace(MARK, "1")).host ? url.href : null;
  } catch {
    return null;
  }
}

export function lead(leadId) {
  const href = urlOf(leadId || "");
  if (!href) return leadId || "";
  return element("a", { href, target: "_blank", rel: "noopener noreferrer", textContent: leadId });
}
