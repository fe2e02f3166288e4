// Brings a sentence into view and keeps it there until the reader scrolls.
//
// scrollIntoView alone does not do: it scrolls once, and whatever changes height above the sentence afterwards (answers
// that arrive late, fonts, the size of the window) moves the sentence out of sight again.

import { find } from "./dom.js";

const POSITION = 1 / 3; // how far down the visible part of the pane the sentence is put
const MARGIN = 16; // pixels that stay free above and below it
const TAKES_OVER = ["wheel", "touchmove", "pointerdown", "keydown"];

let held = null; // aborting it lets go of the sentence that is kept in view

/** Bring an element of the pane near the pane's upper third, and back there whenever the layout changes. */
export function keepInView(pane, element) {
  letGo();
  held = new AbortController();
  const { signal } = held;
  const place = () => bringIntoView(pane, element);
  const observer = new ResizeObserver(place);
  for (const box of [document.body, pane, find("#foot"), ...pane.children]) observer.observe(box);
  signal.addEventListener("abort", () => observer.disconnect());
  window.addEventListener("resize", place, { signal });
  for (const type of TAKES_OVER) window.addEventListener(type, letGo, { signal, capture: true, passive: true });
  place();
}

/** From here on the reader scrolls, and nothing else does. */
export function letGo() {
  held?.abort();
  held = null;
}

/** Return what scrolls the document in the pane: the pane, or on a narrow screen the window. */
export const scrollerOf = (pane) =>
  getComputedStyle(pane).overflowY === "visible" ? document.scrollingElement : pane;

/** Return the part of the screen in which the pane can be seen: on a narrow screen what its bars leave free. */
export function viewOf(pane) {
  const box = pane.getBoundingClientRect();
  const isNarrow = scrollerOf(pane) !== pane;
  const top = isNarrow ? find("#reader .doc-bar").getBoundingClientRect().bottom : 0;
  const bottom = isNarrow ? find("#foot").getBoundingClientRect().top : window.innerHeight;
  return { top: Math.max(box.top, top), bottom: Math.min(box.bottom, bottom) };
}

function bringIntoView(pane, element) {
  const view = viewOf(pane);
  const { top, height } = element.getBoundingClientRect();
  const room = view.bottom - view.top;
  const place = Math.max(MARGIN, Math.min(room * POSITION, room - MARGIN - height));
  scrollBy(scrollerOf(pane), top - view.top - place);
}

export function scrollBy(scroller, pixels) {
  if (Math.abs(pixels) >= 1) scroller.scrollBy({ top: pixels, behavior: "instant" });
}
