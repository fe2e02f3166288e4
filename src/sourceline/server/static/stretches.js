// The text of a document on the page. Of a long one only the stretches around what is read are fetched and set; blank
// space stands for the rest, so that the scroll bar shows where in the document the reader is.
//
// What is read never moves: what is set or taken away above it is made up for by the blank space there, and only where
// that does not do, by scrolling.

import { refresh } from "./address.js";
import * as api from "./api.js";
import { find, make, showStatus, unitCounter } from "./dom.js";
import { scrollBy, scrollerOf, viewOf } from "./scroll.js";
import { isMarkdown } from "./markdown.js";
import { foldCase, patternOf } from "./searching.js";
import { set } from "./setting.js";

const STRETCH = 25_000; // characters that are fetched and set at once
const WHOLE = 150_000; // a document that is not longer is set whole, for the browser to search in
const SEARCHED = 100_000; // characters that are fetched at once to look for words in them
const OVERLAP = 1_000; // characters of it that are looked at again: words can stand over the bound
const AHEAD = 1.5; // how many screens are set beyond what is seen
const BEHIND = 4; // from how many screens on a stretch is taken away again
const MAX_HEIGHT = 8_000_000; // pixels: browsers break off taller elements, Firefox above 17.9 million
const FIRST_GUESS = 0.35; // pixels that a character takes

export class DocumentText {
  /** `makeLink` returns the link of a passage. */
  constructor(id, makeLink) {
    this.id = id;
    this.makeLink = makeLink;
    this.about = null; // what the API says of the document: title, sha256, length, …
    this.parts = []; // consecutive stretches that are set: { from, to, passages, element, sentences }
    this.above = make("div", { class: "unset", "aria-hidden": "true", hidden: true });
    this.below = make("div", { class: "unset", "aria-hidden": "true", hidden: true });
    this.element = make("div", { class: "text" }, this.above, this.below);
    this.heightAbove = 0;
    this.working = null;
    this.isWatched = false;
    this.seen = null; // what is read, and which share of it is above the pane: { element, share }
    this.closed = new AbortController();
  }

  get passages() {
    return this.parts.flatMap(({ passages }) => passages);
  }

  get isClosed() {
    return this.closed.signal.aborted;
  }

  get isWhole() {
    return (this.about?.length ?? 0) <= WHOLE;
  }

  /** Return the elements of a citation's sentence, the first one first; none if it is not set. */
  sentence(citation) {
    return this.parts.map(({ sentences }) => sentences.get(citation)).find(Boolean) ?? [];
  }

  /** Set the stretch around an offset, unless it is there. */
  async reach(offset, signal) {
    if (this.parts.some(({ from, to }) => from <= offset && offset < to)) return;
    const part = await this.#fetch(Math.max(0, offset - STRETCH / 2), STRETCH, { offset, cutsAbove: true }, signal);
    this.#replace(part);
    this.#resize(this.#estimate(part.from));
  }

  /** Keep the stretches around what is seen set, from now on. */
  watch() {
    if (this.isWatched) return;
    this.isWatched = true;
    const signal = this.closed.signal;
    const update = () => this.#update();
    window.addEventListener("scroll", update, { signal, capture: true, passive: true });
    window.addEventListener("resize", () => {
      if (this.seen?.element.isConnected) {
        const { top, height } = this.seen.element.getBoundingClientRect();
        scrollBy(scrollerOf(find("#pane")), top + this.seen.share * height - this.#view().top);
      }
      update();
    }, { signal });
    update();
  }

  close() {
    this.closed.abort();
  }

  /** Set one more stretch above (-1) or below (1); return whether there was one. */
  async extend(direction) {
    await this.working;
    if (!this.parts.length) return false;
    if (direction > 0 ? this.parts.at(-1).to >= this.about.length : this.parts[0].from <= 0) return false;
    await (direction > 0 ? this.#append() : this.#prepend());
    return true;
  }

  /**
   * Set the stretch in which words stand next (1) or before (-1) what is set, around the document's end if need be.
   *
   * Return how far into the text that is set they stand, in characters; null if they stand nowhere else.
   */
  async reachWords(words, direction, signal) {
    await this.working;
    const { length } = this.about;
    const [first, last] = [this.parts[0].from, this.parts.at(-1).to];
    const step = SEARCHED - OVERLAP;
    for (let done = 0; done < length - (last - first) + OVERLAP; done += step) {
      const from = direction > 0
        ? (last - OVERLAP + done + length) % length
        : (first + OVERLAP - SEARCHED - done + 2 * length) % length;
      const { text } = await api.readDocument(this.id, from, SEARCHED, signal);
      const matches = [...foldCase(text).matchAll(patternOf(words))];
      const offsets = matches.map(({ index }) => from + [...text.slice(0, index)].length)
        .filter((offset) => offset < first || offset >= last);
      const offset = offsets.at(direction > 0 ? 0 : -1);
      if (offset === undefined) continue;
      await this.reach(offset, signal);
      return offset - this.parts[0].from;
    }
    return null;
  }

  /** Return where a place in the text that is set is in the whole document, from 0 to 1. */
  shareOf(place) {
    return (this.parts[0].from + place) / Math.max(1, this.about.length);
  }

  #update() {
    this.working ??= this.#work().finally(() => (this.working = null));
  }

  async #work() {
    try {
      await new Promise(requestAnimationFrame);
      while (!this.closed.signal.aborted && (await this.#step())) {
        await new Promise(requestAnimationFrame); // what was set is painted first
      }
      this.#noteSeen();
    } catch (error) {
      if (error.name === "AbortError") return;
      showStatus(error.message, "error");
    }
  }

  /** Set what is missing around what is seen, one stretch at a time; return whether more may be missing. */
  async #step() {
    if (!this.element.isConnected || !this.parts.length) return false;
    const view = this.#view();
    const box = this.element.getBoundingClientRect();
    const [top, bottom] = [this.parts[0].element.getBoundingClientRect().top,
      this.parts.at(-1).element.getBoundingClientRect().bottom];
    const isSeen = box.top < view.bottom && box.bottom > view.top;
    if (!isSeen && !this.isWhole) return false;
    const height = view.bottom - view.top;
    const ahead = this.isWhole ? Infinity : AHEAD * height;
    const hasMore = { above: this.parts[0].from > 0, below: this.parts.at(-1).to < this.about.length };
    if (!this.isWhole && ((bottom < view.top && hasMore.below) || (top > view.bottom && hasMore.above))) {
      await this.#jump(view, box);
    } else if (hasMore.below && bottom < view.bottom + ahead) await this.#append();
    else if (hasMore.above && top > view.top - ahead) await this.#prepend();
    else {
      if (!this.isWhole) this.#takeAway(view.top - BEHIND * height, view.bottom + BEHIND * height);
      return false;
    }
    return true;
  }

