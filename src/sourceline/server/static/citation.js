// A citation: what has become of the sentence, and its three forms to copy.

import { linkTo } from "./address.js";
import { diff } from "./diff.js";
import { find, make, makeQuote, showToast } from "./dom.js";

const STATUS = {
  current: "The sentence stands in the document as cited.",
  moved: "The same sentence now stands elsewhere.",
  changed: "The sentence was edited after it was cited.",
  removed: "The sentence is no longer in the documents.",
};

/** Return "line 3, page 2, Speaker, 10:02, section “Budget”", as far as it is known. */
export function describeLocation({ line, page, speaker, time, section }) {
  const parts = [
    `line ${line}`, page && `page ${page}`, speaker, time && describeTime(time), section && `section “${section}”`];
  return parts.filter(Boolean).join(", ");
}

/** Return a time of a recording as players show it: 0:49, 1:02:03. */
export function describeTime({ start }) {
  const [hours, minutes, seconds] = [start / 3600, (start % 3600) / 60, start % 60].map(Math.floor);
  const padded = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${padded(minutes)}:${padded(seconds)}` : `${minutes}:${padded(seconds)}`;
}

/** Return the day that a document is of, behind a dot, if it is known. */
export function describeDate(date) {
  if (!date) return [];
  const day = new Date(`${date}T00:00`).toLocaleDateString("en", { dateStyle: "long" });
  return [" · ", make("time", { datetime: date }, day)];
}

/** Return: “quote” — Title (id), line 3. Cited 2026-11-24. And the link. */
export function quoteWithSource({ citation, text, document, location }) {
  const now = new Date();
  const date = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0"));
  const source = `${document.title} (${document.id}), ${describeLocation(location)}`;
  return `“${text}” — ${source}. Cited ${date.join("-")}. ${linkTo({ cite: citation })}`;
}

/** Return a W3C Web Annotation with the selectors of the API. */
function annotation({ citation, status, document, selectors, cited }) {
  return JSON.stringify({
    "@context": "http://www.w3.org/ns/anno.jsonld",
    id: linkTo({ cite: citation }),
    type: "Annotation",
    motivation: "identifying",
    created: new Date().toISOString(),
    target: { source: linkTo({ document: document.id }), selector: selectors },
    "sourceline:citation": citation,
    "sourceline:status": status,
    "sourceline:document": document,
    "sourceline:cited": cited.location,
  }, null, 2);
}

/** Copy a text, or show it to be copied by hand where the browser has no clipboard (no HTTPS) or forbids it. */
export async function copy(text, description) {
  try {
    await navigator.clipboard.writeText(text);
    showToast(`Copied ${description}.`);
  } catch {
    const field = find("#copy-text");
    field.value = text;
    find("#copy").showModal();
    field.select();
  }
}

/** Return a button that copies what `text` returns. `description` says what that is, once it is copied. */
export const copyButton = (label, text, description) =>
  make("button", { type: "button", onclick: () => copy(text(), description) }, label);

/** Return the card of a citation. `nearby` is the sentence that stands where a removed one stood, if any does. */
export function card(citation, nearby) {
  const { document, location } = citation.cited;
  return make("div", { class: `card ${citation.status}` },
    make("h3", {}, "Citation"),
    make("p", { class: "state" }, STATUS[citation.status]),
    ...comparison(citation, nearby),
    make("p", { class: "source" }, citation.status === "current" ? "" : "Cited from ",
      make("bdi", {}, document.title), `, ${describeLocation(location)} · `, make("code", {}, citation.citation)),
    make("p", { class: "actions" },
      copyButton("Copy link", () => linkTo({ cite: citation.citation }), "the link"),
      copyButton("Copy text", () => quoteWithSource({ ...citation, document, location }), "the quote with its source"),
      copyButton("Copy JSON", () => annotation(citation), "the W3C annotation")));
}

/** Return the text as cited, what stands there now, and the difference. */
function comparison({ status, text, successor }, nearby) {
  const quote = (title, ...parts) => [make("h4", {}, title), makeQuote("blockquote", {}, ...parts)];
  if (status === "current") return [];
  if (status === "removed") {
    const now = nearby ? quote("In its old place now", nearby) : quote("Now", "The document is gone, too.");
    return [...quote("As cited", text), ...now];
  }
  const source = make("p", { class: "source" },
    "Now in ", make("bdi", {}, successor.document.title), `, ${describeLocation(successor.location)}`);
  if (status === "moved") return [...quote("As cited and as it stands now", text), source];
  const parts = diff(text, successor.text);
  const side = (kind, tag) => parts.filter((part) => part.kind === "same" || part.kind === kind)
    .map((part) => (part.kind === "same" ? part.text : make(tag, {}, part.text)));
  return [...quote("As cited", ...side("old", "del")), ...quote("As it stands now", ...side("new", "ins")), source];
}
