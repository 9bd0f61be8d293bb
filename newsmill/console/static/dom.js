// Elements and words. All text goes into the page as text: nothing here takes markup.

/** Make an element. `attributes`: names to values; `class`, `lang`, `dir` and the like are set as attributes; a value of
 *  null or false leaves the attribute out. Children are nodes or texts; null is left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Write `text` if it is another: what has not changed is not announced again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A text of an article: in its language, in its direction. */
export function foreign(name, language, attributes = {}, ...children) {
  return el(name, { lang: language === "und" ? "" : language, dir: "auto", ...attributes }, ...children);
}

/** A link to the web, if it is one. */
export function webLink(address, text) {
  let parsed = null;
  try { parsed = new URL(address); } catch { return null; }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") return null;
  return el("a", { href: parsed.href, target: "_blank", rel: "noopener noreferrer nofollow", class: "web" }, text ?? parsed.href);
}

const WHOLE = new Intl.NumberFormat("en-GB");
const TENTH = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const SHORT = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

export const whole = (n) => WHOLE.format(n);
export const clock = (ms) => CLOCK.format(ms);
export const share = (p) => p.toFixed(2);

export function day(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? "" : DAY.format(at);
}

export function count(n) {
  return n === null || n === undefined ? "–" : n < 100000 ? WHOLE.format(n) : SHORT.format(n);
}

export function rate(n) {
  return n === null || n === undefined ? "–" : n < 100 ? TENTH.format(n) : n < 100000 ? WHOLE.format(Math.round(n)) : SHORT.format(n);
}

/** Seconds; -1 is "more than can be told". */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0 || seconds > 86400) return "> 1 day";
  if (seconds < 120) return `${seconds < 10 ? TENTH.format(seconds) : Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export function bytes(n) {
  return n < 1024 ? `${n} B` : n < 1024 * 1024 ? `${TENTH.format(n / 1024)} KiB` : `${TENTH.format(n / 1024 / 1024)} MiB`;
}

/** A code as words: near_copy, near copy. */
export const words = (code) => String(code).replaceAll("_", " ");

export class Refused extends Error {}

/** Ask the console. Throws Refused with the console's words. */
export async function ask(path, signal) {
  const response = await fetch(path, { signal });
  if (response.ok) return response;
  let detail = `the console answered ${response.status}`;
  try { detail = (await response.json()).detail ?? detail; } catch { /* no problem details */ }
  throw new Refused(detail);
}

export const reason = (error) => error instanceof Refused ? error.message : "the console does not answer";
