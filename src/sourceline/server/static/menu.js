// Menus and other parts that unfold over the page: one is open at a time, and a click elsewhere or Escape closes it.

import { make } from "./dom.js";

const UNFOLDED = ".menu[open], .pick[open]";

/** Return a menu of [label, action or address] pairs, named by what it is about. */
export function menu(about, summary, items) {
  const element = make("details", { class: "menu" },
    make("summary", { "aria-label": `Actions for ${about}` }, summary),
    make("ul", {}, ...items.map(([label, action]) => make("li", {},
      typeof action === "string" ? make("a", { href: action }, label)
        : make("button", { type: "button", onclick: () => { element.open = false; action(); } }, label)))));
  return element;
}

/** Close what is unfolded; return whether anything was. Its summary gets the focus back. */
export function closeUnfolded() {
  const open = document.querySelector(UNFOLDED);
  if (!open) return false;
  const hadFocus = open.contains(document.activeElement);
  open.open = false;
  if (hadFocus) open.querySelector("summary").focus();
  return true;
}

export function listen() {
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll(UNFOLDED)) {
      if (!open.contains(event.target) || event.target.closest(".menu li a")) open.open = false;
    }
  });
}
