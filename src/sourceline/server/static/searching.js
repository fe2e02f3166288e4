// Search inside the open document. What is found is marked by the browser, so that the text stays as it is.

import { find, make } from "./dom.js";
import { letGo, scrollBy, scrollerOf, viewOf } from "./scroll.js";

const [ALL, CURRENT] = ["searched-all", "searched"]; // names of highlights in the style sheet
const MAX_MARKED = 2_000;

const PAUSE = 300; // milliseconds without a key after which a long document is searched

let search = null; // { wanted, ranges, at, stopped: aborted once another search begins }

/** Return the field, for a document whose text is a DocumentText. */
export function searchField(text) {
  const count = make("span", { role: "status" });
  const step = (by, label) => make("button", { type: "button", "aria-label": label, hidden: true,
    onclick: () => go(text, field.value, by, count) }, by > 0 ? "↓" : "↑");
  let timer = 0;
  const steps = [step(-1, "Previous match"), step(1, "Next match")];
  const field = make("input", { type: "search", id: "search", dir: "auto", autocomplete: "off", placeholder: "Search",
    "aria-label": "Search in this document",
    oninput: () => {
      clear();
      count.textContent = "";
      for (const button of steps) button.hidden = !field.value.trim();
      clearTimeout(timer);
      if (!field.value.trim()) return;
      if (text.isWhole) go(text, field.value, 1, count);
      else timer = setTimeout(() => go(text, field.value, 1, count), PAUSE);
    },
    onkeydown: (event) => {
      clearTimeout(timer);
      if (event.key === "Enter" && field.value.trim()) go(text, field.value, event.shiftKey ? -1 : 1, count);
      else if (event.key === "Escape" && field.value) {
        field.value = "";
        field.dispatchEvent(new Event("input"));
      } else return;
      event.preventDefault();
      event.stopPropagation();
    } });
  return make("search", { class: "search" }, count, field, ...steps);
}

/** Forget what was found: the document was closed, or other parts of it are set. */
export function clear() {
  search?.stopped.abort();
  search = null;
  CSS.highlights?.delete(ALL);
  CSS.highlights?.delete(CURRENT);
}

async function go(text, words, by, count) {
  const wanted = words.trim().toLowerCase();
  if (search?.wanted !== wanted || !search.ranges.every((range) => range.startContainer.isConnected)) {
    const ranges = rangesOf(text.element, wanted);
    search?.stopped.abort();
    const at = by > 0 ? firstOnScreen(ranges) - 1 : firstOnScreen(ranges);
    search = { wanted, ranges, at, stopped: new AbortController() };
  }
  const { stopped } = search;
  let at = search.at + by;
  if (!text.isWhole && (at < 0 || at >= search.ranges.length)) {
    count.textContent = "searching …";
    const place = await text.reachWords(wanted, by, stopped.signal).catch((error) => {
      if (error.name !== "AbortError") count.textContent = error.message;
    });
    if (stopped.signal.aborted || place === undefined) return;
    if (place !== null) {
      search.ranges = rangesOf(text.element, wanted);
      at = nearest(search.ranges, place);
    }
  }
  const { ranges } = search;
  if (!ranges.length) {
    count.textContent = "none";
    return;
  }
  search.at = (at + ranges.length) % ranges.length;
  count.textContent = text.isWhole ? `${search.at + 1} of ${ranges.length.toLocaleString("en")}`
    : `at ${Math.round(100 * text.shareOf(ranges[search.at].place))}%`; // of a long document only a part is set
  show(ranges[search.at], ranges);
}

function show(range, ranges) {
  if (CSS.highlights) {
    CSS.highlights.set(ALL, new Highlight(...ranges.slice(0, MAX_MARKED)));
    CSS.highlights.set(CURRENT, new Highlight(range));
  }
  const pane = find("#pane");
  const view = viewOf(pane);
  const { top, bottom } = range.getBoundingClientRect();
  letGo();
  scrollBy(scrollerOf(pane), (top + bottom) / 2 - (view.top + view.bottom) / 2);
}

function firstOnScreen(ranges) {
  const { top } = find("#pane").getBoundingClientRect();
  const at = ranges.findIndex((range) => range.getBoundingClientRect().top >= Math.max(0, top));
  return Math.max(0, at);
}

/** Return the range that begins nearest to an offset of the text that is set. */
function nearest(ranges, place) {
  let best = 0;
  ranges.forEach((range, index) => {
    if (Math.abs(range.place - place) < Math.abs(ranges[best].place - place)) best = index;
  });
  return best;
}

/** Return where words stand in an element, whatever the case, and over the bounds of elements. */
function rangesOf(element, wanted) {
  const nodes = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let length = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    nodes.push({ node, start: length });
    length += node.length;
  }
  const text = foldCase(element.textContent);
  const ranges = [];
  let at = 0;
  const boundary = (offset) => {
    while (at + 1 < nodes.length && nodes[at + 1].start <= offset) at += 1;
    return [nodes[at].node, offset - nodes[at].start];
  };
  for (const match of text.matchAll(patternOf(wanted))) {
    const range = document.createRange();
    range.setStart(...boundary(match.index));
    range.setEnd(...boundary(match.index + match[0].length - 1).map((part, index) => (index ? part + 1 : part)));
    ranges.push(Object.assign(range, { place: match.index }));
  }
  return ranges;
}

/** Return the pattern of words, between which there may be any space. */
export const patternOf = (words) =>
  new RegExp(words.split(/\s+/).map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("\\s+"), "gu");

/** Lower the case of a text whose offsets stay: of the few letters that become longer, the case is kept. */
export const foldCase = (text) => {
  const lower = text.toLowerCase();
  return lower.length === text.length ? lower : [...text].map((letter) =>
    (letter.toLowerCase().length === letter.length ? letter.toLowerCase() : letter)).join("");
};
