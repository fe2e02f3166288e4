// The filters of the ask form, as a sentence: in which documents, said by whom, from when, and how it is answered.

import { FAST, READ, activeFilters } from "./address.js";
import * as api from "./api.js";
import { find, make } from "./dom.js";

const SEPARATOR = ";"; // names and file names hold commas
const SUGGESTED = 1_000; // documents whose names are suggested

let suggestions = null;

/** Set the sentence; `ask` asks the question on the page again. */
export function listen(ask) {
  const text = (name, label, hint, placeholder) => [
    make("label", { for: `filter-${name}` }, label),
    make("input", { id: `filter-${name}`, type: "text", dir: "auto", autocomplete: "off", list: `${name}-list`,
      placeholder, "aria-describedby": `${name}-hint` }),
    make("datalist", { id: `${name}-list` }), make("p", { id: `${name}-hint` }, hint)];
  const day = (name, label) => make("div", {}, make("label", { for: `filter-${name}` }, label),
    make("input", { id: `filter-${name}`, type: "date" }));
  const choice = (value, label) => make("label", { class: "choice" },
    make("input", { type: "radio", name: "mode", value, id: value, checked: value === READ }), ` ${label}`);
  find("#filters").replaceChildren(
    "In ", pick("documents", ask, ...text("documents", "Documents",
      "A name, or a pattern such as minutes/*; several with a semicolon between them.", "e.g. minutes/*; budget.md")),
    ", by ", pick("speakers", ask, ...text("speakers", "Speakers",
      "Whole names, as transcripts and minutes have them; several with a semicolon between them.", "e.g. Bo Lind; Anna Berg")),
    ", ", pick("dates", ask, make("div", { class: "dates" }, day("after", "From"), day("before", "Before")),
      make("p", {}, "Only documents that say their date are searched then.")),
    ", ", pick("mode", ask, choice(READ, "Read closely: a small model reads the best passages before it answers"),
      choice(FAST, "At a glance: words and meaning are compared, nothing is read; faster, less often right")));
}

function pick(name, ask, ...content) {
  const element = make("details", { class: "pick", id: `pick-${name}`, name: "pick" },
    make("summary", { id: `${name}-summary` }),
    make("div", {}, ...content, make("div", { class: "row" },
      make("button", { type: "button", onclick: () => { element.open = false; } }, "Apply"),
      name === "mode" ? "" : make("button", { type: "button", class: "clear", onclick: () => {
        for (const field of element.querySelectorAll("input")) field.value = "";
        element.open = false;
      } }, "Clear"))));
  element.addEventListener("toggle", () => {
    if (!element.open) return update(ask);
    element.querySelector("input:checked, input").focus();
    return suggest();
  });
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.matches("button, summary")) return;
    event.preventDefault();
    element.open = false;
  });
  return element;
}

/** Suggest names of documents and speakers. Without a key, or a server, there are none. */
async function suggest() {
  const quiet = { quiet: true };
  suggestions ??= await Promise.all([api.someDocuments(SUGGESTED, quiet), api.speakers(quiet)]).catch(() => null);
  const [documents, speakers] = suggestions ?? [[], []];
  const fill = (name, values) =>
    find(`#${name}-list`).replaceChildren(...values.map((value) => make("option", { value })));
  fill("documents", documents.map(({ id }) => id));
  fill("speakers", speakers);
}

function update(ask) {
  describe(read());
  ask();
}

/** Return the filters as the form has them. */
export function read() {
  const list = (selector) => find(selector).value.split(SEPARATOR).map((text) => text.trim()).filter(Boolean);
  return {
    documents: list("#filter-documents"),
    speakers: list("#filter-speakers"),
    after: find("#filter-after").value || null,
    before: find("#filter-before").value || null,
  };
}

export const mode = () => (find("#fast").checked ? FAST : READ);

/** Show filters and mode in the form, and say them in the sentence. */
export function show(filters, mode) {
  for (const name of ["documents", "speakers"]) {
    const text = filters[name].join(`${SEPARATOR} `);
    if (find(`#filter-${name}`).value !== text) find(`#filter-${name}`).value = text;
  }
  for (const name of ["after", "before"]) find(`#filter-${name}`).value = filters[name] ?? "";
  find("#fast").checked = mode === FAST;
  find("#read").checked = mode !== FAST;
  describe(filters);
}

function describe({ documents, speakers, after, before }) {
  const say = (name, text, isSet) => {
    find(`#${name}-summary`).textContent = text;
    find(`#pick-${name}`).classList.toggle("set", isSet);
  };
  const day = (date) => new Date(`${date}T00:00`).toLocaleDateString("en", { dateStyle: "medium" });
  const dates = [after && `from ${day(after)}`, before && `before ${day(before)}`].filter(Boolean).join(" and ");
  say("documents", documents.join(", ") || "all documents", documents.length > 0);
  say("speakers", speakers.join(" or ") || "anyone", speakers.length > 0);
  say("dates", dates || "at any time", Boolean(dates));
  say("mode", mode() === FAST ? "at a glance" : "read closely", mode() === FAST);
}

/** Whether the form asks for something else than a state. */
export const differ = (state) => mode() !== state.mode
  || JSON.stringify(activeFilters(read())) !== JSON.stringify(activeFilters(state.filters));
