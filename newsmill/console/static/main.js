// The page: what it listens to, which view is open, and what keys do.

import { byId, clock, setText, whole } from "./dom.js";
import * as articles from "./articles.js";
import * as dead from "./deadletters.js";
import { addSamples, showHealth, showSources, showStages } from "./stages.js";
import * as trace from "./trace.js";

const SILENT_MS = 25000;
const AGAIN_MS = 5000;

const state = { status: null, troubles: {}, heard: 0, live: false, paused: false, deadCount: null };

// -- what comes from the console

let events = null;

function listen() {
  events?.close();
  events = new EventSource("/api/events");
  events.addEventListener("message", (event) => { heard(); update(JSON.parse(event.data)); });
  events.addEventListener("alive", heard);
  events.addEventListener("error", () => {
    state.live = false;
    tellConnection();
    // The browser tries again by itself, unless the console has refused.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
  });
}

function heard() {
  state.heard = Date.now();
  state.live = true;
  tellConnection();
}

function update(news) {
  state.troubles = news.troubles;
  if (news.samples.length || news.first) addSamples(news.samples, news.first);
  if (news.status) state.status = news.status;
  state.kafka = news.kafka;
  const touched = articles.addCopies(news.duplicates, news.first);
  articles.list.add(news.articles, news.first);
  dead.list.add(news.dead_letters, news.first);
  if (touched.size) articles.refreshCopies(touched);
  if (!state.paused) draw();
}

function draw() {
  const { status, troubles } = state;
  if (status) {
    showStages(status);
    showSources(status);
    const [, quarter] = status.dead_letters;
    setText(byId("dead-count"), quarter ? `${whole(quarter)} in 15 min` : "");
  }
  tellConnection();
  const since = status ? `What is shown is from ${clock(status.at * 1000)}.` : "";
  const wrong = showHealth(status, troubles, since);
  document.title = wrong ? `(${wrong}) newsmill console` : "newsmill console";
  document.body.classList.toggle("stale", Boolean(troubles.stages));
}

function tellConnection() {
  const silent = state.live && Date.now() - state.heard > SILENT_MS;
  const text = state.paused ? "paused" : !state.live || silent ? (state.heard ? "connection lost, trying again" : "connecting …") : "live";
  byId("connection").dataset.state = state.paused ? "paused" : text === "live" ? "live" : "lost";
  setText(byId("connection-text"), text);
  setText(byId("clock"), state.status && state.live ? clock(state.status.at * 1000) : "");
}

// -- views: the part of the address behind # says which is open

const VIEWS = { articles: articles, "dead-letters": dead, trace: trace };

function route(event) {
  const [name, ...rest] = location.hash.slice(1).split("/");
  if (name === "main") return; // the skip link
  const view = name in VIEWS ? name : "articles";
  let argument = rest.join("/");
  try { argument = decodeURIComponent(argument); } catch { /* as it stands */ }
  for (const key of Object.keys(VIEWS)) byId(`view-${key}`).hidden = key !== view;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  const section = byId(`view-${view}`);
  const wasOpen = section.classList.contains("open");
  section.classList.toggle("open", Boolean(argument) && view !== "trace");
  if (view === "trace") {
    if (argument) byId("query").value = argument;
    trace.show(argument, byId("since").value);
    return;
  }
  VIEWS[view].show(argument);
  // On a narrow screen the list gives way to what was chosen, and comes back.
  if (event && narrow.matches) {
    if (argument) section.querySelector(".detail").focus();
    else if (wasOpen) VIEWS[view].list.focus();
  }
}

const narrow = matchMedia("(max-width: 56rem)");
const current = () => document.querySelector("[data-view][aria-current]")?.dataset.view;

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = byId("query").value.trim();
  if (!query) return;
  const hash = `#trace/${encodeURIComponent(query)}`;
  if (location.hash === hash) route(); else location.hash = hash;
  byId("trace-stories").focus({ preventScroll: true });
  byId("view-trace").scrollIntoView({ block: "nearest" });
});
byId("since").addEventListener("change", () => route());
byId("partitions").addEventListener("toggle", () => draw());

// -- pause and keys

function pause(paused) {
  state.paused = paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  articles.list.pause(paused);
  dead.list.pause(paused);
  draw();
}

byId("pause").addEventListener("click", () => pause(!state.paused));
byId("keys").addEventListener("click", () => byId("help").showModal());

const singleKeys = byId("single-keys");
try { singleKeys.checked = localStorage.getItem("single-keys") !== "off"; } catch { /* storage is barred */ }
singleKeys.addEventListener("change", () => {
  try { localStorage.setItem("single-keys", singleKeys.checked ? "on" : "off"); } catch { /* for this visit alone */ }
});

const KEYS = {
  "/": () => byId("query").focus(),
  j: () => VIEWS[current()].list?.step(1),
  k: () => VIEWS[current()].list?.step(-1),
  1: () => { location.hash = "#articles"; },
  2: () => { location.hash = "#dead-letters"; },
  3: () => { location.hash = "#trace"; },
  p: () => pause(!state.paused),
  "?": () => byId("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape") {
    if (typing) { event.target.blur(); return; }
    if (current() !== "trace" && location.hash.includes("/")) {
      const { list } = VIEWS[current()];
      list.focus();
      location.hash = `#${current()}`;
    }
    return;
  }
  const act = KEYS[event.key];
  if (typing || !act || !singleKeys.checked) return;
  event.preventDefault();
  act();
});

addEventListener("hashchange", route);
setInterval(tellConnection, 5000);
route();
listen();
