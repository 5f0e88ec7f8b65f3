// What the views of the page are made with. Texts become text nodes, never markup.

import { at, element as bare } from "/-/dom.js?v={digest}";

const SVG = "http://www.w3.org/2000/svg";
const HUES = 8;
const signs = new WeakMap();

export { at };

/** An element with elements and texts in it. */
export function element(name, className, ...children) {
  const made = bare(name, className);
  made.append(...children);
  return made;
}

export function icon(name, label) {
  const made = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  made.append(use);
  if (label) {
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", label);
    const title = document.createElementNS(SVG, "title");
    title.textContent = label;
    made.prepend(title);
  } else made.setAttribute("aria-hidden", "true");
  return made;
}

/** A colored circle with the first letter of a name; `presence` adds a dot. */
export function face(name, id, presence) {
  let hash = 0;
  for (const letter of id) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  const initial = [...name.replace(/^[^\p{L}\p{N}]+/u, "")][0] ?? "?";
  const made = element("span", `face hue-${hash % HUES}`, initial.toUpperCase());
  made.setAttribute("aria-hidden", "true");
  if (!presence) return made;
  const dot = element("span", `dot ${presence}`);
  dot.setAttribute("role", "img");
  dot.setAttribute("aria-label", presence === "unavailable" ? "away" : presence);
  dot.title = dot.getAttribute("aria-label");
  return element("span", "faced", made, dot);
}

/** Make the children those of `items`: {key, sign, make}. A child whose sign stayed is left alone. */
export function reconcile(parent, items) {
  const had = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = new Set(items.map((item) => item.key));
  for (const [key, child] of had) if (!wanted.has(key)) child.remove();
  let place = parent.firstElementChild;
  for (const { key, sign, make } of items) {
    let child = had.get(key);
    if (!child || signs.get(child) !== sign) {
      const made = make();
      made.dataset.key = key;
      signs.set(made, sign);
      if (child) {
        const focused = child.contains(document.activeElement);
        if (place === child) place = made;
        child.replaceWith(made);
        if (focused) made.querySelector("button, a")?.focus();
      }
      child = made;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}

/** What goes wrong is told for some seconds. */
let hiding = 0;
export function say(text) {
  at("notice").textContent = text;
  at("notice").hidden = !text;
  clearTimeout(hiding);
  hiding = setTimeout(() => (at("notice").hidden = true), 6000);
}
