// Creates elements and shows status messages. Text only ever becomes text nodes: nothing is parsed as markup.

export const find = (selector) => document.querySelector(selector);

/** Create an element. Properties starting with "on" are listeners; null, undefined and false are left out. */
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

/** Create an element of a drawing. */
export function makeSvg(tag, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Create an element for text of a document, which takes its direction from its own letters. */
export const makeQuote = (tag, properties, ...children) => make(tag, { dir: "auto", ...properties }, ...children);

/** Return a function from offsets in code points, as the API has them, to those in UTF-16 units, as JavaScript has. */
export function unitCounter(text) {
  if (!/[\ud800-\udfff]/.test(text)) return (offset) => offset;
  let [points, units] = [0, 0]; // the last offset that was converted: most callers move forward
  return (offset) => {
    if (offset < points) [points, units] = [0, 0];
    for (; points < offset && units < text.length; points += 1) units += text.codePointAt(units) > 0xffff ? 2 : 1;
    return units;
  };
}

/** Show the outcome of a request, behind a sign if there is one; screen readers announce it. */
export function showStatus(text, kind = "", sign = null) {
  const status = find("#status");
  status.className = kind;
  status.replaceChildren(...[sign, text].filter(Boolean));
  find("#sure").replaceChildren();
}

let toastTimer = 0;

/** Show a short message that disappears by itself. */
export function showToast(text) {
  clearTimeout(toastTimer);
  find("#toast").textContent = text;
  toastTimer = setTimeout(() => (find("#toast").textContent = ""), 4000);
}

/** Return a number with its noun: "1 passage", "2,000 passages". */
export const counted = (number, singular, plural = `${singular}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? singular : plural}`;

let pending = 0;

/** Show the progress bar while a promise is pending, unless it settles too soon to be noticed. */
export async function withProgress(promise) {
  pending += 1;
  const timer = setTimeout(() => (find("#progress").hidden = false), 150);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    pending -= 1;
    if (!pending) find("#progress").hidden = true;
  }
}
