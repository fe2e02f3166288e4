// A citation: what became of it, and its three forms to copy.

import { difference } from "./difference.js";
import { find, make, note, verbatim } from "./dom.js";
import { linkOf, place } from "./place.js";

const MEANING = {
  current: "It stands as cited.",
  moved: "The same sentence now stands elsewhere.",
  changed: "The sentence was edited after it was cited.",
  removed: "The sentence is gone from the documents.",
};

/** “quote” — Title (id), line 3. Cited 2026-11-24. And its link. */
export function asText({ citation, text, document, location }) {
  const today = new Date();
  const date = [today.getFullYear(), today.getMonth() + 1, today.getDate()].map((n) => String(n).padStart(2, "0"));
  const where = `${document.title} (${document.id}), ${place(location)}`;
  return `“${text}” — ${where}. Cited ${date.join("-")}. ${linkOf({ cite: citation })}`;
}

export const asLink = ({ citation }) => linkOf({ cite: citation });

/** A W3C Web Annotation with the selectors as they are served. */
export function asJson({ citation, status, document, selectors, cited }) {
  return JSON.stringify({
    "@context": "http://www.w3.org/ns/anno.jsonld",
    id: linkOf({ cite: citation }),
    type: "Annotation",
    motivation: "identifying",
    created: new Date().toISOString(),
    target: { source: linkOf({ document: document.id }), selector: selectors },
    "sourceline:citation": citation,
    "sourceline:status": status,
    "sourceline:document": document,
    "sourceline:cited": cited.location,
  }, null, 2);
}

/** Copy, or where the browser forbids it, show what is to be copied. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    note(`Copied: ${what}.`);
  } catch { // no clipboard without HTTPS, or not allowed: then by hand
    const field = find("#copy-text");
    field.value = text;
    find("#copy").showModal();
    field.select();
  }
}

/** The card of a citation: its state and how to take it along. `near` is the sentence where a removed one stood. */
export function card(found, near) {
  const shown = { ...found, document: found.cited.document, location: found.cited.location };
  const button = (label, text, what) => make("button", { type: "button", onclick: () => copy(text(), what) }, label);
  return make("div", { class: `card ${found.status}` },
    make("h3", {}, "Citation"),
    make("p", { class: "state" }, MEANING[found.status]),
    ...compared(found, near),
    make("p", { class: "where" }, found.status === "current" ? "" : "Cited from ",
      make("bdi", {}, shown.document.title), `, ${place(shown.location)} · `,
      make("code", {}, found.citation)),
    make("p", { class: "copies" },
      button("Copy link", () => asLink(found), "the link"),
      button("Copy text", () => asText(shown), "the quote with its source"),
      button("Copy JSON", () => asJson(found), "the W3C annotation")));
}

/** The text as cited, what stands there now, and the difference. */
function compared({ status, text, successor }, near) {
  if (status === "current") return [];
  const quote = (title, ...parts) => [make("h4", {}, title), verbatim("blockquote", {}, ...parts)];
  if (status === "removed") {
    const now = near ? quote("What stands near its old place now", near) : quote("Now", "The document is gone, too.");
    return [...quote("As cited", text), ...now];
  }
  const now = successor.document;
  const where = make("p", { class: "where" }, "Now in ", make("bdi", {}, now.title), `, ${place(successor.location)}`);
  if (status === "moved") {
    return [...quote("As cited and as it stands now", text), where];
  }
  const parts = difference(text, successor.text);
  const side = (kind, tag) => parts.filter((part) => part.kind === "same" || part.kind === kind)
    .map((part) => (part.kind === "same" ? part.text : make(tag, {}, part.text)));
  return [...quote("As cited", ...side("old", "del")), ...quote("As it stands now", ...side("new", "ins")), where];
}
