// Prometheus' text format, as far as this page reads it.

/** [{name, labels: {…}, value}] of the metrics that are wanted. */
export function parseMetrics(text, wanted) {
  const found = [];
  for (const line of text.split("\n")) {
    const end = line.search(/[{ ]/);
    if (end <= 0 || line[0] === "#" || !wanted.has(line.slice(0, end))) continue;
    const labels = {};
    let place = end;
    if (line[end] === "{") {
      const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"[,}]/y;
      label.lastIndex = end + 1;
      for (let match = label.exec(line); match; match = label.exec(line)) {
        labels[match[1]] = match[2].replace(/\\(.)/g, (_, letter) => letter === "n" ? "\n" : letter);
        place = label.lastIndex;
      }
    }
    found.push({ name: line.slice(0, end), labels, value: line.slice(place).trim().split(" ")[0] });
  }
  return found;
}

/** The metrics that this page shows. */
const WANTED = new Set([
  "tandem_pool_capacity", "tandem_pool_allocated", "tandem_pod_pools_full", "tandem_held_outside_ranges",
  "tandem_overlapping_pod_cidrs", "tandem_audit_faults", "tandem_books_differ", "tandem_configuration_changed",
  "tandem_storage_failed", "tandem_memory_short", "tandem_journal_lag_seconds", "tandem_tls_certificate_expiration_seconds",
  "tandem_tls_trust_expiration_seconds", "tandem_audit_dropped_entries_total", "tandem_build_info",
  "tandem_namespace_pods", "tandem_namespace_services", "tandem_namespaces",
]);

export class Metrics {
  constructor(text) { this.all = parseMetrics(text, WANTED); }

  named(name) { return this.all.filter((metric) => metric.name === name); }

  /** The sum over all labels; null where there is none. */
  sum(name) {
    const found = this.named(name);
    return found.length ? found.reduce((sum, metric) => sum + Number(metric.value), 0) : null;
  }
}

/** A count that may not fit a double; the server writes it in full. */
export function integer(text) { return /^\d+$/.test(text) ? BigInt(text) : BigInt(Math.round(Number(text))); }
