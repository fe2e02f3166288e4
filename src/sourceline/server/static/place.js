// Where things stand: in a document, in words, and in the page's own addresses.

export const USUAL = 5;
const MOST = 100;

/** "line 3, page 2, Speaker, 10:02, section “Budget”", as far as it is known. */
export function place(location) {
  return [
    `line ${location.line}`,
    location.page && `page ${location.page}`,
    location.speaker,
    location.time,
    location.section && `section “${location.section}”`,
  ].filter(Boolean).join(", ");
}

/** What the address of the page asks for. Everything that can be seen can be linked to. */
export function read(search = window.location.search) {
  const asked = new URLSearchParams(search);
  const k = Number(asked.get("k"));
  return {
    q: asked.get("q")?.trim() ?? "",
    k: Number.isInteger(k) && k >= 1 && k <= MOST ? k : USUAL,
    cite: asked.get("cite"),
    document: asked.get("document"),
    view: asked.get("view"),
  };
}

/** The address of a state; what is empty or usual is left out. */
export function address({ q, k, cite, document, view }) {
  const asked = new URLSearchParams();
  if (q) asked.set("q", q);
  if (q && k && k !== USUAL) asked.set("k", k);
  if (cite) asked.set("cite", cite);
  else if (document) asked.set("document", document);
  if (view) asked.set("view", view);
  const query = asked.toString();
  return query ? `/?${query}` : "/";
}

/** The address of the same answers with more of them, if there can be more. */
export const more = (state) => (state.k < MOST ? address({ ...state, k: Math.min(MOST, state.k + 10) }) : null);

/** Go to an address of this page. */
export function go(target) {
  if (target !== window.location.pathname + window.location.search) history.pushState(null, "", target);
  window.dispatchEvent(new PopStateEvent("popstate"));
}

/** The link of a citation, which outlives edits of the document, and of a document. */
export const linkOf = (state) => new URL(address(state), window.location.origin).href;
