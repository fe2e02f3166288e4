// The map at the edge of a document: the whole of it at the height of the pane, and where in it the answers are.

import { find, make } from "./dom.js";
import { letGo, scrollerOf } from "./scroll.js";

const TARGET = 24; // pixels: answers that are nearer to each other share one link

let drawn = null; // { hits, length, address, current }

/** Draw the answers of a document of a length in characters; `address` returns the link of one. */
export function draw(hits, length, address, current) {
  drawn = { hits, length, address, current };
  redraw();
}

export function redraw() {
  const map = find("#map");
  if (!drawn || !map) return;
  const { hits, length, address, current } = drawn;
  const height = map.getBoundingClientRect().height;
  const links = [];
  for (const hit of hits) {
    const share = hit.location.start / Math.max(1, length);
    const isCurrent = hit.citation === current;
    const last = links.at(-1);
    if (last && (share - last.share) * height < TARGET) {
      last.ranks.push(hit.rank);
      if (isCurrent) Object.assign(last, { hit, isCurrent });
    } else links.push({ share, hit, isCurrent, ranks: [hit.rank] });
  }
  if (links.length) map.removeAttribute("aria-hidden");
  else map.setAttribute("aria-hidden", "true");
  map.replaceChildren(make("span", { class: "view" }), ...links.map(({ share, hit, isCurrent, ranks }) => {
    // As wide as the margin: what does not fit is named by the best of it.
    const label = ranks.length > 2 || ranks.some((rank) => rank > 9 && ranks.length > 1)
      ? `${Math.min(...ranks)}+` : ranks.join(", ");
    const link = make("a", {
      href: address(hit), "aria-current": isCurrent && "true",
      "aria-label": `${ranks.length > 1 ? "Answers" : "Answer"} ${ranks.join(", ")}`,
    }, label);
    link.style.top = `${100 * share}%`;
    return link;
  }));
  showView();
}

/** Go to where in the document a click on the map is. */
export function jump(event) {
  if (event.target.closest("a")) return;
  const box = find("#map").getBoundingClientRect();
  const share = (event.clientY - box.top) / box.height;
  const scroller = scrollerOf(find("#pane"));
  letGo();
  scroller.scrollTo({ top: share * (scroller.scrollHeight - scroller.clientHeight), behavior: "instant" });
}

/** Show which part of the document is on the screen. */
export function showView() {
  const bar = find("#map .view");
  if (!bar) return;
  const text = find("#reader .text").getBoundingClientRect();
  const pane = find("#pane");
  const [top, bottom] = scrollerOf(pane) === pane
    ? [pane.getBoundingClientRect().top, pane.getBoundingClientRect().bottom] : [0, window.innerHeight];
  const share = (y) => Math.min(1, Math.max(0, (y - text.top) / Math.max(1, text.height)));
  bar.style.top = `${100 * share(top)}%`;
  bar.style.height = `${100 * (share(bottom) - share(top))}%`;
}
