// The newest articles, and one of them with its entities, subjects and copies.

import { ask, byId, clock, day, el, foreign, reason, share, webLink, whole, words } from "./dom.js";
import { Rows } from "./rows.js";

const TYPES = { PER: "person", ORG: "organisation", LOC: "place", MISC: "other name" };
const SHOWN_COPIES = 500;

const copies = new Map(); // place -> copy
const counts = new Map(); // cluster -> copies

export const list = new Rows({
  rows: "article-rows", fresh: "articles-new", empty: "articles-empty", view: "articles", make: row, one: "article", many: "articles",
});

function row(brief) {
  const copied = counts.get(brief.cluster) ?? 0;
  return el("a", { href: `#articles/${brief.place}` },
    el("span", { class: "when" }, clock(brief.at)),
    el("span", { class: "what" },
      foreign("span", brief.language, { class: "headline" }, brief.headline || "(no headline)"),
      el("span", { class: "about" },
        el("bdi", { class: "source" }, brief.source),
        brief.language === "en" ? null : el("span", { class: "badge" }, brief.language),
        brief.revision > 1 ? el("span", { class: "badge" }, `revision ${brief.revision}`) : null,
        brief.verdict === "near_copy" ? el("span", { class: "badge" }, "near copy") : null,
        brief.replay ? el("span", { class: "badge" }, "replay") : null,
        copied ? el("span", { class: "badge copies" }, `${whole(copied)} ${copied === 1 ? "copy" : "copies"}`) : null,
        brief.subjects.map((subject) => el("span", { class: "subject" }, subject.name, " ", el("span", { class: "p" }, share(subject.probability)))))));
}

export function addCopies(more, afresh) {
  if (afresh) { copies.clear(); counts.clear(); }
  const touched = new Set();
  for (const copy of more) {
    if (copies.has(copy.place)) continue;
    copies.set(copy.place, copy);
    counts.set(copy.cluster, (counts.get(copy.cluster) ?? 0) + 1);
    touched.add(copy.cluster);
  }
  while (copies.size > SHOWN_COPIES) {
    const [place, { cluster }] = copies.entries().next().value;
    copies.delete(place);
    if (counts.get(cluster) > 1) counts.set(cluster, counts.get(cluster) - 1); else counts.delete(cluster);
  }
  if (touched.size) list.remake((brief) => touched.has(brief.cluster));
  return touched;
}

let open = null; // { place, cluster }
let asking = null;

/** Show the article at `place`; none: leave the place empty. */
export async function show(place) {
  const detail = byId("article-detail");
  list.mark(place);
  asking?.abort();
  if (!place) { open = null; return; }
  asking = new AbortController();
  try {
    const article = await (await ask(`/api/articles/${encodeURIComponent(place)}`, asking.signal)).json();
    open = { place, cluster: article.cluster };
    detail.replaceChildren(...page(article).filter((part) => part !== null));
    detail.scrollTop = 0;
  } catch (error) {
    if (error.name !== "AbortError") detail.replaceChildren(el("p", { class: "empty" }, reason(error)));
  }
}

/** Copies have come: those of the article that is open are shown. */
export async function refreshCopies(touched) {
  if (open === null || !touched.has(open.cluster)) return;
  const { place } = open;
  try {
    const article = await (await ask(`/api/articles/${encodeURIComponent(place)}`)).json();
    if (open?.place === place) byId("article-copies")?.replaceWith(story(article));
  } catch { /* it has left the list; what is shown stays */ }
}

function page(article) {
  const { language } = article;
  const meta = [article.authors.length ? article.authors.join(", ") : null, article.published ? day(article.published) : null,
    language === "und" ? "language unknown" : language, `${whole(article.words)} words`].filter(Boolean);
  return [
    el("p", { class: "kicker" }, el("a", { class: "back", href: "#articles" }, "Back to the list"), el("bdi", {}, article.source)),
    foreign("h2", language, { class: "title" }, pieces(article.headline, article)),
    el("p", { class: "meta" }, el("bdi", {}, meta.join(" · ")), article.url ? [" · ", webLink(article.url, "open the page")] : null),
    subjects(article),
    legend(article),
    foreign("div", language, { class: "body" },
      article.paragraphs.map((parts) => el("p", {}, pieces(parts, article))),
      article.hidden ? el("p", { class: "more", lang: "en", dir: "ltr" }, `… ${whole(article.hidden)} more characters`) : null),
    entities(article),
    story(article),
    el("p", { class: "ids" }, "id ", el("code", {}, article.id), " · ", Object.entries(article.processing).map(([stage, version]) => `${stage} ${version}`).join(", "), " · ",
      el("a", { href: `#trace/${article.id}` }, "trace this article")),
  ];
}

