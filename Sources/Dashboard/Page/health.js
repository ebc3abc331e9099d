// A server's readiness, warnings, and the servers of its range.

import { byID, count, duration, make, setAttribute } from "./elements.js";

/** Seconds before its end at which a certificate is named a fault. */
const CERTIFICATE_WARNING = 30 * 86_400;

/** {ready, checks: [{name, isGood, note}]} of the answer of /readyz. */
export function checksOf(health) {
  const checks = health.text.split("\n").map((line) => /^\[([+-])\]\s*(\S+)\s*(.*)$/.exec(line)).filter(Boolean)
    .map(([, sign, name, note]) => ({ name, isGood: sign === "+", note: note === "ok" ? "" : note }));
  return { ready: health.ready, checks };
}

/** The warnings, worst first: [{level: "high" | "raised", text}]. */
export function faultsOf(health, metrics, ranges) {
  const faults = [];
  const add = (level, text) => faults.push({ level, text });
  for (const check of health?.checks ?? []) if (!check.isGood) add("high", `${check.name}: ${check.note || "failed"}`);
  if (metrics) {
    const counted = [
      ["tandem_audit_faults", "high", "faults found by the audit: objects and addresses disagree"],
      ["tandem_books_differ", "high", "books differ from those of another server"],
      ["tandem_storage_failed", "high", "storage has failed"],
      ["tandem_overlapping_pod_cidrs", "high", "pairs of pod CIDRs overlap"],
      ["tandem_held_outside_ranges", "raised", "held outside of all ranges"],
      ["tandem_memory_short", "raised", "memory is short: nothing more is kept"],
      ["tandem_configuration_changed", "raised", "settings differ from those that other servers run with"],
      ["tandem_audit_dropped_entries_total", "raised", "entries are missing in the audit log"],
    ];
    for (const [name, level, text] of counted) {
      const value = metrics.sum(name);
      if (value > 0) add(level, ["tandem_books_differ", "tandem_storage_failed", "tandem_memory_short", "tandem_configuration_changed"].includes(name) ? text : `${count(value)} ${text}`);
    }
    for (const { labels, value } of metrics.named("tandem_pod_pools_full")) {
      if (Number(value) > 0) add("raised", `${count(Number(value))} ${Number(value) === 1 ? "node has" : "nodes have"} no ${labels.family} address left`);
    }
    const certificates = [...metrics.named("tandem_tls_certificate_expiration_seconds").map((metric) => ["the server's certificate", metric]),
      ...metrics.named("tandem_tls_trust_expiration_seconds").map((metric) => [metric.labels.what ?? "trust", metric])];
    for (const [what, { value }] of certificates) {
      const seconds = Number(value);
      if (seconds <= 0) add("high", `${what} has ended`);
      else if (seconds < CERTIFICATE_WARNING) add(seconds < 86_400 * 7 ? "high" : "raised", `${what} ends in ${duration(seconds)}`);
    }
  }
  for (const range of ranges ?? []) {
    if (range.capacity === 0n) continue;
    const share = Number(range.allocated * 1000n / range.capacity) / 10;
    if (range.allocated >= range.capacity) add("high", `${range.range} is full`);
    else if (share >= 90) add("raised", `${range.range} is ${share.toFixed(1)} % allocated`);
  }
  return faults.sort((left, right) => (left.level === "high" ? 0 : 1) - (right.level === "high" ? 0 : 1));
}

export function showHealth({ health, healthFailure, metrics, metricsFailure, peers, ranges }) {
  const parts = [];
  const faults = faultsOf(health, metrics, ranges);
  const state = healthFailure ? ["high", "not reached"] : !health ? ["unknown", "asking"] : health.ready ? ["good", "serving"] : ["high", "not serving"];
  parts.push(make("p", { class: "state", "data-level": state[0] }, state[1]));
  if (healthFailure) parts.push(make("p", { class: "note" }, healthFailure.message));
  if (faults.length) {
    parts.push(make("ul", { class: "faults" }, faults.slice(0, 12).map((fault) => make("li", { "data-level": fault.level }, fault.text))));
  } else if (health && metrics) parts.push(make("p", { class: "note" }, "no faults"));
  if (health) {
    parts.push(make("ul", { class: "checks" }, health.checks.map((check) => make("li", {
      "data-level": check.isGood ? "good" : "high", title: check.note || null,
    }, check.name))));
  }
  if (metricsFailure) parts.push(make("p", { class: "note" }, `metrics are not told: ${metricsFailure.message}`));
  if (metrics) parts.push(facts(metrics));
  if (peers?.servers?.length) {
    parts.push(make("div", { class: "scroll" }, make("table", {},
      make("thead", {}, make("tr", {}, ["Server", "Address", "Version", ""].map((title) => make("th", { scope: "col" }, title)))),
      make("tbody", {}, peers.servers.map((peer) => make("tr", {},
        make("td", {}, peer.name), make("td", {}, make("code", {}, peer.address)), make("td", {}, peer.program),
        make("td", { "data-level": peer.ready ? "good" : "high" }, peer.ready ? "ready" : "not ready")))))));
  }
  const body = byID("health-body");
  const key = parts.map((part) => part.outerHTML).join("");
  // Nothing is made anew, and read out again, that is as it was.
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(...parts);
}

function facts(metrics) {
  const rows = [];
  const certificate = metrics.sum("tandem_tls_certificate_expiration_seconds");
  if (certificate !== null) rows.push(["Certificate ends in", duration(Math.max(0, certificate))]);
  const lag = metrics.sum("tandem_journal_lag_seconds");
  if (lag !== null) rows.push(["Journal lag", lag < 0.001 ? "none" : `${(lag * 1000).toFixed(0)} ms`]);
  const build = metrics.named("tandem_build_info")[0];
  if (build) rows.push(["Version", [build.labels.version, build.labels.commit?.slice(0, 12)].filter(Boolean).join(" ")]);
  return make("dl", {}, rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

export function showTab(tab, { health, healthFailure }) {
  const [level, word] = healthFailure ? ["high", "not reached"] : !health ? ["unknown", ""] : health.ready ? ["good", "serving"] : ["high", "not serving"];
  setAttribute(tab, "data-level", level);
  setAttribute(tab, "title", word);
}
