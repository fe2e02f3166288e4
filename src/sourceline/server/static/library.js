// The documents, and the index: what it holds, rebuilding it, and what was left out.

import * as api from "./api.js";
import { forget as forgetAnswers } from "./answers.js";
import { count, find, make, note, say } from "./dom.js";
import { address } from "./place.js";

const MOST = 500; // documents that are listed at once
const EVERY = 400; // milliseconds between two looks at a rebuild
const LATE = 10; // so many more looks for the new snapshot to be served

export async function show(signal) {
  forgetAnswers();
  say("");
  find("#answers").replaceChildren();
  const [{ documents }, index] = await Promise.all([api.documents(signal), api.index(signal)]);
  const state = make("div", { id: "index" });
  find("#answers").replaceChildren(
    make("h2", {}, "Index"), state, make("h2", {}, "Documents"), ...listed(documents));
  await follow(state, index, signal);
}

/** Show how the index stands; while it is rebuilt, again and again. */
async function follow(state, first, signal) {
  state.replaceChildren(...standing(first, () => start(state, first, signal)));
  if (first.rebuild.state !== "running") return;
  let index = first;
  for (let late = 0; index.rebuild.state === "running" || (late < LATE && !isServed(index)); ) {
    progress(index.rebuild);
    if (index.rebuild.state !== "running") late += 1;
    await new Promise((done) => setTimeout(done, EVERY));
    signal.throwIfAborted();
    index = await api.index(signal);
  }
  ended(index.rebuild);
}

/** What was built is served a moment after it is built; a rebuild that failed changes nothing. */
const isServed = ({ snapshot, rebuild }) => rebuild.state === "failed" || snapshot.id === rebuild.report?.snapshot;

async function start(state, index, signal) {
  try {
    await follow(state, { ...index, rebuild: await api.rebuild() }, signal);
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, "error");
  }
}

/** Show everything anew, with what came of it. */
function ended({ state, error, report }) {
  window.dispatchEvent(new PopStateEvent("popstate"));
  if (state === "failed") note(`The rebuild failed: ${error}.`);
  else note(`Rebuilt in ${report.seconds.toFixed(1)} s.`);
}

function standing({ snapshot, rebuild }, onclick) {
  const runs = rebuild.state === "running";
  const when = new Date(snapshot.created);
  const skipped = Object.entries(snapshot.skipped);
  return [
    make("p", {}, `${count(snapshot.documents, "document")}, ${count(snapshot.passages, "passage")}, built `,
      make("time", { datetime: snapshot.created }, when.toLocaleString("en", { dateStyle: "long", timeStyle: "short" })),
      " with ", make("bdi", {}, snapshot.model), "."),
    make("p", { class: "copies" },
      make("button", { type: "button", id: "rebuild", disabled: runs, onclick }, runs ? "Rebuilding …" : "Rebuild the index")),
    runs && make("p", {}, make("label", { for: "rebuilding" }, "Encoding "),
      make("progress", { id: "rebuilding" }), " ", make("span", { id: "share" })),
    rebuild.report && make("p", { id: "report" }, reported(rebuild.report)),
    rebuild.state === "failed" && make("p", { id: "failed" },
      `The last rebuild failed: ${rebuild.error}. What was served before is served still. Mend it and rebuild again.`),
    skipped.length > 0 && make("h3", {}, `${count(skipped.length, "file")} left out`),
    skipped.length > 0 && make("dl", { class: "skipped" }, ...skipped.map(([name, reason]) =>
      make("div", {}, make("dt", {}, make("bdi", {}, name)), make("dd", {}, reason)))),
  ].filter(Boolean);
}

const reported = ({ added, changed, unchanged, removed }) =>
  `The last rebuild: ${added.length} added, ${changed.length} changed, ${unchanged.length} unchanged, ${
    removed.length} removed.`;

function progress({ progress: far }) {
  if (!far?.total) return;
  const bar = find("#rebuilding");
  [bar.max, bar.value] = [far.total, far.done];
  find("#share").textContent = `${Math.floor((100 * far.done) / far.total)} %`;
}

function listed(documents) {
  const list = make("ul", { class: "documents" });
  const rest = make("p", { class: "where", role: "status" });
  const filter = make("input", { type: "search", id: "filter", dir: "auto", autocomplete: "off", oninput: fill });
  function fill() {
    const wanted = filter.value.trim().toLowerCase();
    const fit = documents.filter(({ id, title }) => `${title}\n${id}`.toLowerCase().includes(wanted));
    list.replaceChildren(...fit.slice(0, MOST).map(entry));
    rest.textContent = fit.length > MOST ? `The first ${MOST} of ${fit.length}.` : `${fit.length} of ${documents.length}.`;
  }
  fill();
  return [make("p", {}, make("label", { for: "filter" }, "Only with "), filter), rest, list];
}

const entry = ({ id, title, passages }) => make("li", {},
  make("a", { href: address({ document: id }) }, make("bdi", {}, title)), " ",
  make("span", { class: "where" }, make("bdi", {}, id), ` · ${count(passages, "passage")}`));
