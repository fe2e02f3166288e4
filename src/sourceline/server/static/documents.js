// The page of the documents: how many there are and when they were read, what has changed since, each of them, and
// what was left out.

import { addressOf } from "./address.js";
import * as api from "./api.js";
import { nameOf } from "./citation.js";
import { counted, find, make, showToast } from "./dom.js";
import { dayAndTime, refreshFront } from "./front.js";
import { acceptDrops, add, showUploads, takeSent, watchUploads } from "./upload.js";
import { capital, fill, inWords, loadStyles, tell, tellFailure } from "./wide.js";

const FEW = 12; // as many can be looked through without a filter, and need not be folded
const ROWS = 200; // at a time
const NAMED = 3;
const UNITS = ["KB", "MB", "GB"];
const POLL_INTERVAL = 500; // milliseconds
const POLLS_UNTIL_SERVED = 20; // a new snapshot is served a moment after its rebuild ends; one that waits begins soon

let signal = null; // of the page that is shown
let documents = []; // those that have come so far
let mayEdit = false;
let expected = []; // ids of files that were written or removed, and are not read yet
let followed = null; // the page on which what is being read is followed

export async function show(state, pageSignal) {
  signal = pageSignal;
  await loadStyles();
  if (signal.aborted) return;
  if (!find("#changes")) fill("Documents", "");
  await attempt(showPage);
}

/** Do something and tell on the page why it failed. */
const attempt = (work) => work().catch(tellFailure);

/** Show how things are, and follow a rebuild that runs. */
async function showPage() {
  const shown = signal;
  const index = await api.index(shown);
  mayEdit = index.allow_edits;
  const { documents: count, passages, created } = index.snapshot;
  const filter = find("#filter")?.value ?? "";
  fill(`${count <= FEW ? capital(inWords(count)) : count.toLocaleString("en")} document${count === 1 ? "" : "s"}`,
    `Read ${dayAndTime(new Date(created))}. ${counted(passages, "sentence")} can be cited.`,
    make("div", { id: "changes" }), make("ul", { id: "uploads", "aria-label": "Files to add" }),
    finder(count, filter), table(),
    make("button", { type: "button", id: "more", class: "link", hidden: true, onclick: () => showRows(shownRows() + ROWS) }, "Show more"),
    ...leftOut(index.snapshot));
  showChanges(index);
  watchUploads();
  documents = [];
  for await (const some of api.documents(shown)) {
    documents = documents.concat(some);
    showRows(Math.max(ROWS, shownRows()));
  }
  if (mayEdit) {
    acceptDrops();
    watchUploads((id) => documents.some((document) => document.id === id), () => expect(takeSent()));
  }
  if (isBusy(index)) await follow();
}

// What has changed, and reading it

function showChanges(index) {
  const { changes, rebuild } = index;
  const total = changes?.total ?? 0;
  const isOne = total === 1;
  const parts = [make("p", {}, ...describeChanges(index, total))];
  if (rebuild.state === "failed") {
    parts.push(make("p", { id: "failed", class: "error" },
      `Reading failed: ${rebuild.error}. Answers come from what was read before.`));
  }
  if (isBusy(index)) {
    parts.push(make("p", {}, make("progress", { id: "reading", "aria-label": "Reading" }), " ",
      make("span", { id: "percent" })));
  } else {
    parts.push(make("button", { type: "button", id: "rebuild", class: total ? "go" : "link", onclick: readAgain },
      total ? `Read ${isOne ? "it" : "them"} now` : "Read again"));
  }
  find("#changes").replaceChildren(...parts, ...(mayEdit ? [chooser()] : []));
  showProgress(rebuild.progress);
}

