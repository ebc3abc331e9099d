// The state of the page: the chosen server, the place in its map, and the rate of the calls.

import { formatRange, parseRange } from "./addresses.js";
import { Changes } from "./changes.js";
import { byID, make, setAttribute, setText } from "./elements.js";
import { checksOf, showHealth, showTab } from "./health.js";
import { PoolMap } from "./map.js";
import { loadView } from "./mapviews.js";
import { Metrics } from "./metrics.js";
import { loadRanges, podRanges, showRanges } from "./ranges.js";
import { Rates } from "./rates.js";
import { insideOf, Search } from "./search.js";
import { Server, servers } from "./server.js";
import { loadNodes, namespacesOf, showNamespaces, showNodes } from "./use.js";

const FEW_NODES = 200;
const SECONDS = { ranges: 3, map: 4, health: 10, metrics: 10, nodes: 15 };

/** The known facts of one server. */
class Shown {
  constructor(server) {
    this.server = server;
    this.rates = new Rates();
    this.ranges = this.health = this.healthFailure = this.metrics = this.metricsFailure = this.peers = this.nodes = null;
    this.place = null;
  }
}

let all = [];
let current = null;
const map = new PoolMap(go, (place) => note(place, true));
const search = new Search(go);
const changes = new Changes(go, () => soon());

// MARK: Places: in the address, so that they can be gone back to, and last a reload.

/** {pool, inside} in the map, {pool, around: ip}, or {find: text}. */
async function go(place, replaces = false) {
  if (place.find !== undefined) {
    byID("query").value = place.find;
    return find();
  }
  if (place.around !== undefined) place = await placeAround(place);
  note(place, replaces);
  showCurrentRanges();
  if (!replaces) byID("map").scrollIntoView({ block: "nearest" });
  await showMap(current);
}

function note(place, replaces) {
  current.place = place;
  const hash = new URLSearchParams({ server: current.server.number, pool: place.pool });
  if (place.inside.length) hash.set("in", place.inside.join(","));
  history[replaces ? "replaceState" : "pushState"](null, "", `#${hash}`);
}

function showMap(shown) { return map.show(shown.server, shown.place, shown.nodes?.byCIDR); }

/** Down to where an address is one cell, and that the map's. */
async function placeAround({ pool, around }) {
  const place = { pool, inside: [], stays: true };
  try {
    for (let depth = 0; depth < 20; depth++) {
      const view = await loadView(current.server, place);
      const next = insideOf(view.cells, around);
      if (!next.length) break;
      place.inside.push(...next);
    }
  } catch { /* As far as it got. */ }
  return place;
}

function placeInAddress() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const inside = (hash.get("in") ?? "").split(",").filter(Boolean).map(parseRange);
  return {
    number: Number(hash.get("server") ?? 0),
    place: hash.get("pool") && !inside.includes(null)
      ? { pool: hash.get("pool"), inside: inside.map(formatRange), stays: true } : null,
  };
}

function followAddress() {
  const { number, place } = placeInAddress();
  if (all[number] && all[number] !== current) choose(number, place);
  else if (place) {
    current.place = place;
    showCurrentRanges();
    showMap(current);
  }
}

// MARK: Servers

function choose(number, place = null) {
  current = all[number];
  if (place) current.place = place;
  all.forEach((shown, index) => {
    setAttribute(shown.tab, "aria-selected", index === number ? "true" : "false");
    shown.tab.tabIndex = index === number ? 0 : -1;
  });
  search.close();
  changes.follow(current.server);
  showCurrentRanges();
  showUse();
  showHealth(current);
  refresh("ranges", "metrics", "health", "nodes");
  if (current.place) go(current.place, true);
}

function makeTabs() {
  byID("servers").replaceChildren(...all.map((shown, index) => {
    shown.tab = make("button", {
      type: "button", role: "tab", "aria-selected": "false", tabindex: "-1", onclick: () => choose(index),
      onkeydown: (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (step) turn(step).focus();
      },
    }, shown.server.name);
    return shown.tab;
  }));
}

function turn(step) {
  const number = (all.indexOf(current) + step + all.length) % all.length;
  choose(number);
  return all[number].tab;
}

// MARK: Asking

const tasks = {
  async ranges(shown) {
    shown.ranges = await loadRanges(shown.server, shown.metrics);
    const now = performance.now() / 1000;
    for (const range of shown.ranges) {
      // Of pods the metrics tell, which are asked less often: the same figure again would be no sample.
      if (range.kind !== "Pod") shown.rates.add(range.name, now, range.allocated);
    }
    if (shown !== current) return;
    showCurrentRanges();
    if (!shown.place && shown.ranges.length) {
      const first = shown.ranges.find((range) => range.map);
      if (first) await go({ pool: first.map, inside: [] }, true);
    }
  },
  async map(shown) { if (shown.place && shown === current) await showMap(shown); },
  async health(shown) {
    const [health, peers] = await Promise.allSettled([shown.server.health(), shown.server.peers()]);
    shown.health = health.value ? checksOf(health.value) : null;
    shown.healthFailure = health.reason ?? null;
    shown.peers = peers.value ?? null;
    showTab(shown.tab, shown);
    if (shown === current) showHealth(shown);
    if (health.reason) throw health.reason;
  },
  async metrics(shown) {
    const isFirst = !shown.metrics;
    try {
      shown.metrics = new Metrics(await shown.server.metrics());
      shown.metricsFailure = null;
      const now = performance.now() / 1000;
      for (const range of podRanges([], shown.metrics)) shown.rates.add(range.name, now, range.allocated);
    } catch (error) {
      [shown.metrics, shown.metricsFailure] = [null, error];
    }
    if (shown !== current) return;
    showHealth(shown);
    showUse();
    // The pods' ranges are counted there.
    if (isFirst) ask("ranges", shown);
  },
  async nodes(shown) {
    const isFirst = !shown.nodes;
    shown.nodes = await loadNodes(shown.server);
    if (shown !== current) return;
    showUse();
    if (isFirst) ask("map", shown);
  },
};

