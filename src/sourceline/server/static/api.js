// The HTTP API. Every failure becomes an Error whose message says what happened and what to do about it.

import { find } from "./dom.js";

const KEY = "sourceline-key";
const ADVICE = {
  403: "", // the server's message says it all
  404: "Check that the link is complete.",
  409: "",
  422: "Change the question and ask again.",
  429: "",
  503: "Try again in a moment.",
};

export const ask = (body, signal) => call("/v1/ask", { body, signal });
export const citation = (id, signal) => call(`/v1/citations/${encodeURIComponent(id)}`, { signal });

/** Return all documents, however many. */
export async function documents(signal) {
  const all = [];
  for (let cursor = ""; cursor !== undefined; ) {
    const query = new URLSearchParams({ limit: 10_000, cursor });
    const { documents: listed, next } = await call(`/v1/documents?${query}`, { signal });
    all.push(...listed);
    cursor = next;
  }
  return all;
}

/** Return the first documents. */
export const someDocuments = (limit, options) =>
  call(`/v1/documents?${new URLSearchParams({ limit })}`, options).then(({ documents }) => documents);

/** Return a stretch of a document. */
export function readDocument(id, from, limit, signal) {
  const path = id.split("/").map(encodeURIComponent).join("/");
  return call(`/v1/documents/${path}?${new URLSearchParams({ from, limit })}`, { signal });
}
export const index = (signal, options) => call("/v1/index", { signal, ...options });
export const rebuild = () => call("/v1/index/rebuild", { method: "POST" });

/** Call a route. If it is `quiet`, nobody is asked for a key. */
async function call(path, { method, body, signal, quiet } = {}) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  const request = { method: method ?? (body ? "POST" : "GET"), headers, signal, body: body && JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not respond. If it is down, start it with “sourceline serve”, then try again.");
  }
  if (response.status === 401 && !quiet) {
    await askForKey(key);
    return call(path, { method, body, signal });
  }
  if (!response.ok) throw await errorFrom(response);
  return response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Error("The server’s answer is not valid JSON. Try again; a proxy may have replaced it.");
  });
}

async function errorFrom(response) {
  const problem = await response.json().catch(() => ({}));
  const fields = (problem.errors ?? []).map(({ message }) => message);
  const detail = [problem.detail ?? `the server answered ${response.status}`, ...fields].join("; ");
  const advice = ADVICE[response.status] ?? "Try again; if it keeps happening, look at the server’s log.";
  const message = `${detail[0].toUpperCase()}${detail.slice(1)}. ${advice}`.trim();
  return Object.assign(new Error(message), { status: response.status });
}

let keyPrompt = null;

/** Ask for the API key once, however many requests are waiting for it. `refused` is the key that was just tried. */
function askForKey(refused) {
  const dialog = find("#key");
  keyPrompt ??= new Promise((resolve) => {
    if (refused) find("#key-note").textContent = "That key is not valid. Try again.";
    dialog.addEventListener("close", () => {
      // A header cannot hold other characters, so a key has none.
      sessionStorage.setItem(KEY, find("#key-field").value.replace(/[^\x21-\x7e]/g, ""));
      find("#key-field").value = "";
      keyPrompt = null;
      resolve();
    }, { once: true });
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.showModal();
  });
  return keyPrompt;
}
