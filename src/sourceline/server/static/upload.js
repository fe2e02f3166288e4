// Files that are added to the documents: dropped on the page or chosen, sent one by one, each with what became of it.

import { currentState, go, refresh } from "./address.js";
import * as api from "./api.js";
import { find, make } from "./dom.js";
import { loadStyles } from "./wide.js";

const VIEW = "/?view=documents";
const uploads = []; // { file, id, state, share, error }: kept while other pages are looked at
let isSending = false;
let exists = null; // whether a document has an id; unknown until all are listed
let onSent = null;
let acceptsDrops = false;

/** Let files be dropped on the page: they are added, and the page of the documents shows how that goes. */
export function acceptDrops(page = document.documentElement) {
  if (acceptsDrops) return;
  acceptsDrops = true;
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const mark = (isOver) => page.classList.toggle("dropping", isOver);
  page.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    loadStyles().then(() => mark(true));
  });
  page.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  page.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    loadStyles().then(() => mark(false));
    const folders = [...event.dataTransfer.items].map((entry) => entry.webkitGetAsEntry?.()?.isDirectory ?? false);
    add([...event.dataTransfer.files], folders);
    if (currentState().view === "documents") showUploads();
    else go(VIEW);
  });
}

/** Add files. Those of `folders` that are set are none. */
export function add(files, folders = []) {
  files.forEach((file, number) => {
    const error = folders[number] ? "It is a folder: drop the files in it." : file.size ? "" : "It is empty.";
    uploads.push({ file, id: file.name.normalize("NFC"), state: error ? "refused" : "waiting", error, isFinal: true });
  });
}

/** Send what waits. `known` says whether there is a document of an id, if that is known; `sent` is called at the end. */
export function watchUploads(known = null, sent = null) {
  [exists, onSent] = [known, sent];
  showUploads();
}

/** Show the files that are added, and send those that wait. */
export function showUploads() {
  find("#uploads")?.replaceChildren(...uploads.map(entry));
  send();
}

/** Return the ids of the files that were sent since this was asked last; they are listed no more. */
export function takeSent() {
  const ids = uploads.filter(({ state }) => state === "sent").map(({ id }) => id);
  uploads.splice(0, uploads.length, ...uploads.filter(({ state }) => state !== "sent"));
  find("#uploads")?.replaceChildren(...uploads.map(entry));
  return ids;
}

async function send() {
  if (isSending) return;
  isSending = true;
  for (let next; exists && (next = uploads.find(({ state }) => state === "waiting")); ) {
    if (exists(next.id) && !next.replaces) {
      change(next, { state: "exists" });
      continue;
    }
    change(next, { state: "sending" });
    try {
      await api.upload(next.id, next.file, (share) => change(next, { share }));
      change(next, { state: "sent" });
    } catch (error) {
      change(next, { state: "refused", error: error.message, isFinal: [413, 422].includes(error.status) });
    }
  }
  isSending = false;
  if (uploads.some(({ state }) => state === "sent")) onSent?.();
}

function change(upload, values) {
  Object.assign(upload, values);
  const shown = find("#uploads")?.children[uploads.indexOf(upload)];
  const bar = shown?.querySelector("progress");
  if (bar && upload.state === "sending" && "share" in values) bar.value = upload.share;
  else shown?.replaceWith(entry(upload));
}

function entry(upload) {
  const { id, state, error, isFinal } = upload;
  const again = (label, values) => make("button", {
    type: "button", class: "link", onclick: () => { Object.assign(upload, values); showUploads(); } }, label);
  const forget = (label) => make("button", { type: "button", class: "link", onclick: () => {
    uploads.splice(uploads.indexOf(upload), 1);
    refreshList();
  } }, label);
  const name = make("bdi", {}, id);
  const told = {
    waiting: ["waiting"],
    sending: [make("progress", { max: 1, "aria-label": `Sending ${id}` })],
    sent: ["Added; it is being read."],
    exists: ["There is a document of this name.", again("Replace it", { state: "waiting", replaces: true }),
      forget("Leave it")],
    refused: [error, !isFinal && again("Try again", { state: "waiting" }), forget("Dismiss")],
  }[state];
  return make("li", { class: state }, name, make("span", {}, ...told.filter(Boolean).flatMap((part) => [part, " "])));
}

const refreshList = () => (find("#uploads") ? showUploads() : refresh());
