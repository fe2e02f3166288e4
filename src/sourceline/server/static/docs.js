// Sends the requests of the API's description from the page, and shows what comes back.

import { request } from "./api.js";
import { make } from "./dom.js";

const SHOWN = 100_000; // characters of an answer
const HEADERS = ["content-type", "x-request-id", "ratelimit", "retry-after", "www-authenticate"];

for (const panel of document.querySelectorAll(".try")) {
  panel.hidden = false;
  const form = panel.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, panel);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

async function send(form, panel) {
  const fail = (message) => show(panel, [make("span", { class: "error" }, message)]);
  const { method, path } = form.dataset;
  const body = form.querySelector("textarea");
  const type = body?.dataset.type;
  if (type === "application/json") {
    try {
      JSON.parse(body.value);
    } catch (error) {
      fail(`The body is not JSON: ${error.message}.`);
      return;
    }
  }
  const button = form.querySelector("button");
  button.disabled = true;
  const started = performance.now();
  try {
    const response = await request(addressOf(form, path), {
      method, body: body?.value, headers: type ? { "Content-Type": type } : {} });
    const text = await response.text();
    const status = make("strong", { class: response.ok ? null : "error" }, `${response.status} ${response.statusText}`.trim());
    show(panel, [status, `, ${Math.round(performance.now() - started)} ms`], ...describe(response, text));
  } catch (error) {
    fail(error.message);
  } finally {
    button.disabled = false;
  }
}

/** Return the address that the fields of a form make: those of the path filled in, those of the query that are given. */
function addressOf(form, path) {
  const fields = [...form.querySelectorAll("input")].map(({ name, value, dataset }) => [dataset.in, name, value]);
  let address = path;
  for (const [, name, value] of fields.filter(([place]) => place === "path")) {
    address = address.replace(`{${name}}`, value.split("/").map(encodeURIComponent).join("/"));
  }
  const query = new URLSearchParams(fields.filter(([place, , value]) => place === "query" && value)
    .map(([, name, value]) => [name, value]));
  return query.size ? `${address}?${query}` : address;
}

/** Show how a request went, which screen readers announce, and what came back. */
function show(panel, status, ...parts) {
  panel.querySelector("[role=status]").replaceChildren(...status);
  panel.querySelector(".answer").replaceChildren(...parts);
}

function describe(response, text) {
  const named = HEADERS.filter((name) => response.headers.has(name));
  const shown = formatted(text);
  return [
    make("dl", {}, ...named.map((name) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, response.headers.get(name))))),
    make("pre", { tabindex: 0 }, shown.slice(0, SHOWN)),
    shown.length > SHOWN ? make("p", {}, `The first ${SHOWN.toLocaleString("en")} characters.`) : "",
  ];
}

function formatted(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // which is no JSON: metrics
  }
}

/** A link to a schema unfolds it. */
function unfold() {
  const target = document.getElementById(window.location.hash.slice(1));
  if (target?.matches("details")) target.open = true;
}

window.addEventListener("hashchange", unfold);
unfold();
