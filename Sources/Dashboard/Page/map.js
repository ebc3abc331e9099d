// The map of a pool: a grid of cells to go about in by mouse or keys.

import { byID, count, make, setAttribute, setText } from "./elements.js";
import { loadView, lookAt, ownerText } from "./mapviews.js";
import { kindTitle } from "./ranges.js";

const LEGEND = [
  ["0", "free"], ["1", "some"], ["3", "half"], ["5", "all"], ["cooling", "cooling down"], ["reserved", "reserved"],
];

export class PoolMap {
  #view = null;
  #server = null;
  #place = null;
  #columns = 16;
  #active = 0;
  #loads = 0;
  #go;
  #went;

  /** `go` is called with a place to show: {pool, inside: [range…]}; `went` with the one that is shown instead, further inside. */
  constructor(go, went) {
    [this.#go, this.#went] = [go, went];
    const grid = byID("map-grid");
    grid.addEventListener("click", (event) => this.#enter(this.#indexOf(event.target)));
    grid.addEventListener("mouseover", (event) => this.#describe(this.#indexOf(event.target)));
    grid.addEventListener("focusin", (event) => this.#describe(this.#indexOf(event.target)));
    grid.addEventListener("keydown", (event) => this.#key(event));
    byID("map-legend").append(...LEGEND.map(([use, text]) =>
      make("li", {}, make("i", { class: "cell", "data-use": use, "aria-hidden": "true" }), text)));
  }

  /** Shows a place, or the same one as it is by now; of nodes' subnets how much their pods use, where `nodes` tells that. */
  async show(server, place, nodes = null) {
    const load = ++this.#loads;
    const isSame = server === this.#server && sameText(place) === sameText(this.#place);
    let view;
    try {
      // Straight into where something is. A user who leaves it again has seen that.
      view = await loadView(server, place, !isSame && !place.stays);
    } catch (error) {
      if (load !== this.#loads) return;
      if (!isSame) this.#clear();
      setText(byID("map-total"), error.message);
      return;
    }
    if (load !== this.#loads) return;
    for (const cell of view.cells) {
      const use = cell.subnet && nodes?.get(cell.subnet);
      if (use) [cell.use, cell.node] = [use, use.node];
    }
    [this.#server, this.#place, this.#view] = [server, { pool: place.pool, inside: view.inside }, view];
    if (!isSame) this.#active = Math.max(0, view.cells.findIndex((cell) => cell.allocated > 0n));
    this.#render(!isSame);
    if (view.inside.length > place.inside.length) this.#went(this.#place);
  }

  #clear() {
    this.#view = null;
    this.#place = null;
    byID("map-grid").replaceChildren();
    byID("map-crumbs").replaceChildren();
    setText(byID("map-cell"), "");
  }

  #render(isNew) {
    const { pool, cells, total, note } = this.#view;
    this.#crumbs();
    setText(byID("map-total"), [countsText(total), note].filter(Boolean).join("; "));
    const grid = byID("map-grid");
    const columns = cells.length <= 256 ? 16 : cells.length <= 1024 ? 32 : 64;
    const shape = `${pool.name} ${this.#place.inside} ${cells.length}`;
    if (isNew || grid.dataset.shape !== shape) {
      const hadFocus = grid.contains(document.activeElement);
      grid.dataset.shape = shape;
      grid.dataset.columns = columns;
      this.#columns = columns;
      this.#active = Math.min(this.#active, cells.length - 1);
      const rows = [];
      for (let start = 0; start < cells.length; start += columns) {
        rows.push(make("div", { role: "row" },
          make("span", { role: "rowheader" }, cells[start].short),
          cells.slice(start, start + columns).map((_, offset) =>
            make("span", { role: "gridcell", class: "cell", tabindex: "-1", "data-index": start + offset }))));
      }
      grid.replaceChildren(...rows);
      if (hadFocus) this.#focus(this.#active);
    }
    for (const element of grid.querySelectorAll("[data-index]")) {
      const cell = cells[Number(element.dataset.index)];
      setAttribute(element, "data-use", useOf(cell));
      setAttribute(element, "aria-label", `${cell.label}: ${cell.size === 1n ? describe(cell) : countsText(cell, true)}`);
    }
    this.#mark(this.#active);
    this.#describe(this.#active);
  }

  #crumbs() {
    const { pool } = this.#view;
    const places = [{ pool: this.#place.pool, inside: [], stays: true }];
    this.#place.inside.forEach((_, index) => places.push({
      pool: this.#place.pool, inside: this.#place.inside.slice(0, index + 1), stays: true,
    }));
    const node = pool.kind === "Pod" ? ` of ${pool.name.replace(/^pods-|-ipv[46]$/g, "")}` : "";
    const texts = [`${kindTitle(pool.kind)}${node} ${pool.cidr ?? pool.ports}`, ...this.#place.inside];
    const key = JSON.stringify(texts);
    const nav = byID("map-crumbs");
    if (nav.dataset.key === key) return;
    nav.dataset.key = key;
    nav.replaceChildren(make("ol", {}, places.map((place, index) => make("li", {},
      index === places.length - 1
        ? make("span", { "aria-current": "location" }, texts[index])
        : make("button", { type: "button", class: "link", onclick: () => this.#go(place) }, texts[index])))));
  }

  #indexOf(target) {
    const index = target.closest?.("[data-index]")?.dataset.index;
    return index === undefined ? null : Number(index);
  }

  #element(index) { return byID("map-grid").querySelector(`[data-index="${index}"]`); }

  #mark(index) {
    for (const old of byID("map-grid").querySelectorAll('[tabindex="0"]')) old.tabIndex = -1;
    this.#active = index;
    const element = this.#element(index);
    if (element) element.tabIndex = 0;
  }

  #focus(index) {
    this.#mark(index);
    this.#element(index)?.focus();
  }

  async #describe(index) {
    const view = this.#view;
    if (index === null || !view?.cells[index]) return;
    const cell = view.cells[index];
    const text = () => [cell.label, describe(cell)].join(" · ");
    setText(byID("map-cell"), text());
    byID("map-cell").dataset.cell = cell.label;
    try { await lookAt(this.#server, cell); } catch { return; }
    if (this.#view === view && byID("map-cell").dataset.cell === cell.label) setText(byID("map-cell"), text());
  }

  #key(event) {
    if (!this.#view || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.#view.cells.length - 1;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.#columns, ArrowDown: this.#columns };
    if (event.key in steps) {
      const next = this.#active + steps[event.key];
      if (next >= 0 && next <= last) this.#focus(next);
    } else if (event.key === "Home") this.#focus(0);
    else if (event.key === "End") this.#focus(last);
    else if (event.key === "Enter" || event.key === " ") this.#enter(this.#active);
    else if (event.key === "Backspace") this.out();
    else return;
    event.preventDefault();
  }

  /** One level up. */
  out() {
    if (!this.#place?.inside.length) return;
    this.#go({ pool: this.#place.pool, inside: this.#place.inside.slice(0, -1), stays: true });
  }

  async #enter(index) {
    const cell = index === null ? null : this.#view?.cells[index];
    if (!cell) return;
    this.#mark(index);
    if (cell.enter) return this.#go({ pool: this.#place.pool, inside: [...this.#place.inside, ...cell.enter.inside] });
    await this.#describe(index);
    const family = this.#view.pool.family === "IPv4" ? "ipv4" : "ipv6";
    if (cell.node) this.#go({ pool: `pods-${cell.node}-${family}`, inside: [] });
    else if (cell.holder?.owner) this.#go({ find: cell.label });
  }
}

const sameText = (place) => place && JSON.stringify([place.pool, place.inside]);

/** Shares from which on a cell has the next colour: most pools are sparse. */
const STEPS = [0, 10, 35, 65];

/** The colour of a cell: by its allocated share, in steps, else by its other state. */
export function useOf(cell) {
  const [allocated, size] = cell.use ? [cell.use.allocated, cell.use.capacity] : [cell.allocated, cell.size];
  if (allocated >= size) return "5";
  if (allocated > 0n || cell.use) {
    const share = Number(allocated * 100n / size);
    return String(STEPS.filter((step) => share >= step).length);
  }
  if (cell.cooling > 0n) return "cooling";
  if (cell.reserved > 0n && cell.reserved === cell.size) return "reserved";
  return "0";
}

function countsText(counts, isShort = false) {
  const names = [["allocated", "allocated"], ["cooling", "cooling down"], ["reserved", "reserved"], ["free", "free"]];
  return names.filter(([name]) => counts[name] !== null && (!isShort || counts[name] > 0n))
    .map(([name, text]) => `${count(counts[name])} ${text}`).join(", ");
}

function describe(cell) {
  if (cell.use) return `node ${cell.node}, ${count(cell.use.allocated)} of ${count(cell.use.capacity)} addresses allocated`;
  if (cell.node) return `node ${cell.node}`;
  if (cell.subnet && cell.allocated > 0n) return "a node's";
  if (cell.size > 1n) return countsText(cell);
  if (cell.holder) return ownerText(cell.holder.owner);
  if (cell.allocated > 0n) return "allocated";
  return countsText(cell, true).replace(/^1 /, "");
}
