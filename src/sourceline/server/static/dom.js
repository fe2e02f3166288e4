// Elements are made here and nowhere else, and text reaches them as text nodes only: nothing is ever parsed as markup.

export const find = (selector) => document.querySelector(selector);

/** Make an element. Properties that start with "on" are listeners; null, undefined and false are left out. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A stretch of a document's text, shown in the direction of its own letters. */
export const verbatim = (tag, properties, ...children) => make(tag, { dir: "auto", ...properties }, ...children);

/** Return text.slice for offsets that count code points, as the API's do; JavaScript counts UTF-16 units. */
export function slicer(text) {
  if (!/[\ud800-\udfff]/.test(text)) return (start, end) => text.slice(start, end);
  const points = Array.from(text);
  return (start, end) => points.slice(start, end).join("");
}

/** Say how it went: it is shown, and read out by a screen reader. */
export function say(text, kind = "") {
  const status = find("#status");
  status.className = kind;
  status.textContent = text;
}

let noted = 0;

/** Say something small, which goes away by itself. */
export function note(text) {
  clearTimeout(noted);
  find("#note").textContent = text;
  noted = setTimeout(() => (find("#note").textContent = ""), 4000);
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

let waiting = 0;

/** Show that something is under way, if it takes long enough to be noticed. */
export async function waitingFor(promise) {
  waiting += 1;
  const timer = setTimeout(() => (find("#progress").hidden = false), 150);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    waiting -= 1;
    if (!waiting) find("#progress").hidden = true;
  }
}
