#!/bin/bash
# Every benchmark in one run: the pieces beside their yardsticks, allocation counts, calls beside nginx, and the pieces again
# under the benchmark package's harness. Writes the tables into the benchmark document; --quick only prints them, of
# fewer rounds and without the large recovery and the harness.
set -euo pipefail
cd "$(dirname "$0")/../.."
document=Sources/TandemServer/Documentation.docc/Benchmarks.md
quick=
case "${1:-}" in
    '') ;;
    --quick) quick=--quick ;;
    *)
        echo "usage: Tests/Benchmarks/bench.sh [--quick]" >&2
        exit 2
        ;;
esac

docker/deps.sh --bench
package=(--package-path Tests/Benchmarks --scratch-path "$PWD/.build-bench")
# A build is planned anew only where a file of the package itself has changed: a new one of the project's would be missed.
touch Tests/Benchmarks/Package.swift
echo "Building (the first time takes some minutes)"
swift build -c release "${package[@]}" --product ratios
swift build -c release --product allocation-counts
bin=$(swift build -c release --show-bin-path)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

section() {
    echo
    echo "### $1"
    echo
}
{
    section "Processor time of the server a call, beside nginx"
    Tests/Benchmarks/end-to-end.sh ${quick:+2 1}
    section "The tail at half of the throughput of a closed loop"
    Tests/Benchmarks/tail.sh ${quick:+3}
    section "Three times the load that the server can carry"
    Tests/Benchmarks/overload.sh ${quick:+3}
    section "A start after kill -9"
    Tests/Benchmarks/recovery.sh ${quick:+100000 5000 1} | sed 's/^/    /'
    "$(swift build -c release "${package[@]}" --show-bin-path)/ratios" $quick
    section "Heap allocations a call"
    "$bin/allocation-counts" Tests/AllocationCounts/thresholds.txt | sed 's/^/    /'
} | tee "$work/tables"

if [ -z "$quick" ]; then
    {
        sed '/<!-- make bench: begin -->/q' "$document"
        echo
        echo "Written by \`make bench\` on $(date -u '+%-d %B %Y'): $(lscpu | sed -n 's/^Model name: *//p'), $(nproc) cores, Linux" \
            "$(uname -r | cut -d. -f1-2), $(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/Swift \1/p')," \
            "$(openssl version | cut -d' ' -f1-2), $(nginx -v 2>&1 | sed 's/.*: //')."
        cat "$work/tables"
        echo
        sed -n '/<!-- make bench: end -->/,$p' "$document"
    } >"$work/document"
    cat "$work/document" >"$document"
    echo "The tables are in $document."
fi

[ -z "$quick" ] || exit 0
echo
echo "### Under the benchmark package's harness (times alone, for comparison by eye)"
swift package "${package[@]}" benchmark --no-progress --format markdown --metric wallClock 2>/dev/null
