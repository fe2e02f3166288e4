// Brings a sentence into view and keeps it there until the reader scrolls.
//
// scrollIntoView alone does not do: it scrolls once, and whatever changes height above the sentence afterwards (answers
// that arrive late, fonts, the size of the window) moves the sentence out of sight again.

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
  for (const box of [document.body, pane, ...pane.children]) observer.observe(box);
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

function bringIntoView(pane, element) {
  const screen = { top: 0, bottom: window.innerHeight };
  if (scrollerOf(pane) !== pane) {
    scrollBy(document.scrollingElement, overshoot(element, screen));
    return;
  }
  const box = visiblePart(pane, screen);
  if (box.bottom - box.top < Math.min(pane.offsetHeight, window.innerHeight / 2)) {
    scrollBy(document.scrollingElement, pane.getBoundingClientRect().top - MARGIN);
  }
  scrollBy(pane, overshoot(element, visiblePart(pane, screen)));
  // The pane can reach below the screen; then its last sentences need the window to scroll, too.
  const { top, bottom } = element.getBoundingClientRect();
  const below = bottom + MARGIN - screen.bottom;
  if (below > 0) scrollBy(document.scrollingElement, Math.min(below, top - MARGIN));
}

/** Return how many pixels below its place in a box an element is. */
function overshoot(element, box) {
  const { top, height } = element.getBoundingClientRect();
  const room = box.bottom - box.top;
  const place = Math.max(MARGIN, Math.min(room * POSITION, room - MARGIN - height));
  return top - box.top - place;
}

export function visiblePart(pane, screen = { top: 0, bottom: window.innerHeight }) {
  const { top, bottom } = pane.getBoundingClientRect();
  return { top: Math.max(top, screen.top), bottom: Math.min(bottom, screen.bottom) };
}

export function scrollBy(scroller, pixels) {
  if (Math.abs(pixels) >= 1) scroller.scrollBy({ top: pixels, behavior: "instant" });
}
