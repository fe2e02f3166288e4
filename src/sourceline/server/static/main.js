// Shows the state that the address asks for. Links change the address; so do back, forward and reload.

import { FAST, READ, addressOf, currentState, go, onStateChange } from "./address.js";
import * as answers from "./answers.js";
import * as documents from "./documents.js";
import { find, showStatus, withProgress } from "./dom.js";
import * as filters from "./filters.js";
import * as keyboard from "./keyboard.js";
import * as reader from "./reader.js";

let current = new AbortController();

async function show() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const state = currentState();
  // An opened document scrolls to its own place; the browser would only scroll it away from there, on back and reload.
  history.scrollRestoration = state.cite || state.document ? "manual" : "auto";
  if (find("#question").value.trim() !== state.q) find("#question").value = state.q;
  find("#fast").checked = state.mode === FAST;
  filters.show(state.filters);
  document.title = [state.q || (state.view && "Documents"), "Sourceline"].filter(Boolean).join(" – ");
  const results = await withProgress(Promise.allSettled([showMain(state, signal), reader.show(state, signal)]));
  if (signal.aborted) return;
  reader.markAnswers(answers.passages(), state);
  const failed = results.find(({ status }) => status === "rejected");
  if (failed) showStatus(failed.reason.message, "error");
}

/** Show what belongs in the first column: answers, documents, or nothing if a link opened a document alone. */
function showMain(state, signal) {
  const isEmpty = !state.q && !state.view;
  const hasDocument = Boolean(state.cite || state.document);
  find("#answers").hidden = isEmpty && hasDocument;
  find("#intro").hidden = !isEmpty || hasDocument;
  if (state.view) return documents.show(signal);
  if (state.q) return answers.show(state, signal);
  answers.forget();
  find("#answers").replaceChildren();
  showStatus("");
  return undefined;
}

/** Follow a link of this page without loading it again, unless the click ended a selection of text. */
function follow(event) {
  const address = event.target.closest("a[href]")?.getAttribute("href");
  if (!address || !(address === "/" || address.startsWith("/?"))) return;
  if (event.defaultPrevented || event.button) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (event.detail && !document.getSelection().isCollapsed) return;
  go(address);
}

find("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  answers.forget(); // so that the same question is asked again
  reader.forget();
  const q = find("#question").value.trim();
  if (q) go(addressOf({ q, mode: find("#fast").checked ? FAST : READ, filters: filters.read() }));
});
// A question that is answered is asked again in the other mode.
find("#fast").addEventListener("change", () => {
  if (currentState().q && find("#question").value.trim()) find("#ask").requestSubmit();
});
find("#filter-clear").addEventListener("click", () => {
  filters.clear();
  if (currentState().q && find("#question").value.trim()) find("#ask").requestSubmit();
});
document.addEventListener("click", follow);
keyboard.listen();
onStateChange(show);
