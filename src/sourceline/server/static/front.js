// The front page and the masthead: how much there is to ask, when it was read, and questions worth asking.

import { addressOf, setPublicUrl } from "./address.js";
import * as api from "./api.js";
import { counted, find, make, showStatus } from "./dom.js";

let known = null; // what GET /v1/index said last

/** Return the least confidence that counts as answered, and the least that counts as possible. */
export function thresholds() {
  const answered = known?.threshold ?? 0.5;
  return { answered, possible: (2 / 5) * answered };
}

/** Ask for the state of the index and show it. Nothing waits for it, and nobody is asked for a key because of it. */
export async function refreshFront() {
  find("#today").textContent = new Date().toLocaleDateString("en", { dateStyle: "full" });
  const index = await api.index(undefined, { quiet: true }).catch(() => undefined);
  if (index) showFront(index);
  else if (index === null) find("#holds").replaceChildren(make("button", { type: "button", class: "link", onclick: enter }, "Enter the key"));
}

/** Ask for the key before a question is. */
async function enter() {
  try {
    showFront(await api.index());
  } catch (error) {
    showStatus(error.message, "error");
  }
}

function showFront(index) {
  known = index;
  setPublicUrl(index.public_url ?? null);
  const { documents, passages, created } = index.snapshot;
  find("#holds").replaceChildren(
    counted(documents, "document"), make("span", { class: "size" }, `, ${counted(passages, "sentence")}`));
  find("#read-at").replaceChildren(make("span", { class: "joint" }, ", "), "read ", make("time", { datetime: created }, dayAndTime(new Date(created))));
  find("#drop").hidden = !index.allow_edits;
  if (index.allow_edits) import("./upload.js").then(({ acceptDrops }) => acceptDrops());
  const questions = index.questions ?? [];
  find("#worth").hidden = !questions.length;
  find("#worth ul").replaceChildren(...questions.map((q) =>
    make("li", {}, make("a", { href: addressOf({ q }), dir: "auto" }, q))));
}

/** Return when something was, in words: today at 01:14. */
export function dayAndTime(date) {
  const time = date.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const isToday = date.toDateString() === new Date().toDateString();
  return `${isToday ? "today" : date.toLocaleDateString("en", { dateStyle: "medium" })} at ${time}`;
}