  /** Go to where in the blank space the reader scrolled. The scroll position stays: it is where the hand put it. */
  async #jump(view, box) {
    const share = Math.min(1, Math.max(0, (view.top - box.top) / (box.bottom - box.top - (view.bottom - view.top))));
    const offset = Math.round(share * this.about.length);
    const part = await this.#fetch(
      Math.max(0, offset - STRETCH / 2), STRETCH, { offset, cutsAbove: true });
    // The page must not become shorter meanwhile: the browser would scroll.
    this.below.hidden = false;
    this.below.style.height = `${box.bottom - box.top}px`;
    this.#replace(part);
    const here = (offset - part.from) / Math.max(1, part.to - part.from);
    const seen = view.top - box.top + share * (view.bottom - view.top);
    const height = part.element.getBoundingClientRect().height;
    const above = part.from === 0 ? 0 : Math.max(0, seen - here * height);
    this.#resize(above, Math.max(0, box.bottom - box.top - above - height));
  }

  async #append() {
    const last = this.parts.at(-1);
    const part = await this.#fetch(last.to, STRETCH, {});
    if (last !== this.parts.at(-1)) return;
    last.element.after(part.element);
    this.parts.push(part);
    this.#resize(this.heightAbove);
  }

  async #prepend() {
    const [first] = this.parts;
    const from = Math.max(0, first.from - STRETCH);
    const part = await this.#fetch(from, first.from - from, { cutsAbove: true });
    if (first !== this.parts[0]) return;
    const before = first.element.getBoundingClientRect().top;
    this.above.after(part.element);
    this.parts.unshift(part);
    const added = first.element.getBoundingClientRect().top - before;
    this.#resize(this.#heightOf(part.from, this.heightAbove - added));
    this.#scrollBack(first.element, before);
  }

  #takeAway(top, bottom) {
    const anchor = this.parts.find(({ element }) => element.getBoundingClientRect().bottom > top)?.element;
    if (!anchor) return;
    const before = anchor.getBoundingClientRect().top;
    const isFar = ({ element }) => element.getBoundingClientRect().top > bottom ;
    const gone = [];
    while (this.parts.length > 1 && this.parts[0].element !== anchor) gone.push(this.parts.shift());
    while (this.parts.length > 1 && isFar(this.parts.at(-1))) gone.push(this.parts.pop());
    if (!gone.length) return;
    for (const { element } of gone) {
      if (element.contains(document.activeElement)) find("#pane").focus({ preventScroll: true });
      element.remove();
    }
    const removed = before - anchor.getBoundingClientRect().top;
    this.#resize(this.#heightOf(this.parts[0].from, this.heightAbove + removed));
    this.#scrollBack(anchor, before);
  }

  #replace(part) {
    for (const { element } of this.parts) element.remove();
    this.above.after(part.element);
    this.parts = [part];
  }

  /** Return the height of the blank space above: what keeps all in place, unless it is far from what is to be there. */
  #heightOf(from, height) {
    const estimate = this.#estimate(from);
    return height < estimate / 4 || height > estimate * 4 ? estimate : height;
  }

  #resize(above, below = this.#estimate(this.about.length - this.parts.at(-1).to)) {
    this.heightAbove = above;
    for (const [space, height] of [[this.above, above], [this.below, below]]) {
      space.hidden = height <= 0;
      // A short document needs no blank space, and its page has no element with a style.
      if (height > 0) space.style.height = `${height}px`;
    }
  }

  /** Note what is at the top of the screen: the browser cannot keep it there while it is told to leave scrolling to us. */
  #noteSeen() {
    if (this.isWhole || !this.element.isConnected) return;
    const { top } = this.#view();
    const blocks = this.parts.flatMap(({ element }) => [...element.children]);
    const element = blocks.find((block) => block.getBoundingClientRect().bottom > top);
    const box = element?.getBoundingClientRect();
    this.seen = element ? { element, share: (top - box.top) / box.height } : null;
  }

  #scrollBack(element, top) {
    scrollBy(scrollerOf(find("#pane")), element.getBoundingClientRect().top - top);
  }

  /** Return about how many pixels high a number of characters is; none if the document is set whole. */
  #estimate(characters) {
    if (this.isWhole || !characters) return 0;
    const height = this.parts.reduce((sum, { element }) => sum + element.getBoundingClientRect().height, 0);
    const count = this.parts.at(-1).to - this.parts[0].from;
    const perCharacter = height ? height / count : FIRST_GUESS;
    return characters * Math.min(perCharacter, MAX_HEIGHT / this.about.length);
  }

  /** Return the part of the screen in which the document can be seen. */
  #view() {
    const view = viewOf(find("#pane"));
    return view.bottom > view.top ? view : { top: 0, bottom: window.innerHeight };
  }

  /** Fetch a stretch and set it; `cutsAbove` says that what stands above it is not set. */
  async #fetch(from, limit, { offset, cutsAbove }, signal = this.closed.signal) {
    let { text, passages, ...about } = await api.readDocument(this.id, from, limit, signal);
    if (!text && from) { // the document ends above the place that was asked for
      ({ text, passages, ...about } = await api.readDocument(this.id, Math.max(0, about.length - limit), limit, signal));
    }
    if (this.about && this.about.sha256 !== about.sha256) {
      this.close();
      refresh(); // the document was edited and indexed anew
      throw new DOMException("the document changed", "AbortError");
    }
    this.about = about;
    this.element.classList.toggle("long", !this.isWhole);
    const toUnits = unitCounter(text);
    const stretch = { from: about.from, to: about.to, text, passages: passages.map((passage) => ({
      ...passage,
      start: toUnits(passage.location.start - about.from),
      end: toUnits(passage.location.end - about.from),
    })) };
    const isCut = { above: cutsAbove && stretch.from > 0, below: offset !== undefined || !cutsAbove };
    const part = trim(stretch, isCut.above, isCut.below && stretch.to < about.length, offset, isMarkdown(this.id));
    return { from: part.from, to: part.to, passages: part.passages, ...set(part, this.id, this.makeLink) };
  }
}

