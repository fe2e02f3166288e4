// The page's state is its address: everything that can be seen can be linked to.

export const DEFAULT_K = 5;
export const [READ, FAST] = ["read", "fast"]; // modes of the API, the default first
const MAX_K = 100;
const VIEWS = ["verify", "documents"];

let onChange = () => {};
let publicUrl = null;

/** Set the address under which people reach the page, if it is not the one in the address bar. */
export const setPublicUrl = (url) => (publicUrl = url);

/** Return the state that the address asks for. */
export function currentState() {
  const params = new URLSearchParams(window.location.search);
  const k = Number(params.get("k"));
  return {
    q: params.get("q")?.trim() ?? "",
    k: Number.isInteger(k) && k >= 1 && k <= MAX_K ? k : DEFAULT_K,
    mode: params.get("mode") === FAST ? FAST : READ,
    filters: {
      documents: params.getAll("documents").filter(Boolean),
      speakers: params.getAll("speakers").filter(Boolean),
      after: dateOf(params.get("after")),
      before: dateOf(params.get("before")),
    },
    cite: params.get("cite"),
    document: params.get("document"),
    view: VIEWS.includes(params.get("view")) ? params.get("view") : null,
  };
}

const dateOf = (text) => (/^\d{4}-\d\d-\d\d$/.test(text ?? "") ? text : null);

/** Return the filters that are set, as the API takes them; undefined if there is none. */
export function activeFilters(filters = {}) {
  const active = Object.entries(filters).filter(([, value]) => value?.length);
  return active.length ? Object.fromEntries(active) : undefined;
}

/** Return the address of a state; what is empty or the default is left out. */
export function addressOf({ q, k, mode, filters, cite, document, view }) {
  const params = new URLSearchParams();
  if (q) params.set("q", q);
  if (q && k && k !== DEFAULT_K) params.set("k", k);
  if (q && mode === FAST) params.set("mode", mode);
  for (const [name, value] of Object.entries((q && activeFilters(filters)) || {})) {
    for (const each of [value].flat()) params.append(name, each);
  }
  if (cite) params.set("cite", cite);
  else if (document) params.set("document", document);
  if (view) params.set("view", view);
  const query = params.toString();
  return query ? `/?${query}` : "/";
}

/** Return the address that shows ten more answers, or null at the API's limit. */
export function addressWithMore(state) {
  return state.k < MAX_K ? addressOf({ ...state, k: Math.min(MAX_K, state.k + 10) }) : null;
}

/** Return a link to share: a citation's link keeps working when its document is edited. */
export const linkTo = (state) => (publicUrl ?? window.location.origin) + addressOf(state);

/** Call `listener` now and whenever the state changes. A link to a part of the page (#answers) does not change it. */
export function onStateChange(listener) {
  let shown = null;
  onChange = () => {
    shown = window.location.search;
    listener();
  };
  window.addEventListener("popstate", () => {
    if (window.location.search !== shown) onChange();
  });
  onChange();
}

/** Go to an address of this page; going to the current one shows it afresh. */
export function go(address) {
  if (address !== window.location.pathname + window.location.search) history.pushState(null, "", address);
  onChange();
}

/** Show the current state afresh. */
export const refresh = () => onChange();
