// The answers to a question, best first.

import { activeFilters, addressOf, addressWithMore, linkTo } from "./address.js";
import * as api from "./api.js";
import { copyButton, describeLocation, quoteWithSource } from "./citation.js";
import { counted, find, make, makeQuote, showStatus, unitCounter } from "./dom.js";
import { setInline } from "./setting.js";

const CERTAINTY = [[0.9, "Almost certainly answered"], [0.75, "Very likely answered"], [0.5, "Probably answered"]];
let shown = null; // { key, answer }: what was asked, and the answer that is on the page

export const passages = () => shown?.answer.passages ?? [];
export const forget = () => (shown = null);

export async function show(state, signal) {
  const { q: question, k, mode } = state;
  const filters = activeFilters(state.filters);
  const key = JSON.stringify([question, k, mode, filters]);
  if (shown?.key !== key) {
    forget();
    find("#answers").replaceChildren();
    showStatus("");
    const answer = await api.ask({ question, k, mode, filters }, signal);
    shown = { key, answer };
    find("#answers").replaceChildren(...list(answer, state));
  }
  showStatus(summary(shown.answer, filters), shown.answer.verdict.replace("_", "-"));
  markOpen(state);
}

/** Say in words and in per cent how sure the answer is. */
function summary({ verdict, confidence, passages }, filters) {
  if (!passages.length) return filters ? "No passage passes the filters." : "The documents hold no passages.";
  const percent = `${Math.round(100 * confidence)}%`;
  const first = passages.length === 1 ? "this passage" : `the first of ${counted(passages.length, "passage")}`;
  if (verdict === "unsure") {
    return `Perhaps answered, not certain: ${percent} sure that ${first} is the answer. Check it in its document.`;
  }
  if (verdict === "not_answered") {
    return `The documents do not seem to answer this (${percent} sure that they do). The closest ${
      passages.length === 1 ? "passage" : "passages"}:`;
  }
  const [, words] = CERTAINTY.find(([least]) => confidence >= least) ?? [0, "Perhaps answered"];
  return `${words}: ${percent} sure that ${first} is the answer.`;
}

function list({ passages }, state) {
  const more = passages.length === state.k && addressWithMore(state);
  return [
    make("ol", { class: "ranked" }, ...passages.map((passage) => item(passage, state))),
    more && make("p", {}, make("a", { href: more, class: "more" }, "More passages")),
  ].filter(Boolean);
}

function item(passage, state) {
  const { before, sentence, after } = setInContext(passage);
  return make("li", { class: "answer", "data-citation": passage.citation },
    make("a", { class: "open", href: addressOf({ ...state, view: null, document: null, cite: passage.citation }) },
      makeQuote("span", { class: "passage" },
        passage.context.before && make("span", { class: "context" }, ...before, " "),
        make("span", { class: "sentence" }, ...sentence),
        passage.context.after && make("span", { class: "context" }, " ", ...after))),
    passage.location.columns?.length && makeQuote("p", { class: "source" },
      `Columns: ${passage.location.columns.join(" | ")}`),
    make("p", { class: "source" },
      make("bdi", { class: "title" }, passage.document.title), `, ${describeLocation(passage.location)} · `,
      make("bdi", {}, passage.document.id)),
    make("p", { class: "actions" },
      copyButton("Copy citation", () => quoteWithSource(passage), "the quote with its source"),
      copyButton("Copy link", () => linkTo({ cite: passage.citation }), "the link")),
    passage.also && duplicates(passage.also, state));
}

function duplicates(citations, state) {
  const links = citations.map((cite, index) =>
    make("li", {}, make("a", { href: addressOf({ ...state, cite }) }, `place ${index + 2}`)));
  return make("details", { class: "duplicates" },
    make("summary", {}, `The same sentence stands in ${counted(citations.length, "other place")}`),
    make("ul", {}, ...links));
}

/** Return the sentence, with the words that match the question marked, and those around it, as lists of nodes. */
function setInContext({ text, context, highlights, document }) {
  const start = context.before ? context.before.length + 1 : 0; // read together: emphasis can begin in one before
  const end = start + text.length;
  const toUnits = unitCounter(text);
  const whole = [context.before, text, context.after].filter(Boolean).join(" ");
  const marks = highlights.map((span) => ({ start: start + toUnits(span.start), end: start + toUnits(span.end) }));
  const parts = [{ start: 0, end: Math.max(0, start - 1) }, { start, end }, { start: end + 1, end: whole.length }];
  const [before, sentence, after] = setInline(whole, document.id, parts, marks);
  return { before, sentence, after };
}

/** Mark the answer that is open in its document. */
function markOpen({ cite }) {
  for (const answer of document.querySelectorAll(".answer")) {
    const link = answer.querySelector(".open");
    if (answer.dataset.citation === cite) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
