// The answers to a question: a verdict, the first answer large, the others below it by document.

import { activeFilters, addressOf, addressWithMore, linkTo } from "./address.js";
import * as api from "./api.js";
import { annotationOf, copy, copyButton, nameOf, quoteWithSource, source } from "./citation.js";
import { counted, find, make, makeQuote, makeSvg, showStatus, unitCounter } from "./dom.js";
import { thresholds } from "./front.js";
import { menu } from "./menu.js";
import { setInline } from "./setting.js";

export const VERDICTS = { answered: "Answered", unsure: "Possibly", not_answered: "The documents don’t say" };
const MAX_NAMED = 3; // speakers that are offered in the place of one
const NEIGHBOURS = 3; // characters between two sentences that follow each other
let shown = null; // { key, answer }: what was asked, and the answer that is on the page

export const passages = () => shown?.answer.passages ?? [];
export const verdict = () => shown?.answer.verdict ?? null;
export const forget = () => (shown = null);

/** Return the passage that answers, or may; null if none does. */
export const first = () => (shown && shown.answer.verdict !== "not_answered" ? passages()[0] ?? null : null);

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
  showVerdict(shown.answer);
  markOpen(state.cite);
}

function showVerdict({ verdict, confidence, passages }) {
  if (!passages.length) return showStatus("Nothing was searched", "not-answered", sign("not_answered"));
  showStatus(VERDICTS[verdict], verdict.replace("_", "-"), sign(verdict));
  const { answered, possible } = thresholds();
  const [percent, notch, floor] = [confidence, answered, possible].map((share) => Math.round(100 * share));
  find("#sure").replaceChildren(
    makeSvg("svg", { class: "bar", "aria-hidden": "true" },
      makeSvg("rect", { class: "all", width: "100%", height: "1" }),
      makeSvg("rect", { width: `${percent}%`, height: "3" }),
      makeSvg("rect", { class: "notch", x: `${notch}%`, width: "1", height: "7" })),
    make("details", { class: "sure" }, make("summary", {}, "How sure?"),
      make("p", {}, `${percent}%, the length of the line above: about so many of 100 answers as sure as this one are right. ${
        ""}From ${notch}%, at the notch, it counts as answered; below ${floor}%, as not in the documents.`)));
  return undefined;
}

