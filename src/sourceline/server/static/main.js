// Shows what the address asks for. Links change the address; so do back, forward and reload.

import * as answers from "./answers.js";
import { find, say, waitingFor } from "./dom.js";
import { listen } from "./keys.js";
import * as library from "./library.js";
import { address, go, read } from "./place.js";
import * as reader from "./reader.js";

let current = new AbortController();

async function show() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const state = read();
  if (find("#question").value.trim() !== state.q) find("#question").value = state.q;
  document.title = [state.q || (state.view && "Documents"), "Sourceline"].filter(Boolean).join(" – ");
  const results = await waitingFor(Promise.allSettled([main(state, signal), reader.show(state, signal)]));
  if (signal.aborted) return;
  reader.markAnswers(answers.passages(), state);
  const failed = results.find(({ status }) => status === "rejected");
  if (failed) say(failed.reason.message, "error");
}

/** What stands in the first column. */
function main(state, signal) {
  const alone = !state.q && !state.view && (state.cite || state.document);
  find("#answers").hidden = Boolean(alone);
  if (state.view === "documents") return library.show(signal);
  if (state.q) return answers.show(state, signal);
  if (!alone) return answers.showExamples(signal);
  answers.forget();
  find("#answers").replaceChildren();
  say("");
  return undefined;
}

/** Follow a link to this page without loading it again; who selects text does not follow. */
function follow(event) {
  const link = event.target.closest("a[href]");
  const target = link?.getAttribute("href");
  if (!target || !(target === "/" || target.startsWith("/?"))) return;
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (event.detail && !document.getSelection().isCollapsed) return;
  go(target);
}

find("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  answers.forget(); // asked again, it is answered again
  reader.forget();
  const q = find("#question").value.trim();
  if (q) go(address({ q }));
});
document.addEventListener("click", follow);
window.addEventListener("popstate", show);
listen();
show();
