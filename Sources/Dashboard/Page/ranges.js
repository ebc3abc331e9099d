// The cluster's ranges: how much of each is in use, and when it will be full.

import { byID, count, duration, keepRows, make, makeBar, percent, setAttribute, setText, updateBar } from "./elements.js";
import { integer } from "./metrics.js";

const KINDS = [
  ["Service", "Services"], ["LoadBalancer", "Load balancers"], ["NodeCIDR", "Nodes"], ["NodePort", "Node ports"],
];
export const kindTitle = (kind) => kind === "Pod" ? "Pods" : KINDS.find(([name]) => name === kind)?.[1] ?? kind;

/** Without the nodes' own pools, however many these are. Throws where none may be seen. */
export async function loadRanges(server, metrics) {
  const pages = await server.batch(KINDS.map(([kind]) => ["GetPools", { kind, limit: 100 }]));
  const failure = pages.find((page) => page instanceof Error);
  if (failure) throw failure;
  const ranges = pages.flatMap((page) => page.pools).map((pool) => ({
    ...pool, map: pool.name, range: pool.cidr ?? pool.ports,
    capacity: BigInt(pool.capacity), allocated: BigInt(pool.allocated), coolingDown: BigInt(pool.coolingDown ?? 0),
  }));
  return ranges.concat(podRanges(ranges, metrics));
}

/** The sums of the pods of all nodes of a cluster CIDR, which the server counts. */
export function podRanges(ranges, metrics) {
  if (!metrics) return [];
  const isPods = (metric) => metric.labels.kind === "Pod";
  const allocated = new Map(metrics.named("tandem_pool_allocated").filter(isPods)
    .map((metric) => [metric.labels.cidr, integer(metric.value)]));
  return metrics.named("tandem_pool_capacity").filter(isPods).map(({ labels, value }) => ({
    name: `pods ${labels.cidr}`, kind: "Pod", family: labels.family, cidr: labels.cidr, range: labels.cidr,
    map: ranges.find((range) => range.kind === "NodeCIDR" && range.cidr === labels.cidr)?.name,
    capacity: integer(value), allocated: allocated.get(labels.cidr) ?? 0n, coolingDown: null,
  }));
}

export function showRanges(ranges, rates, selected, select) {
  keepRows(byID("ranges-body"), ranges, (range) => range.name, (range) => {
    const button = make("button", { type: "button", class: "link", onclick: () => select(range.map) });
    return make("tr", {},
      make("th", { scope: "row" }, make("span", { class: "kind" }, kindTitle(range.kind)), button),
      make("td", { class: "wide" }, makeBar()), ...Array.from({ length: 6 }, () => make("td", { class: "n" })));
  }, (row, range) => {
    const [head, bar, ...cells] = row.children;
    const free = range.capacity > range.allocated ? range.capacity - range.allocated : 0n;
    const estimate = rates.estimate(range.name, range.capacity);
    setText(head.lastChild, range.range);
    setAttribute(head.lastChild, "aria-pressed", range.map === selected && range.kind !== "Pod" ? "true" : "false");
    setAttribute(row, "class", range.map === selected && range.kind !== "Pod" ? "selected" : null);
    updateBar(bar.firstChild, range.allocated, range.coolingDown ?? 0n, range.capacity);
    const texts = [
      percent(range.allocated, range.capacity), count(range.allocated), count(free),
      range.coolingDown === null ? "–" : count(range.coolingDown), rateText(estimate), fullText(estimate),
    ];
    texts.forEach((text, index) => setText(cells[index], text));
    setAttribute(cells[5], "class", estimate.state === "few" ? "n faint" : "n");
    setAttribute(cells[5], "title", estimate.state === "few"
      ? "A minute of samples is needed; this page takes them while it is open" : null);
    const isSoon = estimate.state === "full" || estimate.state === "filling" && estimate.seconds < 86_400;
    setAttribute(cells[5], "data-level", isSoon ? "high" : null);
  });
}

function rateText(estimate) {
  if (estimate.perHour === undefined) return "–";
  const rate = Math.abs(estimate.perHour);
  const text = rate < 10 ? rate.toFixed(1) : count(Math.round(rate));
  return estimate.perHour > 0 ? `+${text}` : estimate.perHour < 0 ? `−${text}` : "0";
}

function fullText(estimate) {
  switch (estimate.state) {
    case "few": return "not enough samples";
    case "full": return "full";
    case "filling": return duration(estimate.seconds);
    default: return "not filling";
  }
}
