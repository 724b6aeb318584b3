"use strict";
/* The pieces that pages are made of. They make elements and never look for any. Text enters as text nodes only. */

/** An element. Properties are attributes, apart from `vars` (CSS variables) and `on` (listeners). */
function h(name, properties, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key === "vars") for (const [variable, number] of Object.entries(value)) element.style.setProperty(variable, number);
    else if (key === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/* Text that would steer a page instead of being seen: control characters, marks of direction, stray bytes. */
const NAMES = { 0x200b: "ZWSP", 0x200e: "LRM", 0x200f: "RLM", 0x202a: "LRE", 0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO", 0x202e: "RLO",
  0x2028: "LS", 0x2029: "PS", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0xfeff: "BOM", 0x061c: "ALM" };
function plain(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\u061c]/g, (sign) => {
    const code = sign.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "\u2421" : NAMES[code] ? `\u2039${NAMES[code]}\u203a` : "\ufffd";
  });
}
const lineBreaks = (text) => text.replace(/\r\n?/g, "\n");

/** A token as a sign of its own, its white space visible. */
function chip(text, className) {
  if (text === EOI) return h("code", { class: `chip special ${className || ""}` }, "⟨eoi⟩");
  const shown = plain(lineBreaks(text)) || "∅";
  const parts = shown.split(/([ \n\t]+)/).filter(Boolean).map((part) =>
    /^[ \n\t]/.test(part)
      ? h("span", { class: "blank" }, part.replace(/ /g, "·").replace(/\n/g, "↵").replace(/\t/g, "⇥"))
      : part);
  return h("code", { class: `chip ${className || ""}`, title: text ? null : "a token without text of its own: part of a character" }, h("bdi", null, parts));
}

const sayParts = (parts) => parts.map((part) => (typeof part === "string" ? plain(part) : part.isWhole ? phrase(part.code) : chip(part.code)));

/** A whole text in one line: line breaks as signs, without the indentation behind them; blanks visible at its ends. */
function phrase(text, className) {
  if (!text) return h("code", { class: `chip special ${className || ""}` }, "nothing");
  return h("code", { class: `chip ${className || ""}`, title: text.length > 40 ? plain(lineBreaks(text)) : null }, h("bdi", null, blanksShown(text)));
}

/** `counts` says how long an indentation is. */
function blanksShown(text, counts) {
  return plain(lineBreaks(text)).split(/(\n[ \t\n]*|^ +|^\t+| +$|\t+)/).filter(Boolean).map((part) => {
    if (!/^[ \t\n]+$/.test(part)) return part;
    const indented = counts ? part.length - part.lastIndexOf("\n") - 1 : 0;
    const sign = part.startsWith("\n") ? "↵".repeat(part.split("\n").length - 1) + (indented ? lowered(indented) : " ") : part.replace(/ /g, "·").replace(/\t/g, "⇥");
    return h("span", { class: "blank" }, sign);
  });
}

const lowered = (number) => String(number).replace(/\d/g, (digit) => String.fromCharCode(0x2080 + Number(digit)));