const asked = new Map();
const failures = new Map();

/** One request of a kind at a time; callers in between are answered by one more after it. */
async function ask(name, shown) {
  const key = `${name} ${shown.server.number}`;
  if (asked.has(key)) return asked.set(key, "again");
  asked.set(key, "once");
  try {
    await tasks[name](shown);
    failures.delete(key);
  } catch (error) {
    failures.set(key, error);
    if (name === "nodes" && shown === current) setText(byID("nodes-note"), `not told: ${error.message}`);
  }
  const isAgain = asked.get(key) === "again";
  asked.delete(key);
  showTrouble();
  if (isAgain) await ask(name, shown);
}

function refresh(...names) { for (const name of names) ask(name, current); }

let isSoon = false;

/** Something has changed: once a second at most, and not before the request in flight. */
function soon() {
  if (isSoon || document.hidden) return;
  isSoon = true;
  setTimeout(() => {
    isSoon = false;
    refresh("ranges", "map");
    // Many are a dozen pages: they are asked for at their own pace.
    if ((current.nodes?.nodes.length ?? 0) <= FEW_NODES) refresh("nodes");
  }, 1000);
}

function showTrouble() {
  const key = `ranges ${current.server.number}`;
  const error = failures.get(key);
  const element = byID("trouble");
  element.hidden = !error;
  setText(element, error ? `${current.server.name}: ${error.message}` : "");
  document.body.classList.toggle("stale", Boolean(error));
}

function showCurrentRanges() {
  if (current.ranges) showRanges(current.ranges, current.rates, current.place?.pool, (pool) => pool && go({ pool, inside: [] }));
  else byID("ranges-body").replaceChildren();
}

function showUse() {
  if (current.nodes) showNodes(current.nodes, byID("nodes-filter").value.trim(), go);
  else byID("nodes-body").replaceChildren();
  showNamespaces(current.metrics, current.metricsFailure, go);
}

function find() {
  const namespaces = current.metrics ? namespacesOf(current.metrics).map(({ name }) => name) : [];
  return search.run(current.server, byID("query").value, namespaces);
}

// MARK: Keys

const SECTIONS = ["ranges", "health", "map", "changes", "nodes", "namespaces"];

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.closest?.("input");
  if (event.key === "Escape") {
    if (isTyping) isTyping.blur();
    return search.close();
  }
  if (isTyping || byID("help").open) return;
  const section = SECTIONS[Number(event.key) - 1];
  if (event.key === "/") byID("query").focus();
  else if (event.key === "?") byID("help").showModal();
  else if (event.key === "[") turn(-1);
  else if (event.key === "]") turn(1);
  else if (section === "map") (document.querySelector('#map-grid [tabindex="0"]') ?? byID("map-title")).focus();
  else if (section) {
    byID(`${section}-title`).focus();
    byID(section).scrollIntoView({ block: "nearest" });
  } else return;
  event.preventDefault();
}

function nextTheme() {
  const themes = ["auto", "light", "dark"];
  setTheme(themes[(themes.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % themes.length]);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  setText(byID("theme"), { auto: "Auto", light: "Light", dark: "Dark" }[theme]);
  try { localStorage.setItem("theme", theme); } catch { /* Until the page is closed, then. */ }
}

async function begin() {
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* As the system has it. */ }
  setTheme(["auto", "light", "dark"].includes(theme) ? theme : "auto");
  let answer;
  try { answer = await servers(); } catch (error) {
    byID("trouble").hidden = false;
    return setText(byID("trouble"), error.message);
  }
  all = answer.servers.map((name, number) => new Shown(new Server(number, name)));
  setText(byID("who"), answer.user);
  setAttribute(byID("who"), "title", `the servers are called as ${answer.user || "nobody"}, by tandemctl ${answer.version}`);
  makeTabs();
  document.addEventListener("keydown", key);
  byID("theme").addEventListener("click", nextTheme);
  byID("keys").addEventListener("click", () => byID("help").showModal());
  byID("search").addEventListener("submit", (event) => {
    event.preventDefault();
    find();
  });
  byID("nodes-filter").addEventListener("input", showUse);
  addEventListener("popstate", followAddress);
  const { number, place } = placeInAddress();
  choose(all[number] ? number : 0, place);
  for (const [name, seconds] of Object.entries(SECONDS)) {
    setInterval(() => { if (!document.hidden) refresh(name); }, seconds * 1000);
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh(...Object.keys(SECONDS));
  });
  // How the others are shows in their tabs.
  const others = () => all.filter((shown) => shown !== current).forEach((shown) => ask("health", shown));
  others();
  setInterval(() => { if (!document.hidden) others(); }, SECONDS.health * 1000);
}

begin();
