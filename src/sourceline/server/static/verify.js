// The page that checks quotations: a draft, and what the documents have to say about each sentence in it.

import { addressOf } from "./address.js";
import * as api from "./api.js";
import { describeTime, nameOf } from "./citation.js";
import { counted, find, make, makeQuote, makeSvg, unitCounter } from "./dom.js";
import { capital, fill, inWords, loadStyles, tell, tellFailure } from "./wide.js";

const MANY = 8; // from here on, what stands can be hidden
const FILLED = ["circle", { cx: 7, cy: 7, r: 6.25, fill: "currentColor" }];
const OPEN = ["circle", { cx: 7, cy: 7, r: 6.25, fill: "none", stroke: "currentColor", "stroke-width": 1.5 }];
const line = (d, colour = "currentColor") => ["path", { d, fill: "none", stroke: colour, "stroke-width": 1.6 }];
// Each finding has a word and a sign that differs in form, not only in colour.
const FINDINGS = {
  verbatim: ["Word for word", FILLED, line("m4 7.2 2.2 2.2L10.2 5", "var(--paper)")],
  reformatted: ["Reformatted", OPEN, ["path", { d: "M7 .75a6.25 6.25 0 0 0 0 12.5z", fill: "currentColor" }]],
  altered: ["Altered", line("M2 12 12 2M8.5 2H12v3.5")],
  outdated: ["Changed since", line("M11.6 4.6A5.3 5.3 0 1 0 12.3 7M12 1.6v3.2H8.8")],
  speaker: ["Wrong speaker", line("M2 4.5h9M8.5 2 11 4.5 8.5 7M12 9.5H3M5.5 7 3 9.5 5.5 12")],
  absent: ["Not found", line("m2.5 2.5 9 9m0-9-9 9")],
  too_short: ["Too short to tell", line("M2 7h10")],
};

// Kept while the page is open, and nowhere else: a draft is private.
let draft = "";
let checked = null; // { text, quotes }

export async function show(state, signal) {
  await loadStyles();
  if (signal.aborted) return;
  const size = make("span", {}, sizeOf(draft));
  const text = make("textarea", {
    id: "draft", class: "copy", rows: 5, dir: "auto", placeholder: "An article, a paragraph, or one quotation", autocomplete: "off", "aria-describedby": "draft-hint",
    oninput: () => { draft = text.value; size.textContent = sizeOf(draft); },
    onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(); },
  });
  text.value = draft;
  const form = make("form", { onsubmit: (event) => { event.preventDefault(); check(form, signal); } },
    make("label", { class: "vh", for: "draft" }, "Text to check"), text,
    make("div", { class: "row" }, make("p", { id: "draft-hint" }, size), make("button", { class: "go" }, "Check")));
  fill("Check a quote before you print it",
    "Paste a draft. Every quotation and every sentence in it is looked up in the documents.",
    form, make("section", { id: "proof", "aria-label": "Result" }));
  find("#wide").insertBefore(form, find("#outcome"));
  showResult();
  if (!checked) text.focus({ preventScroll: true });
}

const sizeOf = (text) => (text.trim() ? counted(text.trim().split(/\s+/).length, "word") : "Nothing is kept of it.");

async function check(form, signal) {
  const [text, button] = [draft, form.querySelector("button")];
  if (!text.trim()) {
    tell("Paste the text to check first.");
    form.querySelector("textarea").focus();
    return;
  }
  if (button.disabled) return;
  button.disabled = true;
  const waiting = setTimeout(() => tell("Checking …"), 300);
  try {
    const { quotes } = await api.verify(text, signal);
    checked = { text, quotes };
    clearTimeout(waiting);
    showResult();
    find("#outcome").scrollIntoView({ block: "nearest" });
  } catch (error) {
    tellFailure(error);
  } finally {
    clearTimeout(waiting);
    button.disabled = false;
  }
}

function showResult() {
  if (!checked) return;
  const { quotes, text } = checked;
  const findings = quotes.map(findingOf);
  const faulty = findings.filter(isFault).length;
  tell(summary(faulty, quotes.length, findings.filter((finding) => finding === "too_short").length));
  const units = unitCounter(text);
  const list = make("ol", { class: "proof" }, ...quotes.map((quote, number) => item(quote, findings[number], text, units)));
  const canHide = quotes.length > MANY && faulty && faulty < quotes.length;
  const hide = () => list.classList.toggle("faults");
  find("#proof").replaceChildren(...[
    canHide && make("label", { class: "only" }, make("input", { type: "checkbox", onchange: hide }),
      "Only what needs another look"),
    quotes.length > 0 && list].filter(Boolean));
}

