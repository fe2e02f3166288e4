// The view of the documents: the index and its rebuild, the files that are not in it, and every document in it.

import { addressOf, refresh } from "./address.js";
import { forget as forgetAnswers } from "./answers.js";
import * as api from "./api.js";
import { describeDate } from "./citation.js";
import { counted, find, make, showStatus, showToast } from "./dom.js";

const MAX_LISTED = 500;
const POLL_INTERVAL = 400; // milliseconds
const POLLS_UNTIL_SERVED = 10; // a new snapshot is served a moment after its rebuild ends

export async function show(signal) {
  forgetAnswers();
  showStatus("");
  find("#answers").replaceChildren();
  const [documents, index] = await Promise.all([api.documents(signal), api.index(signal)]);
  const section = make("div", { id: "index" });
  find("#answers").replaceChildren(
    make("h2", {}, "Index"), section, make("h2", {}, "Documents"), ...documentList(documents));
  await showIndex(section, index, signal);
}

/** Show the state of the index, and follow a rebuild that is running. */
async function showIndex(section, index, signal) {
  section.replaceChildren(...indexState(index, () => startRebuild(section, index, signal)));
  if (index.rebuild.state === "running") await followRebuild(index, signal);
}

async function startRebuild(section, index, signal) {
  try {
    await showIndex(section, { ...index, rebuild: await api.rebuild() }, signal);
  } catch (error) {
    if (error.name !== "AbortError") showStatus(error.message, "error");
  }
}

async function followRebuild(index, signal) {
  for (let late = 0; index.rebuild.state === "running" || (late < POLLS_UNTIL_SERVED && !isServed(index)); ) {
    showProgress(index.rebuild.progress);
    if (index.rebuild.state !== "running") late += 1;
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    signal.throwIfAborted();
    index = await api.index(signal);
  }
  refresh();
  const { state, error, report } = index.rebuild;
  showToast(state === "failed" ? `The rebuild failed: ${error}.` : `Rebuilt in ${report.seconds.toFixed(1)} s.`);
}

/** Whether the snapshot that the last rebuild made is served; a rebuild that failed made none. */
const isServed = ({ snapshot, rebuild }) => rebuild.state === "failed" || snapshot.id === rebuild.report?.snapshot;

function indexState({ snapshot, rebuild }, onclick) {
  const isRunning = rebuild.state === "running";
  const created = new Date(snapshot.created).toLocaleString("en", { dateStyle: "long", timeStyle: "short" });
  return [
    make("p", {}, `${counted(snapshot.documents, "document")}, ${counted(snapshot.passages, "passage")}, built `,
      make("time", { datetime: snapshot.created }, created), " with ", make("bdi", {}, snapshot.model), "."),
    make("p", { class: "actions" },
      make("button", { type: "button", id: "rebuild", disabled: isRunning, onclick },
        isRunning ? "Rebuilding …" : "Rebuild the index")),
    isRunning && make("p", {}, make("label", { for: "rebuild-progress" }, "Encoding "),
      make("progress", { id: "rebuild-progress" }), " ", make("span", { id: "rebuild-percent" })),
    rebuild.report && make("p", { id: "report" }, describeReport(rebuild.report)),
    rebuild.state === "failed" && make("p", { id: "failed" },
      `The last rebuild failed: ${rebuild.error}. The index from before is still served. Fix the cause and rebuild.`),
    ...leftOut("skipped", snapshot.skipped, "could not be read"),
    ...leftOut("ignored", snapshot.ignored, "in other formats"),
  ].filter(Boolean);
}

/** Return a list of files that are not in the index, with the reasons. */
function leftOut(kind, reasons, title) {
  const files = Object.entries(reasons);
  if (!files.length) return [];
  return [
    make("h3", {}, `${counted(files.length, "file")} ${title}`),
    make("dl", { class: `left-out ${kind}` }, ...files.slice(0, MAX_LISTED).map(([id, reason]) =>
      make("div", {}, make("dt", {}, make("bdi", {}, id)), make("dd", {}, reason)))),
    files.length > MAX_LISTED && make("p", { class: "source" }, `The first ${MAX_LISTED} of ${files.length}.`),
  ];
}

const describeReport = ({ added, changed, unchanged, removed }) =>
  `The last rebuild: ${added.length} added, ${changed.length} changed, ${unchanged.length} unchanged, ${
    removed.length} removed.`;

function showProgress(progress) {
  if (!progress?.total) return;
  const bar = find("#rebuild-progress");
  [bar.max, bar.value] = [progress.total, progress.done];
  find("#rebuild-percent").textContent = `${Math.floor((100 * progress.done) / progress.total)}%`;
}

function documentList(documents) {
  const list = make("ul", { class: "documents" });
  const matches = make("p", { class: "source", role: "status" });
  const filter = make("input", { type: "search", id: "filter", dir: "auto", autocomplete: "off", oninput: update });
  function update() {
    const text = filter.value.trim().toLowerCase();
    const matching = documents.filter(({ id, title }) => `${title}\n${id}`.toLowerCase().includes(text));
    list.replaceChildren(...matching.slice(0, MAX_LISTED).map(documentItem));
    matches.textContent = matching.length > MAX_LISTED
      ? `The first ${MAX_LISTED} of ${matching.length}.` : `${matching.length} of ${documents.length}.`;
  }
  update();
  return [make("p", {}, make("label", { for: "filter" }, "Filter by title or name "), filter), matches, list];
}

const documentItem = ({ id, title, date, passages }) => make("li", {},
  make("a", { href: addressOf({ document: id }) }, make("bdi", {}, title)), " ",
  make("span", { class: "source" }, make("bdi", {}, id), ...describeDate(date), ` · ${counted(passages, "passage")}`));
