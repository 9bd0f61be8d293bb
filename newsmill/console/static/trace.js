// Search: what happened to an article, step by step.

import { ask, byId, el, reason, setText, whole } from "./dom.js";
import { escaped } from "./deadletters.js";

let asking = null;

/** Search for `query` (an article id or a URL); none: leave the page empty. */
export async function show(query, since) {
  const status = byId("trace-status");
  asking?.abort();
  if (!query) {
    setText(status, "Give an article id or a URL in the field at the top.");
    byId("trace-stories").replaceChildren();
    return;
  }
  const mine = asking = new AbortController();
  byId("view-trace").setAttribute("aria-busy", "true");
  byId("trace-stories").replaceChildren();
  setText(status, "Reading the topics …");
  try {
    const arguments_ = new URLSearchParams({ q: query, since });
    const response = await ask(`/api/trace?${arguments_}`, mine.signal);
    for await (const answer of lines(response.body)) tell(answer, query);
  } catch (error) {
    if (error.name === "AbortError") return;
    setText(status, `${capital(reason(error))}.`);
  }
  if (asking === mine) byId("view-trace").removeAttribute("aria-busy");
}

async function* lines(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += value ?? "";
    const parts = rest.split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
    if (done) return;
  }
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function tell(answer, query) {
  const status = byId("trace-status");
  if (answer.topic) { setText(status, `Reading ${answer.topic}: ${whole(answer.read)} records`); return; }
  if (answer.problem) { setText(status, `${capital(answer.problem)}.`); return; }
  const times = answer.stories.length;
  if (!times) {
    status.replaceChildren("Nothing about ", el("bdi", { class: "query" }, query), " on these topics: it was never brought in, or retention has taken it, or it is older than is looked back.");
    return;
  }
  status.replaceChildren(el("bdi", { class: "query" }, query), ` was brought in ${times === 1 ? "once" : `${whole(times)} times`}`, answer.hidden ? ` (the newest ${times} are shown)` : "", answer.cut ? "; there are more records than are shown" : "", ".");
  byId("trace-stories").replaceChildren(...answer.stories.toReversed().map(story));
}

const TIME = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

function story(told, index) {
  const id = `story-${index}`;
  let before = null;
  const steps = told.steps.map((step) => {
    const waited = before === null ? null : ` +${((step.at_ms - before) / 1000).toFixed(2)} s`;
    before = step.at_ms;
    return el("li", {},
      el("p", { class: "step" }, el("b", {}, `${step.stage || "brought in"}`), " ", el("span", { class: "version" }, step.version), " ",
        el("time", { datetime: new Date(step.at_ms).toISOString() }, TIME.format(step.at_ms)), el("span", { class: "waited" }, waited)),
      el("p", { class: "said", dir: "auto" }, escaped(step.text)),
      step.details.length ? el("ul", { class: "evidence" }, step.details.map((detail) => el("li", { dir: "auto" }, escaped(detail)))) : null,
      el("p", { class: "place" }, step.place));
  });
  const bad = told.outcome.startsWith("stopped");
  return el("article", { class: `story ${bad ? "bad" : ""}`, "aria-labelledby": id },
    el("h3", { id, dir: "auto" }, escaped(capital(told.outcome))),
    el("p", { class: "origin" }, escaped(told.origin), told.run === "live" ? null : [", run ", escaped(told.run)]),
    el("ol", { class: "steps" }, steps));
}
