// Numbers and times as people read them.

import { element } from "./dom.js";

export const count = (number) => Number(number).toLocaleString("en");
export const rows = (number) => `${count(number)} ${number === 1 ? "row" : "rows"}`;

export function duration(seconds) {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

// In the viewer's zone, and naming it: whoever looks may be far from the server, and from who reads it next.
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short", hourCycle: "h23" };
const DAY = { year: "numeric", month: "short", day: "numeric" };

export function clockTime(at) {
  return new Date(at).toLocaleTimeString("en-GB", TIME);
}

export function moment(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  return element("time", { dateTime: at, title: at, textContent: date.toLocaleString("en-GB", { ...DAY, ...TIME }) });
}
