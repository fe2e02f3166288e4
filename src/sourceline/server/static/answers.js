// The answers to a question, best first; on the empty page, questions that the documents answer.

import * as api from "./api.js";
import { asLink, asText, copy } from "./citation.js";
import { count, find, make, say, slicer, verbatim } from "./dom.js";
import { address, more, place } from "./place.js";

let shown = null; // what was asked, and the answer
const SURE = [[0.9, "Almost certainly answered"], [0.75, "Very likely answered"], [0.5, "Probably answered"]];

export const passages = () => shown?.answer.passages ?? [];
export const forget = () => (shown = null);

export async function show(state, signal) {
  const asked = JSON.stringify([state.q, state.k]);
  if (shown?.asked !== asked) {
    forget();
    find("#answers").replaceChildren();
    say("");
    const answer = await api.ask(state.q, state.k, signal);
    shown = { asked, answer };
    find("#answers").replaceChildren(...list(answer, state));
  }
  say(verdict(shown.answer), shown.answer.answerable ? "answered" : "unanswered");
  mark(state);
}

export async function showExamples(signal) {
  forget();
  say("");
  find("#answers").replaceChildren();
  const { questions } = await api.examples(signal);
  if (!questions.length) return;
  find("#answers").replaceChildren(make("h2", {}, "For example"), make("ul", { class: "examples" },
    ...questions.map((q) => make("li", {}, verbatim("a", { href: address({ q }) }, q)))));
}

/** How sure the answer is, in words and a number. */
function verdict({ answerable, confidence, passages }) {
  if (!passages.length) return "There are no passages in the documents.";
  const percent = `${Math.round(100 * confidence)} %`;
  if (!answerable) {
    return `The documents do not seem to answer this (${percent} sure that they do). The nearest ${
      passages.length === 1 ? "passage" : "passages"}:`;
  }
  const [, words] = SURE.find(([least]) => confidence >= least) ?? [0, "Perhaps answered"];
  return `${words}: ${percent} sure that the first of ${count(passages.length, "passage")} answers.`;
}

function list({ passages }, state) {
  const further = passages.length === state.k && more(state);
  return [
    make("ol", { class: "ranked" }, ...passages.map((one) => item(one, state))),
    further && make("p", {}, make("a", { href: further, class: "more" }, "More passages")),
  ].filter(Boolean);
}

function item(passage, state) {
  const { before, after } = passage.context;
  return make("li", { class: "answer", "data-citation": passage.citation },
    make("a", { class: "open", href: address({ ...state, view: null, document: null, cite: passage.citation }) },
      verbatim("span", { class: "passage" },
        before && make("span", { class: "beside" }, `${before} `),
        make("span", { class: "sentence" }, ...highlighted(passage)),
        after && make("span", { class: "beside" }, ` ${after}`))),
    make("p", { class: "where" },
      make("bdi", { class: "title" }, passage.document.title), `, ${place(passage.location)} · `,
      make("bdi", {}, passage.document.id)),
    make("p", { class: "copies" },
      make("button", { type: "button", onclick: () => copy(asText(passage), "the quote with its source") }, "Copy citation"),
      make("button", { type: "button", onclick: () => copy(asLink(passage), "the link") }, "Copy link")),
    passage.also && also(passage.also, state));
}

function also(citations, state) {
  const links = citations.map((cite, at) => make("li", {}, make("a", { href: address({ ...state, cite }) }, `place ${at + 2}`)));
  return make("details", { class: "also" },
    make("summary", {}, `The same stands in ${count(citations.length, "other place")}`), make("ul", {}, ...links));
}

/** The sentence, its matched words marked. */
function highlighted({ text, highlights }) {
  const cut = slicer(text);
  const parts = [];
  let done = 0;
  for (const { start, end } of highlights) {
    parts.push(cut(done, start), make("mark", {}, cut(start, end)));
    done = end;
  }
  return [...parts, cut(done)];
}

/** Show which answer is open in the document beside. */
function mark({ cite }) {
  for (const answer of document.querySelectorAll(".answer")) {
    const link = answer.querySelector(".open");
    if (answer.dataset.citation === cite) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