function pieces(parts, article) {
  return parts.map(([text, index]) => {
    if (index < 0) return text;
    const entity = article.entities[index];
    return el("mark", { class: entity.type.toLowerCase(), title: `${entity.name} (${TYPES[entity.type]})` }, text);
  });
}

function legend(article) {
  const types = Object.keys(TYPES).filter((type) => article.entities.some((entity) => entity.type === type));
  return types.length ? el("p", { class: "legend" }, types.map((type) => el("span", { class: `type ${type.toLowerCase()}` }, TYPES[type]))) : null;
}

function subjects(article) {
  const heading = el("h3", {}, "Subjects");
  const custom = article.custom.map((name) => el("li", {}, el("bdi", {}, name), el("span", { class: "rule" }, "by rule")));
  if (!article.subjects.length && !custom.length) {
    return el("section", { class: "subjects" }, heading, el("p", { class: "none" }, article.subjects_status === "ok" ? "none" : words(article.subjects_status)));
  }
  return el("section", { class: "subjects" }, heading, el("ul", {}, article.subjects.map((subject) => {
    const fill = el("span", {});
    fill.style.width = `${Math.round(subject.probability * 100)}%`;
    return el("li", { class: `level-${Math.min(2, subject.level)}` }, el("span", {}, subject.name), el("span", { class: "bar", "aria-hidden": "true" }, fill), el("span", { class: "p" }, share(subject.probability)));
  }), custom));
}

function table(caption, heads, rows) {
  return el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map(([text, number]) => el("th", { scope: "col", class: number ? "number" : null }, text)))),
    el("tbody", {}, rows)));
}

function entities(article) {
  if (!article.entities.length) {
    return el("section", {}, el("h3", {}, "Entities"), el("p", { class: "none" }, article.entities_status === "ok" ? "none" : words(article.entities_status)));
  }
  const rows = article.entities.map((entity) => el("tr", {},
    foreign("th", article.language, { scope: "row" }, entity.name),
    el("td", {}, el("span", { class: `type ${entity.type.toLowerCase()}` }, TYPES[entity.type])),
    el("td", { class: "number" }, whole(entity.mentions)),
    el("td", { class: "number" }, share(entity.salience)),
    el("td", { class: "number" }, share(entity.confidence)),
    el("td", { class: "links" }, entity.links.join(", "))));
  return el("section", {}, el("h3", {}, "Entities"),
    table("Entities", [["Name"], ["Type"], ["Mentions", 1], ["Salience", 1], ["Confidence", 1], ["Linked to"]], rows),
    article.entities_hidden ? el("p", { class: "none" }, `and ${whole(article.entities_hidden)} more`) : null);
}

function story(article) {
  const parts = [el("h3", {}, "Story")];
  const facts = [words(article.verdict) + (article.revision > 1 ? `, revision ${article.revision}` : "")];
  facts.push(`${whole(article.independent_sources)} independent ${article.independent_sources === 1 ? "source" : "sources"}`);
  if (article.origins.length) facts.push(`credits ${article.origins.join(", ")}`);
  if (article.match) facts.push(`matched ${article.match.id.slice(0, 8)} with similarity ${share(article.match.similarity)}, containment ${share(article.match.containment)} (${words(article.match.rule)})`);
  if (article.changes) facts.push(`${Math.round(article.changes.added * 100)} % new, ${Math.round(article.changes.removed * 100)} % gone${article.changes.headline ? ", another headline" : ""}`);
  parts.push(el("p", { class: "facts" }, el("bdi", {}, facts.join(" · "))));
  if (!article.copies.length) parts.push(el("p", { class: "none" }, "No copy has come lately."));
  else {
    parts.push(table("Copies of this story", [["Came"], ["Copy"], ["Verdict"], ["Similarity", 1], ["Containment", 1]], article.copies.toReversed().map((copy) => el("tr", {},
      el("td", { class: "number" }, clock(copy.at)),
      el("th", { scope: "row" }, foreign("span", copy.language, {}, copy.headline), el("span", { class: "from" }, el("bdi", {}, copy.source), " ", el("a", { href: `#trace/${copy.id}` }, "trace"))),
      el("td", {}, words(copy.verdict)),
      el("td", { class: "number" }, copy.match ? share(copy.match.similarity) : "–"),
      el("td", { class: "number" }, copy.match ? share(copy.match.containment) : "–")))));
  }
  parts.push(el("p", { class: "ids" }, "cluster ", el("code", {}, article.cluster)));
  return el("section", { id: "article-copies" }, parts);
}
