// The HTTP API. Every failure becomes an Error whose message says what happened and what to do about it.

import { find } from "./dom.js";

const KEY = "sourceline-key";
const UNREACHABLE = "The server does not respond. If it is down, start it with “sourceline serve”, then try again.";
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

/** Check the quotations in a text. */
export const verify = (text, signal) => call("/v1/verify", {
  body: { text }, signal, advice: { 413: "Check it in parts.", 422: "Check it in parts." } });

/** Yield all documents, however many, thousands at a time. */
export async function* documents(signal) {
  for (let cursor = ""; cursor !== undefined; ) {
    const query = new URLSearchParams({ limit: 5_000, cursor });
    const { documents: listed, next } = await call(`/v1/documents?${query}`, { signal });
    yield listed;
    cursor = next;
  }
}

/** Return the first documents. */
export const someDocuments = (limit, options) =>
  call(`/v1/documents?${new URLSearchParams({ limit })}`, options).then(({ documents }) => documents);

/** Return a stretch of a document. */
export function readDocument(id, from, limit, signal) {
  return call(`${pathOf(id)}?${new URLSearchParams({ from, limit })}`, { signal });
}
export const index = (signal, options) => call("/v1/index", { signal, ...options });
export const speakers = (options) => call("/v1/speakers", options).then(({ speakers: names }) => names);
export const rebuild = () => call("/v1/index/rebuild", { method: "POST" });

/** Remove a file of the documents folder. */
export const remove = (id) => call(pathOf(id), { method: "DELETE" });

/** Write a file of the documents folder; `onprogress` is told which share of it was sent. */
export const upload = (id, file, onprogress) =>
  call(pathOf(id), { send: (headers) => put(pathOf(id), file, headers, onprogress), advice: { 413: "", 422: "" } });

const pathOf = (id) => `/v1/documents/${id.split("/").map(encodeURIComponent).join("/")}`;

/** Send a file: `fetch` does not tell how far it is. */
function put(path, file, headers, onprogress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", path);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onprogress(total && loaded / total);
    request.onload = () => resolve(new Response(request.response, { status: request.status }));
    request.onerror = reject;
    request.send(file);
  });
}

/** Send a request with the key, which is asked for if it is needed, unless the request is `quiet`. */
export async function request(path, { quiet, send, headers = {}, ...options } = {}) {
  const key = sessionStorage.getItem(KEY);
  const sent = key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
  let response;
  try {
    response = await (send ? send(sent) : fetch(path, { ...options, headers: sent }));
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(UNREACHABLE);
  }
  if (response.status !== 401 || quiet) return response;
  await askForKey(key);
  return request(path, { send, headers, ...options });
}

/** Call a route and return what it answers. */
async function call(path, { body, advice, method, ...options } = {}) {
  const response = await request(path, {
    method: method ?? (body ? "POST" : "GET"),
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
    ...options,
  });
  if (!response.ok) throw await errorFrom(response, advice);
  return response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Error("The server’s answer is not valid JSON. Try again; a proxy may have replaced it.");
  });
}

async function errorFrom(response, special) {
  const problem = await response.json().catch(() => ({}));
  const fields = (problem.errors ?? []).map(({ message }) => message);
  const detail = [...new Set([problem.detail ?? `the server answered ${response.status}`, ...fields])].join("; ");
  const advice = { ...ADVICE, ...special }[response.status] ?? "Try again; if it keeps happening, look at the server’s log.";
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
