// The instances of a mapped task.

import { byId, cell, element, hasChanged } from "./dom.js";
import { count } from "./format.js";

export function drawMapped(instances) {
  if (!hasChanged("mapped", instances)) return;
  byId("instances").replaceChildren(...instances.map((one) => {
    const number = (label, value) => cell(label, value === undefined || value === null ? "" : count(value), "number");
    return element("tr", {},
      cell("Index", element("a", { href: String(one.map_index), textContent: one.map_index })),
      cell("State", one.state || "waiting"), number("Rows read", one.read),
      number("Delivered", one.outcomes.delivered), number("Failed", one.failed));
  }));
}
