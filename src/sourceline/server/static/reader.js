// A document beside the answers: the cited sentence is marked, and every other sentence can be cited.

import { addressOf } from "./address.js";
import * as answers from "./answers.js";
import * as api from "./api.js";
import { describeDate, fillNote, nameNote, nameOf } from "./citation.js";
import { find, make, makeQuote } from "./dom.js";
import * as map from "./map.js";
import { keepInView, letGo, scrollerOf } from "./scroll.js";
import { clear as clearSearch, searchField } from "./searching.js";
import { DocumentText } from "./stretches.js";

const MAX_MARKED = 3; // answers that are underlined; more make a short text restless, and the map has them all

// The document on the page: {
//   id, title, text: a DocumentText, or null if the document is gone,
//   base: the address of the page without the document,
//   prefix: what the links of sentences begin with,
//   hits: the answers in it, in order,
//   citation: the one that is shown beside it,
//   focusable: the one sentence that Tab reaches, marked: the citation of the sentence that is marked }
let opened = null;

export function forget() {
  opened?.text?.close();
  opened = null;
}

/** Keep what is shown where it is, if it is what a state asks for; return whether it is. */
export function keeps(state) {
  if (!opened?.text || opened.text.isClosed) return false;
  if (state.cite ? opened.citation?.citation !== state.cite : opened.id !== state.document) return false;
  relink(state);
  return true;
}

/** Show the document that a state asks for. The focus goes to the sentence unless the reader is elsewhere. */
export async function show(state, signal, { takesFocus = true } = {}) {
  find("#reader").hidden = false;
  try {
    const citation = state.cite ? await api.citation(state.cite, signal) : null;
    await open(citation, state, signal, takesFocus);
  } catch (error) {
    if (error.name !== "AbortError") close();
    throw error;
  }
}

export function close() {
  letGo();
  clearSearch();
  find("#reader").hidden = true;
  find("#reader").replaceChildren();
  forget();
}

/** Open the document in which the cited sentence stands today, or the one that the address names. */
async function open(citation, state, signal, takesFocus) {
  const removed = citation?.status === "removed";
  const source = removed ? citation.cited : citation?.successor ?? citation;
  const id = source?.document.id ?? state.document;
  const marked = citation && !removed ? source.citation : null;
  const offset = (marked ? source : citation?.cited)?.location.start ?? 0;
  if (opened?.id === id && !opened.text?.isClosed) await opened.text?.reach(offset, signal);
  else await load(id, removed ? citation.cited : null, offset, signal);
  if (marked && !opened.text?.sentence(marked).length) await load(id, null, offset, signal);
  const nearby = removed ? lastPassageUpTo(citation.cited.location.line) : null;
  opened.citation = citation;
  relink(state);
  if (!find("#reader").contains(opened.text?.element ?? null)) build();
  find("#reader .close").href = opened.base;
  fillNote(find("#note"), citation, nearby?.text);
  focus(marked ?? nearby?.citation, marked, takesFocus);
  opened.text?.watch();
}

/** Fetch a document where it is to be read. If a removed sentence was cited, the document may be gone, too. */
async function load(id, removed, offset, signal) {
  const text = new DocumentText(id, makeLink);
  let title = removed?.document.title;
  try {
    await text.reach(offset, signal);
    title = text.about.title;
  } catch (error) {
    if (error.status !== 404 || !removed) throw error;
  }
  forget();
  clearSearch();
  opened = { id, title, text: text.about ? text : null, base: "/", prefix: "/?", hits: [], marked: null };
}

// Copying one link is three times as fast as creating thousands.
const template = make("a", { class: "sentence", tabindex: -1, draggable: "false" });
const partTemplate = make("a", { class: "sentence-part", tabindex: -1, draggable: "false" });

/** Return the link of a passage, which cites it; `isPart` if its sentence began in another element. */
function makeLink({ citation }, isPart) {
  const link = (isPart ? partTemplate : template).cloneNode();
  link.dataset.citation = citation;
  if (opened) {
    link.href = addressOfSentence(citation);
    markHit(link, citation);
    if (opened.marked === citation) mark(link);
  }
  return link;
}

const addressOfSentence = (citation) => `${opened.prefix}cite=${encodeURIComponent(citation)}`;

/** Let the links of the sentences keep the question of a state. */
function relink(state) {
  opened.base = addressOf({ ...state, cite: null, document: null });
  const address = addressOf({ ...state, view: null, cite: null, document: null });
  opened.prefix = `${address}${address.includes("?") ? "&" : "?"}`;
  for (const link of opened.text?.element.querySelectorAll("[data-citation]") ?? []) {
    link.href = addressOfSentence(link.dataset.citation);
  }
}

/** Mark an element of the cited sentence; only the first one is announced. */
function mark(link) {
  if (link.className.startsWith("sentence-part")) link.classList.add("cited");
  else link.setAttribute("aria-current", "true");
}

function markHit(link, citation) {
  const hit = opened.hits.find((each) => each.citation === citation);
  const isWhole = !link.className.startsWith("sentence-part");
  link.classList.toggle("hit", Boolean(hit && hit.rank <= MAX_MARKED));
  link.classList.toggle("two-digits", Boolean(hit && isWhole && hit.rank > 9));
  if (hit && isWhole) link.dataset.answer = hit.rank;
  else delete link.dataset.answer;
}