/** Return the sign of a verdict: it differs in form, not only in colour. */
export function sign(verdict) {
  const circle = (properties) => makeSvg("circle", { cx: 7, cy: 7, r: 6.25, ...properties });
  const line = { fill: "none", stroke: "currentColor", "stroke-width": 1.5 };
  const parts = {
    answered: () => [circle({ fill: "currentColor" }),
      makeSvg("path", { d: "m4 7.2 2.2 2.2L10.2 5", ...line, stroke: "var(--paper)" })],
    unsure: () => [circle(line), makeSvg("path", { d: "M7 1a6 6 0 0 0 0 12z", fill: "currentColor" })],
    not_answered: () => [circle(line), makeSvg("path", { d: "M4 7h6", ...line })],
  };
  return makeSvg("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, ...parts[verdict]());
}

function list(answer, state) {
  const { passages, verdict } = answer;
  const hasFilters = activeFilters(state.filters);
  if (!passages.length) {
    const hint = make("p", { class: "hint" });
    if (hasFilters?.speakers) nameSpeakers(hint, state);
    return [make("p", { class: "silence" },
      hasFilters ? "No passage passes the filters." : "The documents hold no passages."), hint];
  }
  const stretches = stretchesOf(passages);
  const more = passages.length === state.k && addressWithMore(state);
  const moreLink = more && make("a", { href: more, class: "more link" }, "More passages");
  if (verdict === "not_answered") {
    const late = make("p", { class: "hint" });
    tellOfChanges(late);
    return [
      make("p", { class: "silence" },
        hasFilters ? "Nothing that passes the filters answers this." : "Nothing in the documents answers this."),
      make("p", { class: "hint" }, "Ask it in other words, or look at what comes nearest."), late,
      make("details", { class: "rest" }, make("summary", {}, "Closest passages"),
        ...groups(stretches, state, false), moreLink || ""),
    ];
  }
  const [lead, ...others] = stretches;
  const documents = new Set(passages.map((passage) => passage.document.id));
  const title = documents.size > 1 ? "Also in the documents" : "Also in this document";
  return [
    verdict === "unsure" && make("p", { class: "hint" }, "This may not be the answer: read it where it stands."),
    leadFigure(lead, verdict, state),
    (others.length > 0 || moreLink) && make("section", { class: "rest" },
      others.length > 0 && make("h2", {}, title), ...groups(others, state, documents.size === 1), moreLink),
  ].filter(Boolean);
}

/** Say which speakers are called like those of the filter, if nobody has such a name. */
async function nameSpeakers(hint, state) {
  const speakers = await api.speakers({ quiet: true }).catch(() => null) ?? [];
  const plain = (name) => name.toLowerCase();
  for (const wanted of state.filters.speakers) {
    if (speakers.some((name) => plain(name) === plain(wanted))) continue;
    const like = speakers.filter((name) => plain(name).includes(plain(wanted))).slice(0, MAX_NAMED);
    const links = like.map((name) => make("a", {
      href: addressOf({ ...state, filters: { ...state.filters, speakers: [name] } }) }, make("bdi", {}, name)));
    hint.append(`No speaker is called “${wanted}”.`, ...(links.length ? [" Did you mean ",
      ...links.flatMap((link, index) => (index ? [" or ", link] : [link])), "?"] : []), " ");
  }
}

/** Say that documents have changed since they were read: the answer may stand in them. */
async function tellOfChanges(hint) {
  const index = await api.index(undefined, { quiet: true }).catch(() => null);
  if (index?.rebuild.state === "running") hint.append("Documents are being read just now: ask again in a moment.");
  else if (index?.changes?.total) {
    const files = counted(index.changes.total, "file has", "files have");
    hint.append(`${files} changed since the `, make("a", { href: addressOf({ view: "documents" }) }, "documents"), " were read.");
  }
}

/**
 * Return the passages in stretches: sentences that follow each other in a document stand together, in its order.
 *
 * The stretch of the best passage comes first. Each is a list of passages, with their `rank` among the answers.
 */
function stretchesOf(passages) {
  const inOrder = passages.map((passage, index) => ({ ...passage, rank: index + 1 })).sort((a, b) =>
    (a.document.id === b.document.id ? a.location.start - b.location.start : a.document.id < b.document.id ? -1 : 1));
  const stretches = [];
  for (const passage of inOrder) {
    const above = stretches.at(-1)?.at(-1);
    const follows = above?.document.id === passage.document.id
      && above.location.paragraph === passage.location.paragraph && above.location.speaker === passage.location.speaker
      && passage.location.start - above.location.end <= NEIGHBOURS;
    if (follows) stretches.at(-1).push(passage);
    else stretches.push([passage]);
  }
  return stretches.sort((a, b) => best(a).rank - best(b).rank);
}

const best = (stretch) => stretch.reduce((a, b) => (b.rank < a.rank ? b : a));

function leadFigure(stretch, verdict, state) {
  const passage = best(stretch);
  const at = stretch.indexOf(passage);
  const near = (before, members, after) => {
    const parts = [before, ...members, after].filter(Boolean);
    return parts.length > 0 && makeQuote("p", { class: "near" }, ...parts.flatMap((part) => [part, " "]));
  };
  const links = stretch.map((member) => (member === passage ? null : answerLink(member, state)));
  const [first, last] = [stretch[0], stretch.at(-1)];
  return make("figure", { class: `lead ${verdict === "unsure" ? "possibly" : ""}`.trimEnd() },
    near(contextOf(first, "before"), links.slice(0, at)),
    makeQuote("blockquote", {}, answerLink(passage, state, false)),
    near(null, links.slice(at + 1), contextOf(last, "after")),
    make("figcaption", {},
      make("p", { class: "source", "data-citation": passage.citation }, ...source(passage)), ...columns(passage),
      make("div", { class: "acts" },
        copyButton("Copy citation", () => quoteWithSource(passage), "the quote with its source"),
        menu(`answer ${passage.rank}`, make("span", { class: "link" }, "More"), actions(passage, state).slice(0, 3))),
      passage.also && duplicates(passage.also, state)));
}

function contextOf(passage, side) {
  return passage.context[side] && make("span", { class: "context" }, ...setInContext(passage)[side]);
}

/** Return a passage as a link to its place, with its number behind it unless it is the first answer. */
function answerLink(passage, state, hasNumber = true) {
  return make("span", { class: "answer", "data-citation": passage.citation, "data-rank": passage.rank },
    make("a", { class: "open", href: openAddress(passage, state) },
      make("span", { class: "sentence" }, ...setInContext(passage).sentence)),
    hasNumber && make("sup", { class: "n" }, make("span", { class: "vh" }, "answer "), String(passage.rank)));
}

const openAddress = ({ citation }, state) => addressOf({ ...state, view: null, document: null, cite: citation });

function actions(passage, state) {
  return [
    ["Open in the document", openAddress(passage, state)],
    ["Copy link", () => copy(linkTo({ cite: passage.citation }), "the link")],
    ["Copy as JSON", () => copy(annotationOf(passage), "the W3C annotation")],
    ["Copy citation", () => copy(quoteWithSource(passage), "the quote with its source")],
  ];
}

/** Return the stretches grouped by document, in the order of the best of each. */
function groups(stretches, state, isOneDocument) {
  const byDocument = new Map();
  for (const stretch of stretches) {
    const { document } = stretch[0];
    if (!byDocument.has(document.id)) byDocument.set(document.id, { document, stretches: [] });
    byDocument.get(document.id).stretches.push(stretch);
  }
  return [...byDocument.values()].map(({ document, stretches }) =>
    make("section", { class: "group" },
      make("h3", isOneDocument ? { class: "vh" } : {}, make("bdi", {}, nameOf(document))),
      make("ol", {}, ...stretches.map((stretch) => item(stretch, state)))));
}

function item(stretch, state) {
  const passage = best(stretch);
  const context = contextOf(stretch[0], "before");
  return make("li", { class: "stretch-item" },
    makeQuote("div", {}, context, context && " ", ...stretch.flatMap((member) => [answerLink(member, state), " "])),
    ...columns(passage),
    make("span", { class: "source" }, ...source(passage, { hasName: false })),
    passage.also && duplicates(passage.also, state),
    menu(`answer ${passage.rank}`, "⋯", actions(passage, state)));
}

/** Return the heads of the columns above a row of a table. */
function columns({ location }) {
  return location.columns?.length
    ? [makeQuote("span", { class: "source" }, `Columns: ${location.columns.join(" | ")}`)] : [];
}

function duplicates(citations, state) {
  const links = citations.map((cite, index) =>
    make("li", {}, make("a", { href: addressOf({ ...state, cite }) }, `place ${index + 2}`)));
  return make("details", { class: "duplicates source" },
    make("summary", { class: "link" }, `The same sentence stands in ${counted(citations.length, "other place")}`),
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
export function markOpen(cite) {
  for (const answer of document.querySelectorAll(".answer")) {
    const link = answer.querySelector(".open");
    if (answer.dataset.citation === cite) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