function describeChanges({ changes, rebuild }, total) {
  if (isBusy({ rebuild })) {
    return [make("strong", {}, "The files are being read."), " Answers come from the earlier text until that is done."];
  }
  if (changes?.error) return [`Whether files have changed cannot be told: ${changes.error}.`];
  if (!total) return [changes ? "Nothing has changed since then." : ""];
  const names = [...changes.added, ...changes.changed, ...changes.removed];
  return [
    make("strong", {}, `${capital(inWords(total))} ${total === 1 ? "file has" : "files have"} changed since then:`), " ",
    ...names.slice(0, NAMED).flatMap((name, number) => [number ? ", " : "", make("bdi", {}, name)]),
    total > NAMED ? ` and ${inWords(total - NAMED)} more. ` : ". ",
    `Answers come from the earlier text until ${total === 1 ? "it is" : "they are"} read.`,
  ];
}

function showProgress(progress) {
  const bar = find("#reading");
  if (!bar || !progress?.total) return;
  [bar.max, bar.value] = [progress.total, progress.done];
  find("#percent").textContent = `${Math.floor((100 * progress.done) / progress.total)} %`;
}

const isBusy = ({ rebuild }) => rebuild.state === "running" || rebuild.state === "queued";

const readAgain = () => attempt(async () => {
  await api.rebuild();
  await follow();
});

/** Wait until files that were written or removed are read. */
function expect(ids) {
  expected.push(...ids);
  attempt(follow);
}

/** Follow what is being read until it is served, then show the page afresh. */
async function follow() {
  if (followed === signal) return;
  const page = (followed = signal);
  let index;
  try {
    index = await untilServed(page);
  } finally {
    if (followed === page) followed = null;
  }
  const unread = expected.filter((id) => id in index.snapshot.skipped);
  expected = [];
  refreshFront();
  await showPage();
  if (document.activeElement === document.body) find("#wide").focus({ preventScroll: true });
  const { state, report } = index.rebuild;
  if (unread.length) tell(`${unread.join(", ")}: could not be read. The reason stands below.`, true);
  else if (state === "succeeded") showToast(summaryOf(report));
}

/** Show how far reading is, and return the index once all is served. */
async function untilServed(page) {
  let index = await api.index(page);
  showChanges(index);
  for (let late = 0; isBusy(index) || (late < POLLS_UNTIL_SERVED && !isServed(index)); ) {
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    index = await api.index(page);
    if (isBusy(index) !== Boolean(find("#reading"))) showChanges(index);
    if (isBusy(index)) showProgress(index.rebuild.progress);
    else late += 1;
  }
  return index;
}

/** Whether what the last rebuild made is served, with all files that are expected; one that failed made nothing. */
function isServed({ snapshot, rebuild, changes }) {
  if (rebuild.state === "failed") return true;
  const unread = new Set([changes?.added, changes?.changed, changes?.removed].flatMap((ids) => ids ?? []));
  return (!rebuild.report || snapshot.id >= rebuild.report.snapshot) && !expected.some((id) => unread.has(id));
}

function summaryOf({ added, changed, removed }) {
  const counts = [[added, "added"], [changed, "changed"], [removed, "removed"]].filter(([ids]) => ids.length);
  return counts.length ? `Read: ${counts.map(([ids, what]) => `${ids.length} ${what}`).join(", ")}.` : "Nothing had changed.";
}

// The documents

function finder(count, value) {
  return make("p", { class: "finder", hidden: count <= FEW },
    make("input", {
      id: "filter", type: "search", dir: "auto", autocomplete: "off", "aria-label": "Filter by name",
      placeholder: "Filter by name", value, oninput: () => showRows() }),
    make("span", { id: "matching", role: "status" }));
}

function table() {
  const heads = ["Document", "Date", "File written", "Sentences", "Size"].map((name, number) =>
    make("th", { scope: "col", class: number > 2 ? "r" : null }, name));
  const actions = mayEdit && make("th", { scope: "col" }, make("span", { class: "vh" }, "Actions"));
  return make("table", { class: "list" },
    make("thead", {}, make("tr", {}, ...heads, actions)), make("tbody", {}));
}

const shownRows = () => find(".list tbody").children.length;

