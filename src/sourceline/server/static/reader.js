// A document, read beside the answers: one sentence is marked, and every other can be cited.

import * as api from "./api.js";
import { card } from "./citation.js";
import { count, find, make, slicer, verbatim } from "./dom.js";
import { address } from "./place.js";

let open = null; // the document that is shown: { id, base, text, sentences: Map of citation -> element, passages }

export const forget = () => (open = null);

export async function show(state, signal) {
  const panel = find("#reader");
  if (!state.cite && !state.document) return close(panel);
  try {
    const found = state.cite ? await api.citation(state.cite, signal) : null;
    await point(panel, found, state, signal);
  } catch (error) {
    if (error.name !== "AbortError") close(panel);
    throw error;
  }
  return undefined;
}

function close(panel) {
  panel.hidden = true;
  panel.replaceChildren();
  forget();
}

/** Open the document where a sentence is to be seen today, or that is asked for, and mark the sentence. */
async function point(panel, found, state, signal) {
  const here = found?.status === "removed" ? found.cited : found?.successor ?? found;
  const id = here?.document.id ?? state.document;
  const marked = found && found.status !== "removed" ? here.citation : null;
  const base = address({ ...state, cite: null, document: null }); // the sentences' links hold it
  if (open?.id !== id || open.base !== base || (marked && !open.sentences.has(marked))) {
    open = { base, ...(await read(id, state, found, signal)) };
  }
  const near = found?.status === "removed" ? nearest(found.cited.location) : null;
  panel.replaceChildren(...top(base, found, near), open.text);
  panel.hidden = false;
  mark(marked ?? near?.citation, marked);
}

/** Fetch a document and make its elements. That it is gone is no failure for one whose sentence is gone. */
async function read(id, state, found, signal) {
  try {
    return elements(await api.text(id, signal), state);
  } catch (error) {
    if (error.status !== 404 || found?.status !== "removed") throw error;
    return { id, title: found.cited.document.title, passages: [], sentences: new Map(), text: make("div", {}) };
  }
}

function elements({ id, title, text, passages }, state) {
  const cut = slicer(text);
  const body = make("div", { class: "text" });
  const sentences = new Map();
  let [done, block, paragraph] = [0, null, null];
  for (const passage of passages) {
    const { start, end, paragraph: of } = passage.location;
    const gap = cut(done, start);
    if (of !== paragraph) {
      block = verbatim(passage.heading ? "h3" : "p", { class: "block" });
      body.append(block);
      paragraph = of;
      if (gap.trim()) block.append(make("span", { class: "gap" }, gap.trim(), " "));
    } else block.append(gap);
    const href = address({ ...state, view: null, cite: passage.citation });
    const sentence = make("a", { class: "sentence", href, tabindex: -1, draggable: "false" }, cut(start, end));
    sentences.set(passage.citation, sentence);
    block.append(sentence);
    done = end;
  }
  const tail = cut(done).trim();
  if (tail) body.append(verbatim("p", { class: "block gap" }, tail));
  return { id, title, passages, sentences, text: body };
}

function top(base, found, near) {
  return [
    make("div", { class: "bar" },
      make("h2", {}, make("bdi", {}, open.title)),
      make("a", { class: "close", href: base, "aria-label": "Close the document" }, "Close")),
    make("p", { class: "where" }, make("bdi", {}, open.id), ` · ${count(open.passages.length, "passage")}`),
    found && card(found, near?.text),
    make("p", { id: "jumps" }),
  ].filter(Boolean);
}

/** The last passage that stands at or above the line where a removed one stood. */
function nearest({ line }) {
  return open.passages.findLast((passage) => passage.location.line <= line) ?? open.passages[0] ?? null;
}

/** Mark a sentence, or without one only scroll to a place; Tab comes to it. */
function mark(citation, marked) {
  for (const sentence of open.sentences.values()) {
    sentence.removeAttribute("aria-current");
    sentence.tabIndex = -1;
  }
  const target = open.sentences.get(citation) ?? open.sentences.values().next().value;
  if (target) target.tabIndex = 0;
  if (marked) target.setAttribute("aria-current", "true");
  const focused = citation && target ? target : find("#reader");
  focused.focus({ preventScroll: true });
  focused.scrollIntoView({ block: citation ? "center" : "start" });
}

/** Mark the answers that stand in this document, with links from each to the next. */
export function markAnswers(answers, state) {
  if (!open) return;
  for (const sentence of open.sentences.values()) sentence.classList.remove("hit");
  const here = open.passages.filter(({ citation }) => answers.some((answer) => answer.citation === citation));
  for (const { citation } of here) open.sentences.get(citation).classList.add("hit");
  if (!here.length) return;
  const at = here.findIndex(({ citation }) => citation === state.cite);
  const link = (to, rel, words) => make("a", { rel, href: address({ ...state, cite: to.citation }) }, words);
  const after = here[(at + 1) % here.length];
  const before = here[(Math.max(at, 0) - 1 + here.length) % here.length];
  const several = here.length > 1 || at < 0;
  find("#jumps").replaceChildren(
    at < 0 ? `${count(here.length, "answer")} in this document. ` : `Answer ${at + 1} of ${here.length} in this document. `,
    ...(several ? [link(before, "prev", "Previous"), " ", link(after, "next", "Next")] : []));
}

/** Move the focus by so many sentences. */
export function move(by) {
  const sentences = [...(open?.sentences.values() ?? [])];
  if (!sentences.length) return;
  const at = sentences.findIndex((sentence) => sentence.tabIndex === 0);
  const target = sentences[Math.min(sentences.length - 1, Math.max(0, at + by))];
  sentences[at].tabIndex = -1;
  target.tabIndex = 0;
  target.focus();
}
