// Making and changing parts of a page. Whatever comes from elsewhere is set as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const text = (tag, textContent, className = "") => element(tag, { textContent, className });

export function facts(list, pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined);
  list.replaceChildren(...known.map(([name, value]) => element("div", {}, text("dt", name), element("dd", {}, value))));
}

// On a narrow screen a row is a card, and its cells name themselves.
export function cell(label, value, className = "") {
  const made = element("td", { className }, value === null || value === undefined ? "" : value);
  made.dataset.label = label;
  return made;
}

// How things stand, beside the page's title.
export function live(textContent, isLost = false) {
  Object.assign(byId("live"), { textContent, className: isLost ? "small lost" : "soft small", hidden: false });
}

// Drawing a part anew takes the focus from it, so it is done only where something has changed.
const drawn = {};

export function hasChanged(part, value) {
  const before = drawn[part];
  drawn[part] = JSON.stringify(value);
  return before !== drawn[part];
}
