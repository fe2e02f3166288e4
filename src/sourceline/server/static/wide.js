// What the wide pages have in common: their style sheet, their head, and the line that says how things go.

import { find, make } from "./dom.js";

const NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split(" ");

let sheet = null;

/** Load the style sheet of the wide pages, once; most people only ask. */
export function loadStyles() {
  sheet ??= new Promise((done) => document.head.append(
    make("link", { rel: "stylesheet", href: "/static/pages.css", onload: done, onerror: done })));
  return sheet;
}

/** Fill the page with its head and what follows it. */
export function fill(title, standfirst, ...parts) {
  find("#wide").replaceChildren(
    make("h1", {}, title), make("p", { class: "standfirst" }, standfirst),
    make("p", { id: "outcome", role: "status" }), ...parts);
}

/** Say how things went; screen readers announce it. An error that is no more than an interruption is not told. */
export function tell(text, isError = false) {
  const outcome = find("#outcome");
  if (!outcome) return;
  outcome.classList.toggle("error", isError);
  outcome.textContent = text;
}

/** Tell why something failed, unless the page was left meanwhile. */
export function tellFailure(error) {
  if (error.name !== "AbortError") tell(error.message, true);
}

/** Return a small number as a word, and a large one in figures. */
export const inWords = (number) => NUMBERS[number] ?? number.toLocaleString("en");

/** Return a text that begins with a capital letter. */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
