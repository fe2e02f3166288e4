// A citation: where it comes from, what has become of the sentence, and its three forms to copy.

import { linkTo } from "./address.js";
import { diff } from "./diff.js";
import { find, make, makeQuote, showToast } from "./dom.js";

const STATUS = {
  current: "Stands as cited",
  moved: "Stands elsewhere now",
  changed: "Edited since it was cited",
  removed: "No longer in the documents",
};

const SOURCE = { changed: "the file was edited since it was read", missing: "the file is gone since it was read" };
const CITED = "Cited sentence";

/** Name a sentence that stands as cited after the answer that it is. */
export function nameNote(note, rank, kind) {
  if (note.matches(".current")) note.querySelector("h3").textContent = rank ? `${kind} ${rank}` : CITED;
}

/** Return what a document is called: its title, or its file's name if the title says no more. */
export function nameOf({ id, title }) {
  const plain = (text) => text.toLowerCase().replace(/[\s_-]+/g, " ");
  const stem = id.split("/").at(-1).replace(/\.[^.]+$/, "");
  return plain(stem) === plain(title) ? id : title;
}

/** Return where a passage stands as nodes: who says it and when, in what, and where in that. */
export function source({ document, location }, { hasName = true } = {}) {
  const { speaker, time, section, page, line } = location;
  const when = time && `at ${describeTime(time)}`;
  const place = [section !== document.title && section, page && `page ${page}`].filter(Boolean);
  if (!place.length && !time) place.push(`line ${line}`);
  const bold = (text) => make("strong", {}, make("bdi", {}, text));
  const name = hasName && (speaker ? make("bdi", {}, nameOf(document)) : bold(nameOf(document)));
  const parts = [speaker && bold(speaker), when, name, ...place.map((part) => make("bdi", {}, part))].filter(Boolean);
  return parts.flatMap((part, index) => (index ? [", ", part] : [part]));
}

/** Return "line 3, page 2, Speaker, 10:02, section “Budget”", as far as it is known, and no title twice. */
function describeLocation({ line, page, speaker, time, section }, title = null) {
  const parts = [`line ${line}`, page && `page ${page}`, speaker, time && describeTime(time),
    section && section !== title && `section “${section}”`];
  return parts.filter(Boolean).join(", ");
}

/** Return a time of a recording as players show it: 0:49, 1:02:03. */
export function describeTime({ start }) {
  const [hours, minutes, seconds] = [start / 3600, (start % 3600) / 60, start % 60].map(Math.floor);
  const padded = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${padded(minutes)}:${padded(seconds)}` : `${minutes}:${padded(seconds)}`;
}

/** Return the day that a document is of. */
export function describeDate(date) {
  const day = new Date(`${date}T00:00`).toLocaleDateString("en", { dateStyle: "long" });
  return make("time", { datetime: date }, day);
}

/** Return: “quote” — Title (id), line 3. Cited 2026-11-24. And the link. */
export function quoteWithSource({ citation, text, document, location }) {
  const now = new Date();
  const date = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0"));
  const name = nameOf(document);
  const title = name === document.id ? name : `${name} (${document.id})`;
  return `“${text}” — ${title}, ${describeLocation(location, document.title)}. Cited ${date.join("-")}. ${linkTo({ cite: citation })}`;
}

/** Return a passage or a citation as a W3C Web Annotation, with the API's selectors of a citation. */
export function annotationOf({ citation, status, text, document, location, selectors, cited }) {
  return JSON.stringify({
    "@context": "http://www.w3.org/ns/anno.jsonld",
    id: linkTo({ cite: citation }),
    type: "Annotation",
    motivation: "identifying",
    created: new Date().toISOString(),
    target: {
      source: linkTo({ document: document.id }),
      selector: selectors ?? [
        { type: "TextQuoteSelector", exact: text },
        { type: "TextPositionSelector", start: location.start, end: location.end },
      ],
    },
    "sourceline:citation": citation,
    "sourceline:status": status ?? "current",
    "sourceline:document": document,
    "sourceline:cited": cited?.location ?? location,
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
export const copyButton = (label, text, description, name = null) =>
  make("button", { type: "button", class: "link", "aria-label": name, onclick: () => copy(text(), description) }, label);

/** Fill the note beside a cited sentence. `nearby` is the sentence that stands where a removed one stood, if any. */
export function fillNote(note, citation, nearby) {
  note.className = `margin ${citation?.status ?? ""}`.trimEnd();
  if (!citation) return note.replaceChildren();
  const { document, location } = citation.cited;
  const isCurrent = citation.status === "current";
  const { successor } = citation;
  const where = citation.status !== "changed" || successor.document.id !== document.id;
  note.replaceChildren(...[
    make("h3", {}, isCurrent ? CITED : STATUS[citation.status]), " ",
    isCurrent ? make("p", { class: "status" }, STATUS.current) : "",
    ...comparison(citation, nearby),
    where && make("p", { class: "where" }, isCurrent ? "" : "Cited from ",
      ...source({ document, location }, { hasName: !isCurrent })),
    SOURCE[citation.source] ? make("p", { class: "where" }, SOURCE[citation.source]) : "",
    make("code", {}, citation.citation),
    make("div", { class: "acts" },
      copyButton("Copy", () => quoteWithSource({ ...citation, document, location }),
        "the quote with its source", "Copy citation"),
      copyButton("Link", () => linkTo({ cite: citation.citation }), "the link", "Copy link"),
      copyButton("JSON", () => annotationOf({ ...citation, document, location }), "the W3C annotation", "Copy JSON")),
  ].filter(Boolean));
  return undefined;
}

/** Return the text as cited, what stands there now, and the difference. */
function comparison({ status, text, successor }, nearby) {
  const quote = (title, ...parts) => [make("h4", {}, title), makeQuote("blockquote", {}, ...parts)];
  if (status === "current") return [];
  if (status === "removed") {
    // Without the document, the sentence itself stands in its place.
    return nearby ? [...quote("As cited", text), ...quote("In its old place now", nearby)]
      : [make("p", { class: "status" }, "The document is gone, too.")];
  }
  const place = make("p", { class: "where" }, "Now in ", ...source(successor));
  if (status === "moved") return [...quote("As cited and as it stands now", text), place];
  const tags = { old: "del", new: "ins" };
  const parts = diff(text, successor.text)
    .map((part) => (part.kind === "same" ? part.text : make(tags[part.kind], {}, part.text)));
  return [...quote("As cited, and as it stands now", ...parts), place];
}