/** Build the pane of the document that was opened. */
function build() {
  const { id, title, text } = opened;
  const name = nameOf({ id, title });
  const file = name !== id && make("bdi", { class: "id" }, id, text?.about.date ? ", " : "");
  const about = [file, text?.about.date && describeDate(text.about.date)].filter(Boolean);
  find("#reader").replaceChildren(
    make("header", { class: "doc-bar" },
      make("a", { class: "close", href: "/", "aria-label": "Close the document" },
        make("span", {}, "‹ Answers")),
      make("h2", {}, make("bdi", {}, name)),
      make("p", { class: "when" }, ...about),
      text && searchField(text)),
    make("div", { id: "pane", tabindex: -1, role: "region", "aria-label": "Text of the document" },
      make("div", { class: "sheet" }, text?.element ?? makeQuote("blockquote", { class: "gone" }, `“${opened.citation.text}”`)),
      make("aside", { id: "foot", class: "foot", "aria-label": "Citation" },
        make("div", { id: "note", class: "margin" }), make("p", { id: "jumps", class: "jumps" }))),
    make("nav", { id: "map", class: "map", "aria-label": "Answers in this document", onclick: map.jump }));
  const layout = new ResizeObserver(() => {
    placeNote();
    map.redraw();
  });
  layout.observe(find("#reader .sheet"));
  layout.observe(find("#pane"));
  find("#pane").addEventListener("scroll", map.showView, { passive: true });
}
window.addEventListener("scroll", map.showView, { passive: true });

/** Lay the note beside its sentence. On a narrow screen it stands at the foot. */
function placeNote() {
  const pane = find("#pane");
  if (!pane || !opened) return;
  const foot = find("#foot");
  const place = find("#reader .sentence[aria-current]") ?? opened.focusable;
  const isWide = scrollerOf(pane) === pane;
  foot.hidden = isWide && !opened.citation;
  const top = place?.isConnected
    ? place.getClientRects()[0].top - pane.getBoundingClientRect().top + pane.scrollTop : 0;
  foot.style.top = isWide ? `${Math.max(0, top)}px` : "";
}

function lastPassageUpTo(line) {
  const passages = opened.text?.passages ?? [];
  return passages.findLast((passage) => passage.location.line <= line) ?? passages[0] ?? null;
}

/** Mark the sentence of a citation, and bring it, or without one the document's beginning, into view. */
function focus(citation, marked, takesFocus) {
  const pane = find("#pane");
  for (const link of pane.querySelectorAll(".sentence[aria-current]")) link.removeAttribute("aria-current");
  for (const link of pane.querySelectorAll(".cited")) link.classList.remove("cited");
  opened.marked = marked;
  if (marked) opened.text.sentence(marked).forEach(mark);
  const sentence = citation && opened.text?.sentence(citation)[0];
  makeFocusable(sentence ?? pane.querySelector(".sentence"));
  if (takesFocus) (sentence ?? pane).focus({ preventScroll: true });
  placeNote();
  if (sentence) {
    keepInView(pane, sentence);
  } else {
    letGo();
    scrollerOf(pane).scrollTo({ top: 0, behavior: "instant" });
  }
}

function makeFocusable(sentence) {
  if (opened.focusable) opened.focusable.tabIndex = -1;
  if (sentence) sentence.tabIndex = 0;
  opened.focusable = sentence;
}

/** Mark the answers that stand in this document, and link each to the next. */
export function markAnswers(passages, state) {
  if (!opened?.text) return;
  const hits = passages.map((passage, index) => ({ ...passage, rank: index + 1 }))
    .filter((hit) => hit.document.id === opened.id).sort((a, b) => a.location.start - b.location.start);
  opened.hits = hits;
  for (const link of opened.text.element.querySelectorAll("[data-citation]")) markHit(link, link.dataset.citation);
  const address = (hit) => addressOf({ ...state, view: null, document: null, cite: hit.citation });
  map.draw(hits, opened.text.about.length, address, opened.marked);
  answers.markOpen(opened.marked);
  const index = hits.findIndex(({ citation }) => citation === opened.marked);
  nameNote(find("#note"), hits[index]?.rank, answers.verdict() === "not_answered" ? "Passage" : "Answer");
  const step = (hit, rel, label, text) => make("a", { rel, href: address(hit), "aria-label": label }, text);
  const isAlone = hits.length < 2 && index >= 0;
  find("#jumps").replaceChildren(...(state.q && answers.verdict() ? [
    answers.sign(answers.verdict()),
    make("span", { class: "asked" }, make("span", {}, answers.VERDICTS[answers.verdict()]), state.q)] : []),
    ...(hits.length && !isAlone ? [
      step(hits[(Math.max(index, 0) - 1 + hits.length) % hits.length], "prev", "Previous answer in this document", "↑"),
      step(hits[(index + 1) % hits.length], "next", "Next answer in this document", "↓")] : []));
}

let moves = Promise.resolve();

/** Move the focus by a number of sentences, from the one that had it or the first one on the screen. */
export function moveFocus(by) {
  const move = () => moveOnce(by);
  moves = moves.then(move, move); // each from where the one before went, also if that one had to fetch
  return moves;
}

async function moveOnce(by) {
  if (!opened?.text) return;
  let index = placeOfFocus() + by;
  if (index < 0 || index >= sentences().length) {
    const count = sentences().length;
    if (await opened.text.extend(by)) index += by < 0 ? sentences().length - count : 0;
  }
  const all = sentences();
  if (!all.length) return;
  makeFocusable(all[Math.min(all.length - 1, Math.max(0, index))]);
  opened.focusable.focus();
}

const sentences = () => [...opened.text.element.querySelectorAll(".sentence")];

function placeOfFocus() {
  const all = sentences();
  const index = all.indexOf(opened.focusable);
  return index >= 0 ? index : all.findIndex((sentence) => sentence.getBoundingClientRect().top >= 0);
}
