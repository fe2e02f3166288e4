// Shows the state that the address asks for. Links change the address; so do back, forward and reload.

import { addressOf, currentState, go, onStateChange, refresh } from "./address.js";
import * as answers from "./answers.js";
import { find, make, showStatus, showToast, withProgress } from "./dom.js";
import * as filters from "./filters.js";
import { refreshFront } from "./front.js";
import * as keyboard from "./keyboard.js";
import * as menu from "./menu.js";
import * as reader from "./reader.js";

const TITLES = { verify: "Check a quote", documents: "Documents" };
const twoColumns = window.matchMedia("(min-width: 80rem)");

let current = new AbortController();
let scrolled = 0; // where the sheet of the answers was left
let cited = null; // the citation that was open
let keepsPlace = false; // whether the same question is asked again

async function show() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const state = currentState();
  const hasDocument = Boolean(state.cite || state.document);
  const before = { ...document.documentElement.dataset };
  if (before.sheet === "answers" && hasDocument) scrolled = window.scrollY;
  // An opened document scrolls to its own place; the browser would only scroll it away from there, on back and reload.
  history.scrollRestoration = hasDocument ? "manual" : "auto";
  if (find("#question").value.trim() !== state.q) find("#question").value = state.q;
  filters.show(state.filters, state.mode);
  document.title = [state.q || TITLES[state.view], "Sourceline"].filter(Boolean).join(" – ");
  // From the front page the question moves once, when the answer is there.
  if (before.view !== "front" || !state.q || hasDocument) setView(state);
  const isKept = keepsPlace;
  keepsPlace = false;
  const main = showMain(state, signal);
  const opening = hasDocument ? (isKept && reader.keeps(state)) || reader.show(state, signal)
    : main.then(() => follow(state, signal, isKept), () => signal.aborted || reader.close());
  main.catch(() => {}).then(() => signal.aborted || setView(state));
  const results = await withProgress(Promise.allSettled([main, opening]));
  if (signal.aborted) return;
  reader.markAnswers(answers.passages(), state);
  if (before.sheet === "document" && !hasDocument) returnToAnswers();
  cited = state.cite;
  const failed = results.find(({ status }) => status === "rejected");
  if (failed) showError(failed.reason);
}

/** Say what went wrong; what may go right the next time can be tried again. */
function showError({ message, status = 503 }) {
  showStatus(message, "error");
  const again = make("button", { type: "button", class: "link again", onclick: refresh }, "Try again");
  if (status === 429 || status >= 500) find("#status").append(again);
}

/** A document was closed: go on where it was opened. */
function returnToAnswers() {
  if (!twoColumns.matches) window.scrollTo(0, scrolled);
  if (document.activeElement !== document.body && !find("#reader").contains(document.activeElement)) return;
  document.querySelector(`.answer[data-citation="${CSS.escape(cited ?? "")}"] .open`)?.focus({ preventScroll: true });
}

function setView(state) {
  window.setView();
  const view = state.view ?? "ask";
  for (const link of document.querySelectorAll(".mast nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  find("#wide").hidden = !state.view;
}

/** Show answers, or one of the wide pages, or nothing if a link opened a document alone. */
async function showMain(state, signal) {
  if (!state.view && state.q) return answers.show(state, signal);
  answers.forget();
  find("#answers").replaceChildren();
  showStatus("");
  if (!state.view) return undefined;
  find("#wide").setAttribute("aria-label", TITLES[state.view]);
  // Fetched when it is needed: most people ask.
  const page = await import(state.view === "verify" ? "./verify.js" : "./documents.js");
  return signal.aborted ? undefined : page.show(state, signal);
}

/** With room for two columns, the first answer stands in its document beside it. */
function follow(state, signal, isKept) {
  const first = answers.first();
  if (signal.aborted) return undefined;
  if (!first || state.view || !twoColumns.matches) return reader.close();
  const followed = { ...state, cite: first.citation };
  return (isKept && reader.keeps(followed)) || reader.show(followed, signal, { takesFocus: false });
}

/** Ask what is in the form. The same question keeps the open document where it is. */
function ask() {
  const q = find("#question").value.trim();
  if (!q) return;
  const state = currentState();
  answers.forget(); // so that the same question is asked again
  keepsPlace = state.q === q && twoColumns.matches;
  const kept = keepsPlace ? { cite: state.cite, document: state.document } : {};
  go(addressOf({ q, mode: filters.mode(), filters: filters.read(), ...kept }));
}

/** Ask again if the form's filters are others than those of the question on the page. */
function askAgain() {
  const state = currentState();
  if (state.q && filters.differ(state)) {
    find("#question").value ||= state.q;
    ask();
  }
}

/** Follow a link of this page without loading it again, unless the click ended a selection of text. */
function followLink(event) {
  const address = event.target.closest("a[href]")?.getAttribute("href");
  if (!address || !(address === "/" || address.startsWith("/?"))) return;
  if (event.defaultPrevented || event.button) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (event.detail && !document.getSelection().isCollapsed) return;
  showToast(""); // of what was done before
  go(address);
  if (address === "/") find("#question").focus();
}

find("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
find("#question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  find("#ask").requestSubmit();
});
filters.listen(askAgain);
menu.listen();
document.addEventListener("click", followLink);
twoColumns.addEventListener("change", refresh);
keyboard.listen();
onStateChange(show);
refreshFront();