/** Cut a stretch where a paragraph begins, in Markdown best at a heading: so that none is torn in two, nor a table. */
function trim(stretch, cutsAbove, cutsBelow, offset, prefersHeadings) {
  const { passages } = stretch;
  const breaks = passages.flatMap((passage, at) => {
    const before = passages[at - 1];
    if (!before || before.location.paragraph === passage.location.paragraph) return [];
    const isBlankAbove = /\n[^\S\n]*\r?\n/.test(stretch.text.slice(before.end, passage.start));
    return [{ at, rank: prefersHeadings && passage.heading ? 2 : isBlankAbove ? 1 : 0 }];
  });
  const target = offset === undefined ? -1 : passages.findIndex(({ location }) => location.end > offset);
  const middle = passages.length / 2;
  const isBest = (best, { rank }) => (best === null || rank > best.rank);
  const above = cutsAbove && breaks.filter(({ at }) => at <= middle && (target < 0 || at <= target))
    .reduce((best, each) => (isBest(best, each) ? each : best), null);
  const below = cutsBelow && breaks.filter(({ at }) => at > middle && at > target)
    .reduceRight((best, each) => (isBest(best, each) ? each : best), null);
  return cut(stretch, above ? above.at : 0, below ? below.at : passages.length);
}

/** Return the passages from one to another with their text. */
function cut({ from, to, text, passages }, first, last) {
  const start = first ? passages[first - 1].end : 0;
  const end = last < passages.length ? passages[last - 1].end : text.length;
  return {
    from: first ? passages[first - 1].location.end : from,
    to: last < passages.length ? passages[last - 1].location.end : to,
    text: text.slice(start, end),
    passages: passages.slice(first, last)
      .map((passage) => ({ ...passage, start: passage.start - start, end: passage.end - start })),
  };
}