function findingOf({ status, wrong_speaker, earlier, stands }) {
  if (status === "too_short" || stands) return status;
  if (earlier && status !== "verbatim" && status !== "reformatted") return "outdated";
  return wrong_speaker && status !== "altered" ? "speaker" : status;
}

const isFault = (finding) => !["verbatim", "reformatted", "too_short"].includes(finding);

/** Return the result in a sentence: "Three of six need another look". */
function summary(faulty, total, short) {
  if (!total) return "There is nothing to check: no quotation, and no sentence.";
  const rest = short ? ` ${capital(inWords(short))} ${short === 1 ? "is" : "are"} too short to tell.` : "";
  if (short === total) return total === 1 ? "It is too short to tell." : `All ${inWords(total)} are too short to tell.`;
  if (total === 1) return faulty ? "This one needs another look." : "It stands in the documents.";
  const needs = faulty === 1 ? "needs" : "need";
  if (faulty) return `${capital(inWords(faulty))} of ${inWords(total)} ${needs} another look.${rest}`;
  return short ? `The others stand in the documents.${rest}` : `All ${inWords(total)} stand in the documents.`;
}

function item(quote, finding, text, units) {
  const [name, ...shapes] = FINDINGS[finding];
  const [place] = quote.places;
  const isQuotation = quote.kind === "quotation";
  return make("li", { class: isFault(finding) ? "fault" : null },
    make("p", { class: "mark" }, makeSvg("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" },
      ...shapes.map(([tag, properties]) => makeSvg(tag, properties))), name),
    make("div", {},
      makeQuote("p", { class: "quote" }, isQuotation && "“", ...marked(quote, text, units), isQuotation && "”"),
      ...remarks(quote, finding, place)),
    make("div", { class: "src" }, ...(place ? sourceOf(quote, place) : [])));
}

/** Return the quotation with what is altered in it: what the text says is struck out, what the document says follows. */
function marked({ start, end, text: quoted, differences }, text, units) {
  if (!differences) return [quoted];
  const nodes = [];
  let from = start;
  for (const { quote, quoted: wrong, text: right } of differences) {
    const before = text.slice(units(from), units(quote.start));
    nodes.push(before);
    if (wrong) nodes.push(make("del", {}, wrong));
    // What is missing stands between two words, with one blank around it.
    const isBehind = !wrong && /\S$/.test(before);
    if (isBehind || (wrong && right)) nodes.push(" ");
    if (right) nodes.push(make("ins", {}, right));
    if (!wrong && !isBehind) nodes.push(" ");
    from = quote.end;
  }
  return [...nodes, text.slice(units(from), units(end))];
}

/** Return what is to be said below a quotation. */
function remarks({ kind, wrong_speaker, speaker, earlier }, finding, place) {
  const remark = (label, ...content) => makeQuote("p", { class: "real" }, make("span", {}, label), ...content);
  const said = () => place.passages.map(({ text }) => text).join(" ");
  if (finding === "speaker") {
    return [remark(`Your text gives it to ${speaker}. It was said by ${wrong_speaker.join(" and ")}.`)];
  }
  if (finding === "outdated") {
    const link = make("a", { href: addressOf({ cite: earlier[0] }) }, "See what became of it");
    return [remark("A document said so until it was edited. ", link)];
  }
  if (finding === "reformatted") return [remark("The same words, set in another way. In the document", said())];
  if (finding === "altered") {
    const wrong = wrong_speaker ? [remark(
      `Your text gives it to ${speaker}. What is like it was said by ${wrong_speaker.join(" and ")}.`)] : [];
    return kind === "quotation" ? [remark("In the document", said()), ...wrong] : wrong;
  }
  return finding === "absent" && place ? [remark("Nearest in the documents", said())] : [];
}

function sourceOf({ place_count, places }, { document, passages: [{ citation, location }] }) {
  const { speaker, time, section, page, line: row } = location;
  const name = nameOf(document);
  const who = speaker && `${speaker}${time ? `, ${describeTime(time)}` : ""}`;
  const rest = [who && name, section !== document.title && section, page && `page ${page}`,
    !who && !section && !page && `line ${row}`].filter(Boolean);
  return [
    make("strong", {}, make("bdi", {}, who || name)), make("bdi", {}, rest.join(", ")),
    make("a", { href: addressOf({ cite: citation }) }, "See it in its place"),
    place_count > 1 && make("details", {},
      make("summary", {}, `Also in ${place_count - 1 === 1 ? "one other place" : `${inWords(place_count - 1)} other places`}`),
      make("ul", {}, ...places.slice(1).map(({ document: other, passages: [first] }) => make("li", {},
        make("a", { href: addressOf({ cite: first.citation }) }, make("bdi", {}, nameOf(other)),
          `, line ${first.location.line}`))))),
  ].filter(Boolean);
}
