// What the server is asked. Every failure is an Error whose message says what happened and what to do.

import { find } from "./dom.js";

const KEY = "sourceline-key";
// What to do about a failure, by its status.
const ADVICE = {
  404: "Is the link whole?",
  409: "", // what is to be done is said already
  422: "Change the question and ask again.",
  503: "Try again in a moment.",
};
let asking = null;

export const ask = (question, k, signal) => call("/v1/ask", { body: { question, k }, signal });
export const citation = (id, signal) => call(`/v1/citations/${encodeURIComponent(id)}`, { signal });
export const documents = (signal) => call("/v1/documents", { signal });
export const text = (id, signal) => call(`/v1/documents/${id.split("/").map(encodeURIComponent).join("/")}`, { signal });
export const examples = (signal) => call("/v1/examples", { signal });
export const index = (signal) => call("/v1/index", { signal });
export const rebuild = () => call("/v1/index/rebuild", { method: "POST" });

async function call(path, { method, body, signal } = {}) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  const request = { method: method ?? (body ? "POST" : "GET"), headers, signal, body: body && JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it running? Start it with “sourceline serve”, then try again.");
  }
  if (response.status === 401) {
    await askForKey(key);
    return call(path, { method, body, signal });
  }
  if (!response.ok) throw await failure(response);
  return response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Error("The server’s answer cannot be read. Try again; does anything stand between it and this page?");
  });
}

async function failure(response) {
  const problem = await response.json().catch(() => ({}));
  const details = (problem.errors ?? []).map((one) => one.message);
  const said = [problem.detail ?? `the server answered ${response.status}`, ...details].join("; ");
  const advice = ADVICE[response.status] ?? "Try again; if it stays so, the server’s log says more.";
  const message = `${said[0].toUpperCase()}${said.slice(1)}. ${advice}`.trim();
  return Object.assign(new Error(message), { status: response.status });
}

/** Ask for the key once, however many requests need it; `tried` is the one that was refused. */
function askForKey(tried) {
  const dialog = find("#key");
  asking ??= new Promise((done) => {
    if (tried) find("#key-note").textContent = "That was not the key. Try again.";
    dialog.addEventListener("close", () => {
      // A header holds no other characters, so that no key does.
      sessionStorage.setItem(KEY, find("#key-field").value.replace(/[^\x21-\x7e]/g, ""));
      find("#key-field").value = "";
      asking = null;
      done();
    }, { once: true });
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.showModal();
  });
  return asking;
}
