// Dead letters: why each was refused, and its bytes, as text or in hex. None of it is ever markup.

import { ask, byId, bytes, clock, el, reason, words } from "./dom.js";
import { Rows } from "./rows.js";

export const list = new Rows({
  rows: "dead-rows", fresh: "dead-new", empty: "dead-empty", view: "dead-letters", make: row, one: "dead letter", many: "dead letters",
});

function row(brief) {
  return el("a", { href: `#dead-letters/${brief.place}` },
    el("span", { class: "when" }, clock(brief.at)),
    el("span", { class: "what" },
      el("span", { class: "headline" }, el("bdi", {}, `${brief.stage}: ${words(brief.reason)}`)),
      el("span", { class: "about" }, el("bdi", {}, brief.origin), el("span", { class: "badge" }, bytes(brief.size)))));
}

let asking = null;

export async function show(place) {
  const detail = byId("dead-detail");
  list.mark(place);
  asking?.abort();
  if (!place) return;
  asking = new AbortController();
  try {
    const letter = await (await ask(`/api/dead-letters/${encodeURIComponent(place)}`, asking.signal)).json();
    detail.replaceChildren(...page(letter));
    detail.scrollTop = 0;
  } catch (error) {
    if (error.name !== "AbortError") detail.replaceChildren(el("p", { class: "empty" }, reason(error)));
  }
}

function page(letter) {
  const facts = [["Refused by", `${letter.stage} ${letter.version}`], ["Came from", letter.from], ["Entered as", letter.origin], ["Key", letter.key], ["Refused at", new Date(letter.at).toLocaleString("en-GB")]];
  return [
    el("p", { class: "kicker" }, el("a", { class: "back", href: "#dead-letters" }, "Back to the list"), el("bdi", {}, letter.stage)),
    el("h2", { class: "title" }, el("bdi", {}, words(letter.reason))),
    el("pre", { class: "why", tabindex: "0", role: "region", "aria-label": "Detail" }, escaped(letter.detail || "no detail")),
    el("dl", { class: "facts-list" }, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, escaped(value))))),
    raw(letter),
    el("section", {}, el("h3", {}, "Headers"), el("div", { class: "scroll", role: "region", "aria-label": "Headers", tabindex: "0" },
      el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Name"), el("th", { scope: "col" }, "Value"))),
        el("tbody", {}, letter.headers.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, escaped(name)), el("td", { class: "links" }, escaped(value)))))))),
  ];
}

function raw(letter) {
  const section = el("section", { class: "raw" });
  if (letter.missing) { section.append(el("h3", {}, "Bytes"), el("p", { class: "none" }, "The record had no value.")); return section; }
  const data = Uint8Array.from(atob(letter.raw), (character) => character.charCodeAt(0));
  const cut = letter.size > data.length ? `the first ${bytes(data.length)} of ${bytes(letter.size)}` : bytes(letter.size);
  const shown = el("pre", { id: "raw-bytes", tabindex: "0", role: "region", "aria-label": "Bytes of the record" });
  const buttons = ["text", "hex"].map((kind) => el("button", { type: "button", "data-kind": kind, "aria-pressed": "false" }, kind === "text" ? "Text" : "Hex"));
  const choose = (kind) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    shown.className = kind;
    shown.replaceChildren(...(kind === "hex" ? [dump(data)] : escaped(new TextDecoder("utf-8").decode(data), true)));
  };
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.kind));
  choose(letter.text ? "text" : "hex");
  section.append(el("div", { class: "raw-head" }, el("h3", {}, "Bytes"), el("span", { class: "size" }, cut), el("span", { class: "choice" }, buttons)), shown);
  return section;
}

// Control and format characters (among them those that turn the direction of text) and lone surrogates, but for lines.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u;

/** Text as nodes: what can't be seen is written as its code, and marked. */
export function escaped(text, lines = false) {
  const found = [];
  let plain = "";
  for (const character of String(text)) {
    if (!UNSEEN.test(character) || character === "\n" || (lines && character === "\t")) { plain += character; continue; }
    if (plain) found.push(plain);
    plain = "";
    found.push(el("span", { class: "code" }, `\\u{${character.codePointAt(0).toString(16)}}`));
  }
  if (plain) found.push(plain);
  return found;
}

/** Offset, sixteen bytes in hex, and what of them is ASCII, a line each. */
function dump(data) {
  const lines = [];
  for (let at = 0; at < data.length; at += 16) {
    const part = [...data.subarray(at, at + 16)];
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const text = part.map((byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".").join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hex}  ${text}`);
  }
  return lines.join("\n");
}
