// Stages: numbers and charts of the last quarter of an hour, problems in words, partitions.

import { byId, count, el, rate, setText, span, svg, whole, words } from "./dom.js";

const MOST_SECONDS = 15 * 60;
const LEAST_SECONDS = 2 * 60; // a console that was just opened shows what it has, and not an empty quarter of an hour
const LATE_SECONDS = 60;
const GAP = 15; // seconds without a sample that are a gap in the line
const WIDTH = 300;
const HEIGHT = 48;

const samples = [];
const cards = new Map();

export function addSamples(more, afresh) {
  if (afresh) samples.length = 0;
  samples.push(...more);
  const last = samples.at(-1);
  while (samples.length && samples[0].at < last.at - MOST_SECONDS - GAP) samples.shift();
}

/** Seconds that the charts go back. */
const reach = (now) => Math.min(MOST_SECONDS, Math.max(LEAST_SECONDS, samples.length ? now - samples[0].at : 0));

class Chart {
  /** `least`: what the scale reaches at least, so that a few records don't look like a flood. */
  constructor(kind, label, unit, least) {
    this.least = least;
    this.label = label;
    this.unit = unit;
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line" });
    this.picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", class: "chart" },
      svg("path", { class: "grid", d: `M0 .5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}` }),
      this.area, this.line);
    this.now = el("strong", { class: "now" }, "–");
    this.top = el("span", { class: "scale", "aria-hidden": "true" });
    this.at = el("span", { class: "scale at", "aria-hidden": "true" });
    this.element = el("div", { class: `plot ${kind}` },
      el("p", { class: "reading" }, el("span", { class: "label" }, label), this.now, el("span", { class: "unit" }, unit)),
      el("div", { class: "frame" }, this.picture, this.top, this.at));
    this.points = [];
    this.picture.addEventListener("pointermove", (event) => this.point(event));
    this.picture.addEventListener("pointerleave", () => setText(this.at, ""));
  }

  /** `points`: [seconds since the epoch, value or null]. */
  draw(points, now, shown, format) {
    const known = points.filter(([, value]) => value !== null);
    const most = niceAbove(Math.max(this.least, ...known.map(([, value]) => value)));
    this.reach = reach(now);
    const x = (at) => Math.max(0, WIDTH - (now - at) / this.reach * WIDTH);
    const y = (value) => HEIGHT - 1 - value / most * (HEIGHT - 3);
    let line = "";
    let area = "";
    let before = null;
    for (const [at, value] of points) {
      if (value === null || at < now - this.reach) { area += close(before, x); before = null; continue; }
      if (before !== null && at - before > GAP) { area += close(before, x); before = null; }
      const to = `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      line += before === null ? `M${to}` : `L${to}`;
      area += before === null ? `M${x(at).toFixed(1)} ${HEIGHT}L${to}` : `L${to}`;
      before = at;
    }
    area += close(before, x);
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
    this.points = points;
    this.end = now;
    this.format = format;
    setText(this.now, shown);
    setText(this.top, known.length ? count(most) : "");
    const values = known.map(([, value]) => value);
    const told = values.length ? `now ${shown} ${this.unit}, in the last ${ago(this.reach)} between ${format(Math.min(...values))} and ${format(Math.max(...values))}` : "not known yet";
    this.picture.setAttribute("aria-label", `${this.label}: ${told}`);
  }

  point(event) {
    const box = this.picture.getBoundingClientRect();
    const wanted = this.end - (1 - (event.clientX - box.left) / box.width) * this.reach;
    let best = null;
    for (const point of this.points) {
      if (point[1] !== null && (best === null || Math.abs(point[0] - wanted) < Math.abs(best[0] - wanted))) best = point;
    }
    const near = best !== null && Math.abs(best[0] - wanted) < 3 * GAP;
    setText(this.at, near ? `${this.format(best[1])} at ${new Date(best[0] * 1000).toLocaleTimeString("en-GB")}` : "");
  }
}

const close = (at, x) => at === null ? "" : `L${x(at).toFixed(1)} ${HEIGHT}Z`;

const ago = (seconds) => `${Math.round(seconds / 60)} min`;

function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value);
}

class Card {
  constructor(name) {
    const id = `stage-${cards.size}`;
    this.up = el("span", { class: "up" });
    this.done = new Chart("done", "done", "records/s", 5);
    this.lag = new Chart("lag", "waiting", "records", 10);
    this.from = el("span", {});
    this.figures = new Map();
    const figures = el("dl", { class: "figures" });
    for (const [key, label] of [["minute", "done/s, 1 min"], ["quarter", "15 min"], ["arrived", "in/s, 1 min"], ["behind", "behind"], ["age", "age p99"]]) {
      const value = el("dd", {}, "–");
      this.figures.set(key, value);
      figures.append(el("div", {}, el("dt", {}, label), value));
    }
    this.element = el("article", { class: "stage", "aria-labelledby": id },
      el("header", {}, el("h3", { id }, name), this.up),
      el("div", { class: "plots" }, this.done.element, this.lag.element),
      el("p", { class: "axis", "aria-hidden": "true" }, this.from, el("span", {}, "now")),
      figures);
  }

  show(stage, now, wrong) {
    const up = stage.workers ? `${stage.ready} of ${stage.workers} ready` : stage.members ? `${stage.members} in the group` : "no worker";
    setText(this.up, up);
    this.element.classList.toggle("bad", wrong);
    this.up.classList.toggle("bad", stage.workers ? stage.ready < stage.workers : !stage.members);
    const lag = stage.lag === null ? "–" : `${count(stage.lag)}${stage.lag_is_least ? "+" : ""}`;
    this.done.draw(samples.map((s) => [s.at, s.done[stage.name] ?? null]), now, rate(stage.done[0]), rate);
    this.lag.draw(samples.map((s) => [s.at, s.lag[stage.name] ?? null]), now, lag, count);
    this.lag.element.classList.toggle("late", stage.behind !== null && (stage.behind < 0 || stage.behind > LATE_SECONDS));
    setText(this.from, `${ago(this.lag.reach)} ago`);
    const told = { minute: rate(stage.done[1]), quarter: rate(stage.done[2]), arrived: rate(stage.arrived[0]), behind: span(stage.behind), age: stage.age === null || stage.age < 0 ? span(stage.age) : `≤ ${span(stage.age)}` };
    for (const [key, text] of Object.entries(told)) setText(this.figures.get(key), text);
  }
}

export function showStages(status) {
  const wrong = new Set(status.problems.map((problem) => problem.stage));
  for (const stage of status.stages) {
    let card = cards.get(stage.name);
    if (card === undefined) {
      card = new Card(stage.name);
      cards.set(stage.name, card);
      byId("stages").append(card.element);
    }
    card.show(stage, status.at, wrong.has(stage.name));
  }
  showPartitions(status);
}

function showPartitions(status) {
  if (!byId("partitions").open) return;
  byId("partition-rows").replaceChildren(...status.partitions.map((partition) => el("tr", {},
    el("th", { scope: "row" }, partition.stage),
    el("td", {}, String(partition.number)),
    el("td", {}, partition.worker ?? "nobody"),
    el("td", { class: "number" }, partition.committed === null ? "–" : whole(partition.committed)),
    el("td", { class: "number" }, whole(partition.end)),
    el("td", { class: "number" }, partition.lag === null ? (partition.end ? "?" : "0") : whole(partition.lag)))));
  const hidden = byId("partitions-hidden");
  hidden.hidden = !status.partitions_hidden;
  setText(hidden, `and ${whole(status.partitions_hidden)} more`);
}

let toldSources = "";

/** Show which sources are broken: no fault of the pipeline, so it is none of the problems. */
export function showSources(status) {
  const key = JSON.stringify([status.sources, status.sources_hidden]);
  if (key === toldSources) return;
  toldSources = key;
  byId("sources").hidden = !status.sources.length;
  byId("source-rows").replaceChildren(...status.sources.map((source) => el("li", {},
    el("b", { dir: "auto" }, source.name), `: ${source.problems.map(words).join(", ")}`)));
  byId("sources-hidden").hidden = !status.sources_hidden;
  setText(byId("sources-hidden"), `and ${whole(status.sources_hidden)} more`);
}

let told = "";

/** Show what is wrong, in words. Written anew only when it has changed, so that it is announced once. */
export function showHealth(status, troubles, since) {
  const lines = [];
  const away = troubles.stages ?? troubles.records;
  if (away) lines.push({ stage: "", text: `Kafka can't be read now: ${away}. ${since}`, runbook: "the-broker-is-away" });
  else if (status) lines.push(...status.problems);
  // Seconds that pass are no news.
  const key = lines.map((line) => line.stage + line.text.replace(/\d+/g, "#")).join("\n") + Boolean(status);
  byId("health").className = `health ${lines.length ? "bad" : status ? "good" : ""}`;
  if (key === told) return lines.length;
  told = key;
  if (!lines.length) {
    setText(byId("health-text"), status ? "All is well" : "Looking at the stages …");
    return 0;
  }
  byId("health-text").replaceChildren(el("ul", {}, lines.map((line) => el("li", {},
    line.stage ? el("b", {}, line.stage) : null, line.stage ? ": " : null, line.text, " ",
    el("span", { class: "runbook" }, `docs/operations.md#${line.runbook}`)))));
  return lines.length;
}