/** Show the first documents that fit the filter. */
function showRows(count = ROWS) {
  const text = find("#filter").value.trim().toLowerCase();
  const fitting = text ? documents.filter(({ id, title }) => `${title}\n${id}`.toLowerCase().includes(text)) : documents;
  find(".list tbody").replaceChildren(...fitting.slice(0, count).map(row));
  find("#more").hidden = count >= fitting.length;
  const [shown, all] = [fitting.length, documents.length].map((number) => number.toLocaleString("en"));
  find("#matching").textContent = text ? `${shown} of ${all}` : "";
}

function row(document) {
  const { id, passages, date, modified, size, speakers } = document;
  const name = nameOf(document);
  const notes = [name !== id && make("bdi", {}, id), speakers?.length > 0 && counted(speakers.length, "speaker")]
    .filter(Boolean).flatMap((note, number) => [number ? " · " : "", note]);
  const cell = (kind, ...content) => make("td", { class: kind }, ...content);
  return make("tr", {},
    cell("", make("a", { href: addressOf({ document: id }), dir: "auto" }, name), notes.length > 0 && make("small", {}, ...notes)),
    cell("", date && day(date, `${date}T00:00`)),
    cell("written", modified && day(modified, modified)),
    cell("r", passages.toLocaleString("en"), make("span", { class: "unit" }, passages === 1 ? " sentence" : " sentences")),
    cell("r", size === undefined ? "" : describeSize(size)),
    mayEdit && cell("r", make("button", {
      type: "button", class: "link", "aria-label": `Delete ${name}`, onclick: () => confirmDelete(document) }, "Delete")));
}

const day = (datetime, date) => make("time", { datetime }, new Date(date).toLocaleDateString("en", { dateStyle: "medium" }));

/** Return a size as file managers show it: 2.9 KB. */
function describeSize(bytes) {
  let [size, unit] = [bytes / 1000, 0];
  for (; size >= 999.5 && unit < UNITS.length - 1; unit += 1) size /= 1000;
  return `${size < 9.95 ? Math.max(size, 0.1).toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}

// Adding and deleting

function chooser() {
  const field = make("input", { type: "file", multiple: true, hidden: true, id: "choose", "aria-label": "Files to add",
    onchange: () => {
      add([...field.files]);
      field.value = "";
      showUploads();
    } });
  return make("span", {}, field, make("button", { type: "button", class: "link", onclick: () => field.click() }, "Add files"));
}

/** Delete a document, if that is meant: the dialog says what becomes of its citations. */
function confirmDelete(document) {
  const dialog = make("dialog", { "aria-labelledby": "delete-title", onclose: () => {
    dialog.remove();
    if (dialog.returnValue !== "delete") return;
    attempt(async () => {
      await api.remove(document.id);
      expect([document.id]);
    });
  } },
  make("form", { method: "dialog" },
    make("h2", { id: "delete-title" }, "Delete ", make("bdi", {}, nameOf(document)), "?"),
    make("p", {}, "The file ", make("bdi", {}, document.id), " is removed from the documents folder, for everybody. ",
      "Citations of its sentences stay: whoever opens one sees the sentence as it was cited, and that it was removed."),
    make("button", { value: "", class: "keep" }, "Keep it"), " ",
    make("button", { value: "delete" }, "Delete it")));
  find("#wide").append(dialog);
  dialog.showModal();
}

// What was left out

function leftOut({ skipped, ignored }) {
  const files = [...Object.entries(skipped), ...Object.entries(ignored)];
  if (!files.length) return [];
  const failed = Object.keys(skipped).length;
  const items = (from) => files.slice(from, from + ROWS).map(([id, reason]) =>
    make("div", {}, make("dt", {}, make("bdi", {}, id)), make("dd", {}, `${capital(reason)}.`)));
  const list = make("dl", {}, ...items(0));
  const more = files.length > ROWS && make("button", { type: "button", class: "link", onclick: ({ target }) => {
    list.append(...items(list.children.length));
    target.hidden = list.children.length >= files.length;
  } }, "Show more");
  return [make("details", { class: "out", open: files.length <= FEW },
    make("summary", {}, make("h2", {}, `${counted(files.length, "file")} left out`),
      failed > 0 && make("span", {}, `${capital(inWords(failed))} could not be read`)),
    list, more)];
}
