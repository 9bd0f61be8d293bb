// A list of the newest things that stays still while somebody reads it.

import { byId, setText, whole } from "./dom.js";

const MOST = 100;

export class Rows {
  /** `make(brief)` returns the content of a row; `one`, `many` name what is new. */
  constructor({ rows, fresh, empty, view, make, one, many }) {
    this.list = byId(rows);
    this.button = byId(fresh);
    this.empty = byId(empty);
    this.view = view;
    this.make = make;
    this.one = one;
    this.many = many;
    this.shown = new Map();
    this.waiting = new Map();
    this.paused = false;
    this.pointed = false;
    this.list.addEventListener("pointerenter", (event) => { this.pointed = event.pointerType === "mouse"; });
    this.list.addEventListener("pointerleave", () => { this.pointed = false; this.settle(); });
    this.list.addEventListener("focusout", () => setTimeout(() => this.settle()));
    this.list.addEventListener("scroll", () => this.settle(), { passive: true });
    this.button.addEventListener("click", () => { this.list.scrollTop = 0; this.flush(); this.focus(); });
  }

  /** Take what has come: shown at once, unless that would move what somebody looks at. */
  add(briefs, afresh) {
    if (afresh) {
      const known = new Set(briefs.map((brief) => brief.place));
      for (const place of [...this.shown.keys()]) if (!known.has(place)) this.drop(place);
      this.waiting.clear();
    }
    for (const brief of briefs) if (!this.shown.has(brief.place)) this.waiting.set(brief.place, brief);
    while (this.waiting.size > MOST) this.waiting.delete(this.waiting.keys().next().value);
    this.settle();
  }

  pause(paused) {
    this.paused = paused;
    this.settle();
  }

  held() {
    const inside = this.list.contains(document.activeElement) && document.activeElement.matches(":focus-visible");
    return this.shown.size > 0 && (this.paused || this.pointed || inside || this.list.scrollTop > 4);
  }

  settle() {
    if (!this.held()) { this.flush(); return; }
    const count = this.waiting.size;
    this.button.hidden = count === 0;
    if (count) setText(this.button, `Show ${whole(count)} new ${count === 1 ? this.one : this.many}`);
  }

  flush() {
    const quiet = this.shown.size === 0;
    for (const brief of this.waiting.values()) {
      const row = document.createElement("li");
      row.dataset.place = brief.place;
      row.dataset.at = brief.at;
      row.append(this.make(brief));
      if (!quiet) row.className = "fresh";
      let before = this.list.firstElementChild;
      while (before !== null && Number(before.dataset.at) > brief.at) before = before.nextElementSibling;
      this.list.insertBefore(row, before);
      this.shown.set(brief.place, { row, brief });
    }
    this.waiting.clear();
    this.button.hidden = true;
    while (this.shown.size > MOST) this.drop(this.list.lastElementChild.dataset.place);
    this.empty.hidden = this.shown.size > 0;
  }

  drop(place) {
    this.shown.get(place)?.row.remove();
    this.shown.delete(place);
  }

  /** Make the rows again for which `changed(brief)` is true. */
  remake(changed) {
    for (const { row, brief } of this.shown.values()) {
      if (!changed(brief)) continue;
      const current = row.querySelector("[aria-current]") !== null;
      const focused = row.contains(document.activeElement);
      row.replaceChildren(this.make(brief));
      if (current) row.querySelector("a").setAttribute("aria-current", "true");
      if (focused) row.querySelector("a").focus();
    }
  }

  /** Mark the row that is open. */
  mark(place) {
    for (const { row, brief } of this.shown.values()) {
      const link = row.querySelector("a");
      if (brief.place === place) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  /** Open the next (1) or previous (-1) row. */
  step(by) {
    const current = this.list.querySelector("[aria-current]")?.closest("li") ?? null;
    const next = current === null ? this.list.firstElementChild : by > 0 ? current.nextElementSibling : current.previousElementSibling;
    if (next === null) return;
    const link = next.querySelector("a");
    link.focus({ focusVisible: true });
    location.replace(link.href);
  }

  focus() {
    (this.list.querySelector("[aria-current]") ?? this.list.querySelector("a"))?.focus();
  }
}
