// Nodes and namespaces, those that use most first.

import { byID, count, keepRows, make, makeBar, percent, setAttribute, setText, updateBar } from "./elements.js";
import { nodeOfPool } from "./mapviews.js";

/** Pools of nodes that are asked for at most; more nodes than these have are counted as the first ones only. */
const PAGE = 1000;
const PAGES = 12;
const ROWS = 15;

/** Every node with its pools, by the pools alone: pods are not listed. */
export async function loadNodes(server) {
  const nodes = new Map();
  const byCIDR = new Map();
  const params = { kind: "Pod", limit: PAGE };
  for (let page = 0; page < PAGES; page++) {
    const answer = await server.call("GetPools", params);
    for (const pool of answer.pools) {
      const name = nodeOfPool(pool.name);
      if (name === null) continue;
      const node = nodes.get(name) ?? { name, pools: {} };
      const { family } = pool;
      byCIDR.set(pool.cidr, { node: name, allocated: BigInt(pool.allocated), capacity: BigInt(pool.capacity) });
      const known = node.pools[family];
      node.pools[family] = {
        name: known?.name ?? pool.name, allocated: BigInt(pool.allocated) + (known?.allocated ?? 0n),
        cooling: BigInt(pool.coolingDown ?? 0) + (known?.cooling ?? 0n),
        capacity: BigInt(pool.capacity) + (known?.capacity ?? 0n),
      };
      nodes.set(name, node);
    }
    if (!answer.continue) return { nodes: order([...nodes.values()]), byCIDR, isWhole: true };
    params.continue = answer.continue;
  }
  return { nodes: order([...nodes.values()]), byCIDR, isWhole: false };
}

function order(nodes) {
  const use = (node) => Math.max(...Object.values(node.pools).map((pool) => Number(pool.allocated * 1_000_000n / (pool.capacity || 1n))));
  for (const node of nodes) node.use = use(node);
  const names = new Intl.Collator("en", { numeric: true });
  return nodes.sort((left, right) => right.use - left.use || names.compare(left.name, right.name));
}

export function showNodes({ nodes, isWhole }, filter, go) {
  const families = ["IPv4", "IPv6"].filter((family) => nodes.some((node) => node.pools[family]));
  const head = byID("nodes-head");
  if (head.dataset.families !== families.join()) {
    head.dataset.families = families.join();
    byID("nodes-body").replaceChildren();
    head.replaceChildren(make("tr", {}, make("th", { scope: "col" }, "Node"),
      families.flatMap((family) => [
        make("th", { scope: "col" }, family), make("th", { scope: "col", class: "n" }, "%"),
        make("th", { scope: "col", class: "n" }, "Pods"),
      ])));
  }
  const found = filter ? nodes.filter((node) => node.name.includes(filter)) : nodes;
  const shown = found.slice(0, ROWS);
  const all = `${isWhole ? "" : "the first "}${count(nodes.length)} ${nodes.length === 1 ? "node" : "nodes"}`;
  const which = filter ? `${count(found.length)} with “${filter}” of ${all}` : all;
  setText(byID("nodes-note"), found.length > shown.length ? `${ROWS} of ${which}` : which);
  keepRows(byID("nodes-body"), shown, (node) => node.name, (node) => make("tr", {},
    make("th", { scope: "row" }, make("button", {
      type: "button", class: "link", onclick: () => go({ pool: Object.values(node.pools)[0].name, inside: [] }),
    }, node.name)),
    families.flatMap(() => [make("td", { class: "wide" }, makeBar()), make("td", { class: "n" }), make("td", { class: "n" })])),
  (row, node) => {
    families.forEach((family, index) => {
      const [bar, share, pods] = [1, 2, 3].map((offset) => row.children[3 * index + offset]);
      const pool = node.pools[family];
      bar.firstChild.hidden = !pool;
      if (pool) updateBar(bar.firstChild, pool.allocated, pool.cooling, pool.capacity);
      setText(share, pool ? percent(pool.allocated, pool.capacity) : "");
      setText(pods, pool ? `${count(pool.allocated)} / ${count(pool.capacity)}` : "none");
    });
  });
}

/** Those that the server counts in its metrics; it names the largest ones. */
export function namespacesOf(metrics) {
  const found = new Map();
  for (const [metric, member] of [["tandem_namespace_pods", "pods"], ["tandem_namespace_services", "services"]]) {
    for (const { labels, value } of metrics.named(metric)) {
      const namespace = found.get(labels.namespace) ?? { name: labels.namespace, pods: 0n, services: 0n };
      namespace[member] = BigInt(Math.round(Number(value)));
      found.set(labels.namespace, namespace);
    }
  }
  const use = (namespace) => namespace.pods + namespace.services;
  return [...found.values()].sort((left, right) => {
    const difference = use(right) - use(left);
    return difference > 0n ? 1 : difference < 0n ? -1 : left.name < right.name ? -1 : 1;
  });
}

export function showNamespaces(metrics, failure, go) {
  const body = byID("namespaces-body");
  const note = byID("namespaces-note");
  if (!metrics) {
    body.replaceChildren();
    return setText(note, failure ? `not told: ${failure.message}` : "");
  }
  const namespaces = namespacesOf(metrics);
  // A namespace that has pods may have no Services, and the other way round.
  const number = Math.max(namespaces.length, ...metrics.named("tandem_namespaces").map(({ value }) => Number(value)));
  if (!metrics.named("tandem_namespaces").length) {
    body.replaceChildren();
    return setText(note, "this server does not count by namespace");
  }
  const shown = namespaces.slice(0, ROWS);
  const all = `${count(number)} ${number === 1 ? "namespace" : "namespaces"}`;
  setText(note, shown.length < number ? `the ${shown.length} largest of ${all}` : all);
  const largest = namespaces.length ? namespaces[0].pods + namespaces[0].services : 1n;
  keepRows(body, shown, (namespace) => namespace.name, (namespace) => make("tr", {},
    make("th", { scope: "row" }, make("button", { type: "button", class: "link", onclick: () => go({ find: `${namespace.name}/` }) }, namespace.name)),
    make("td", { class: "wide" }, makeBar()), make("td", { class: "n" }), make("td", { class: "n" })),
  (row, namespace) => {
    const [, bar, pods, services] = row.children;
    const use = namespace.pods + namespace.services;
    updateBar(bar.firstChild, use, 0n, largest);
    setAttribute(bar.firstChild, "data-level", null);
    setAttribute(bar.firstChild, "aria-label", `${use} objects`);
    setText(pods, count(namespace.pods));
    setText(services, count(namespace.services));
  });
}
