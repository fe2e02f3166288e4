// The keyboard. Single-key shortcuts can be turned off, for people who speak to their browser (WCAG 2.1.4).

import { linkTo } from "./address.js";
import { copy } from "./citation.js";
import { find } from "./dom.js";
import { closeUnfolded } from "./menu.js";
import { moveFocus } from "./reader.js";

const OFF = "sourceline-shortcuts-off";

export function listen() {
  const checkbox = find("#shortcuts");
  checkbox.checked = !localStorage.getItem(OFF);
  checkbox.addEventListener("change", () => {
    if (checkbox.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "yes");
  });
  find("#help-button").addEventListener("click", () => find("#help").showModal());
  document.addEventListener("keydown", press);
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || find("dialog[open]")) return;
  const hasShortcuts = find("#shortcuts").checked && !event.target.matches("input:not([type=checkbox]), textarea, select");
  const action = navigation(event.key, event.target) ?? (hasShortcuts ? SHORTCUTS[event.key] : null);
  if (!action) return;
  event.preventDefault();
  action();
}

/** Return what Escape or an arrow does. Arrows scroll as usual unless an answer or a sentence has the focus. */
function navigation(key, target) {
  if (key === "Escape") return () => closeUnfolded() || closeDocument();
  const by = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!by) return null;
  if (target.matches("#reader .sentence")) return () => moveFocus(by);
  if (target.matches(".answer .open")) return () => focusAnswer(by);
  // In a question of several lines, down goes to the next line first.
  if (target.id === "question" && by > 0 && target.selectionEnd === target.value.length) return () => focusAnswer(by);
  return null;
}

const SHORTCUTS = {
  "/": () => find("#question").select(),
  "?": () => find("#help").showModal(),
  j: () => step(1),
  k: () => step(-1),
  f: () => find("#search")?.focus(),
  n: () => find("#jumps a[rel=next]")?.click(),
  p: () => find("#jumps a[rel=prev]")?.click(),
  c: copyLink,
};

function step(by) {
  if (find("#reader").contains(document.activeElement) || !find(".answer .open")) moveFocus(by);
  else focusAnswer(by);
}

/** Focus the next or previous answer; above the first one is the question. */
function focusAnswer(by) {
  const links = [...document.querySelectorAll(".answer .open")];
  if (!links.length) return;
  const index = links.indexOf(document.activeElement) + by;
  if (index < 0) find("#question").focus();
  else links[Math.min(links.length - 1, index)].focus();
}

function closeDocument() {
  if (find("#reader").hidden) return;
  (find(".answer .open[aria-current]") ?? find("#question")).focus(); // now: the next key may come at once
  find("#reader .close").click();
}

function copyLink() {
  const link = document.activeElement.closest("#reader .sentence, .answer .open") ?? find("#reader [aria-current]");
  const citation = link && new URL(link.href).searchParams.get("cite");
  if (citation) copy(linkTo({ cite: citation }), "the link");
}
