// A document beside the answers: the cited sentence is marked, and every other sentence can be cited.

import { addressOf } from "./address.js";
import * as api from "./api.js";
import { card } from "./citation.js";
import { codePointSlicer, counted, find, make, makeQuote } from "./dom.js";
import { keepInView, letGo } from "./scroll.js";

// The document on the page: {
//   id, title, passages,
//   text: its element, sentences: a Map from citations to the elements in it,
//   base: the address of the page without the document,
//   focusable: the one sentence that Tab reaches, marked: the cited one, hits: those that are answers }
let opened = null;

export const forget = () => (opened = null);

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
  const isOpen = opened?.id === id && opened.base === base && (!marked || opened.sentences.has(marked));
  if (!isOpen) opened = { ...(await load(id, removed && citation.cited, state, signal)), base };
  const nearby = removed ? lastPassageUpTo(citation.cited.location.line) : null;
  pane.replaceChildren(...header(citation, nearby), opened.text);
  pane.hidden = false;
  focus(pane, marked ?? nearby?.citation, marked);
}

/** Fetch a document and create its elements. If a removed sentence was cited, the document may be gone, too. */
async function load(id, removed, state, signal) {
  try {
    return render(await api.readDocument(id, signal), state);
  } catch (error) {
    if (error.status !== 404 || !removed) throw error;
    return { id, title: removed.document.title, passages: [], sentences: new Map(), hits: [], text: make("div") };
  }
}

function render({ id, title, text, passages }, state) {
  // Copying one link is three times as fast as creating thousands.
  const template = make("a", { class: "sentence", tabindex: -1, draggable: "false" });
  const address = addressOf({ ...state, view: null, cite: null, document: null });
  const prefix = `${address}${address.includes("?") ? "&" : "?"}`;
  const slice = codePointSlicer(text);
  const body = make("div", { class: "text" });
  const sentences = new Map();
  let [position, block, paragraph] = [0, null, null];
  for (const { citation, heading, location } of passages) {
    const gap = slice(position, location.start);
    if (location.paragraph !== paragraph) {
      block = makeQuote(heading ? "h3" : "p", { class: "block" });
      body.append(block);
      paragraph = location.paragraph;
      if (gap.trim()) block.append(make("span", { class: "gap" }, gap.trim(), " "));
    } else block.append(gap);
    const sentence = template.cloneNode();
    sentence.href = `${prefix}cite=${encodeURIComponent(citation)}`;
    sentence.textContent = slice(location.start, location.end);
    sentences.set(citation, sentence);
    block.append(sentence);
    position = location.end;
  }
  const rest = slice(position).trim();
  if (rest) body.append(makeQuote("p", { class: "block gap" }, rest));
  return { id, title, passages, sentences, hits: [], text: body };
}

function header(citation, nearby) {
  const closing = { class: "close", href: opened.base, "aria-label": "Close the document", onclick: focusAnswer };
  return [
    make("div", { class: "bar" }, make("h2", {}, make("bdi", {}, opened.title)), make("a", closing, "Close")),
    make("p", { class: "source" }, make("bdi", {}, opened.id), ` · ${counted(opened.passages.length, "passage")}`),
    citation && card(citation, nearby?.text),
    make("p", { id: "jumps" }),
  ].filter(Boolean);
}

/** Put the focus back on the answer from which the document was opened. */
const focusAnswer = () => find(".answer .open[aria-current]")?.focus();

function lastPassageUpTo(line) {
  return opened.passages.findLast((passage) => passage.location.line <= line) ?? opened.passages[0] ?? null;
}

/** Focus the sentence of a citation, or without one the document's beginning, and bring it into view. */
function focus(pane, citation, marked) {
  opened.marked?.removeAttribute("aria-current");
  const sentence = opened.sentences.get(citation);
  makeFocusable(sentence ?? opened.sentences.values().next().value);
  opened.marked = marked ? sentence : null;
  opened.marked?.setAttribute("aria-current", "true");
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
  if (!opened) return;
  for (const sentence of opened.hits) sentence.classList.remove("hit");
  const citations = new Set(answers.map(({ citation }) => citation));
  const hits = opened.passages.filter(({ citation }) => citations.has(citation));
  opened.hits = hits.map(({ citation }) => opened.sentences.get(citation));
  for (const sentence of opened.hits) sentence.classList.add("hit");
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

/** Move the focus by a number of sentences. */
export function moveFocus(by) {
  const sentences = [...(opened?.sentences.values() ?? [])];
  if (!sentences.length) return;
  const index = sentences.indexOf(opened.focusable);
  makeFocusable(sentences[Math.min(sentences.length - 1, Math.max(0, index + by))]);
  opened.focusable.focus();
}
