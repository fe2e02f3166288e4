// A document beside the answers: the cited sentence is marked, and every other sentence can be cited.

import { addressOf } from "./address.js";
import * as api from "./api.js";
import { card, describeDate } from "./citation.js";
import { counted, find, make } from "./dom.js";
import { keepInView, letGo } from "./scroll.js";
import { DocumentText } from "./stretches.js";

// The document on the page: {
//   id, title, text: a DocumentText, or null if the document is gone,
//   base: the address of the page without the document,
//   hits: the answers in it, in order,
//   focusable: the one sentence that Tab reaches, marked: the citation of the sentence that is marked }
let opened = null;

export function forget() {
  opened?.text?.close();
  opened = null;
}

export async function show(state, signal) {
  const pane = find("#reader");
  if (!state.cite && !state.document) return close(pane);
  try {
    const citation = state.cite ? await api.citation(state.cite, signal) : null;
    await open(pane, citation, state, signal);
  } catch (error) {
    if (error.name !== "AbortError") close(pane);
    throw error;
  }
  return undefined;
}

function close(pane) {
  letGo();
  pane.hidden = true;
  pane.replaceChildren();
  forget();
}

/** Open the document in which the cited sentence stands today, or the one that the address names. */
async function open(pane, citation, state, signal) {
  const removed = citation?.status === "removed";
  const source = removed ? citation.cited : citation?.successor ?? citation;
  const id = source?.document.id ?? state.document;
  const marked = citation && !removed ? source.citation : null;
  const base = addressOf({ ...state, cite: null, document: null }); // the document's links start with it
  const offset = (marked ? source : citation?.cited)?.location.start ?? 0;
  if (opened?.id === id && opened.base === base && !opened.text?.isClosed) await opened.text?.reach(offset, signal);
  else await load(id, removed ? citation.cited : null, base, state, offset, signal);
  if (marked && !opened.text?.sentence(marked).length) await load(id, null, base, state, offset, signal);
  const nearby = removed ? lastPassageUpTo(citation.cited.location.line) : null;
  pane.replaceChildren(...header(citation, nearby), opened.text?.element ?? make("div"));
  pane.hidden = false;
  focus(pane, marked ?? nearby?.citation, marked);
  opened.text?.watch();
}

/** Fetch a document where it is to be read. If a removed sentence was cited, the document may be gone, too. */
async function load(id, removed, base, state, offset, signal) {
  const text = new DocumentText(id, linkMaker(state));
  let title = removed?.document.title;
  try {
    await text.reach(offset, signal);
    title = text.about.title;
  } catch (error) {
    if (error.status !== 404 || !removed) throw error;
  }
  forget();
  opened = { id, title, base, text: text.about ? text : null, hits: [], focusable: null, marked: null };
}

/** Return what makes the link of a passage, which cites it; `isPart` if its sentence began in another element. */
function linkMaker(state) {
  // Copying one link is three times as fast as creating thousands.
  const template = make("a", { class: "sentence", tabindex: -1, draggable: "false" });
  const part = make("a", { class: "sentence-part", tabindex: -1, draggable: "false" });
  const address = addressOf({ ...state, view: null, cite: null, document: null });
  const prefix = `${address}${address.includes("?") ? "&" : "?"}`;
  return ({ citation }, isPart) => {
    const link = (isPart ? part : template).cloneNode();
    link.href = `${prefix}cite=${encodeURIComponent(citation)}`;
    if (opened?.hits.some((hit) => hit.citation === citation)) link.classList.add("hit");
    if (opened?.marked === citation) mark(link);
    return link;
  };
}

/** Mark an element of the cited sentence; only the first one is announced. */
function mark(link) {
  if (link.className.startsWith("sentence-part")) link.classList.add("cited");
  else link.setAttribute("aria-current", "true");
}

function header(citation, nearby) {
  const closing = { class: "close", href: opened.base, "aria-label": "Close the document", onclick: focusAnswer };
  return [
    make("div", { class: "bar" }, make("h2", {}, make("bdi", {}, opened.title)), make("a", closing, "Close")),
    make("p", { class: "source" }, make("bdi", {}, opened.id), ...describeDate(opened.text?.about.date),
      ` · ${counted(opened.text?.about.passage_count ?? 0, "passage")}`),
    citation && card(citation, nearby?.text),
    make("p", { id: "jumps" }),
  ].filter(Boolean);
}

/** Put the focus back on the answer from which the document was opened. */
const focusAnswer = () => find(".answer .open[aria-current]")?.focus();

function lastPassageUpTo(line) {
  const passages = opened.text?.passages ?? [];
  return passages.findLast((passage) => passage.location.line <= line) ?? passages[0] ?? null;
}

/** Focus the sentence of a citation, or without one the document's beginning, and bring it into view. */
function focus(pane, citation, marked) {
  for (const link of pane.querySelectorAll(".sentence[aria-current]")) link.removeAttribute("aria-current");
  for (const link of pane.querySelectorAll(".cited")) link.classList.remove("cited");
  opened.marked = marked;
  if (marked) opened.text.sentence(marked).forEach(mark);
  const sentence = citation && opened.text?.sentence(citation)[0];
  makeFocusable(sentence ?? pane.querySelector(".sentence"));
  (sentence ?? pane).focus({ preventScroll: true });
  if (sentence) {
    keepInView(pane, sentence);
  } else {
    letGo();
    pane.scrollTop = 0;
    pane.scrollIntoView({ block: "start", behavior: "instant" });
  }
}

function makeFocusable(sentence) {
  if (opened.focusable) opened.focusable.tabIndex = -1;
  if (sentence) sentence.tabIndex = 0;
  opened.focusable = sentence;
}

/** Mark the answers that stand in this document, and link each to the next. */
export function markAnswers(answers, state) {
  if (!opened?.text) return;
  for (const sentence of find("#reader").querySelectorAll(".hit")) sentence.classList.remove("hit");
  const hits = answers.filter((answer) => answer.document.id === opened.id)
    .sort((a, b) => a.location.start - b.location.start);
  opened.hits = hits;
  for (const { citation } of hits) {
    for (const element of opened.text.sentence(citation)) element.classList.add("hit");
  }
  if (!hits.length) return;
  const index = hits.findIndex(({ citation }) => citation === state.cite);
  const link = (hit, rel, label) => make("a", { rel, href: addressOf({ ...state, cite: hit.citation }) }, label);
  const next = hits[(index + 1) % hits.length];
  const previous = hits[(Math.max(index, 0) - 1 + hits.length) % hits.length];
  const hasOthers = hits.length > 1 || index < 0;
  const answer = index < 0 ? counted(hits.length, "answer") : `Answer ${index + 1} of ${hits.length}`;
  find("#jumps").replaceChildren(`${answer} in this document. `,
    ...(hasOthers ? [link(previous, "prev", "Previous"), " ", link(next, "next", "Next")] : []));
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
