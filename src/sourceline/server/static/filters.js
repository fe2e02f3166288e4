// The filters of the ask form: which documents, who speaks, and from when the documents are.

import { activeFilters } from "./address.js";
import { find } from "./dom.js";

const SEPARATOR = ";"; // names and file names hold commas

/** Return the filters as the form has them. */
export function read() {
  const list = (selector) => find(selector).value.split(SEPARATOR).map((text) => text.trim()).filter(Boolean);
  return {
    documents: list("#filter-documents"),
    speakers: list("#filter-speakers"),
    after: find("#filter-after").value || null,
    before: find("#filter-before").value || null,
  };
}

/** Show filters in the form. Those that are set are named even if the form's part is closed. */
export function show(filters) {
  for (const name of ["documents", "speakers"]) {
    const text = filters[name].join(`${SEPARATOR} `);
    if (find(`#filter-${name}`).value !== text) find(`#filter-${name}`).value = text;
  }
  for (const name of ["after", "before"]) find(`#filter-${name}`).value = filters[name] ?? "";
  find("#filter-summary").textContent = activeFilters(filters) ? `Filter: ${describe(filters)}` : "Filter";
}

function describe({ documents, speakers, after, before }) {
  return [...documents, ...speakers, after && `from ${after}`, before && `before ${before}`].filter(Boolean).join(", ");
}

export function clear() {
  for (const field of document.querySelectorAll("#filters input")) field.value = "";
}
