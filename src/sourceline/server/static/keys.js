// The keyboard. Letters and signs can be switched off, for those who speak to their browser (WCAG 2.1.4).

import { asLink, copy } from "./citation.js";
import { find } from "./dom.js";
import { move } from "./reader.js";

const OFF = "sourceline-letters-off";

export function listen() {
  const letters = find("#letters");
  letters.checked = !localStorage.getItem(OFF);
  letters.addEventListener("change", () => {
    if (letters.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "yes");
  });
  find("#help-button").addEventListener("click", () => find("#help").showModal());
  document.addEventListener("keydown", press);
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || find("dialog[open]")) return;
  const typing = event.target.matches("input, textarea, select");
  const act = arrows(event.key, event.target) ?? (typing || !find("#letters").checked ? null : signs(event.key));
  if (!act) return;
  event.preventDefault();
  act();
}

/** What a key does that types nothing. Elsewhere than on an answer or a sentence, arrows scroll. */
function arrows(key, target) {
  if (key === "Escape" && !find("#reader").hidden) return close;
  const by = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!by) return null;
  if (target.matches("#reader .sentence")) return () => move(by);
  if (target.matches(".answer .open, .examples a") || (target.id === "question" && by > 0)) return () => choose(by);
  return null;
}

const signs = (key) => ({
  "/": () => find("#question").select(),
  "?": () => find("#help").showModal(),
  j: () => step(1),
  k: () => step(-1),
  n: () => find("#jumps a[rel=next]")?.click(),
  p: () => find("#jumps a[rel=prev]")?.click(),
  c: copyLink,
})[key];

function step(by) {
  if (find("#reader").contains(document.activeElement) || !find(".answer .open, .examples a")) move(by);
  else choose(by);
}

/** Focus the next answer; above the first one is the question. */
function choose(by) {
  const links = [...document.querySelectorAll(".answer .open, .examples a")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  if (at + by < 0) find("#question").focus();
  else links[Math.min(links.length - 1, at + by)].focus();
}

function close() {
  const opened = find(".answer .open[aria-current]");
  find("#reader .close").click();
  (opened ?? find("#question")).focus();
}

function copyLink() {
  const chosen = document.activeElement.closest("#reader .sentence, .answer .open") ?? find("#reader [aria-current]");
  const citation = chosen && new URL(chosen.href).searchParams.get("cite");
  if (citation) copy(asLink({ citation }), "the link");
}
