#!/bin/bash
# The tail of latency at half the rate of a closed loop, checkpoints included, beside nginx at the same rate and the disk's own fsync: one
# table. Needs nginx (Debian's nginx-light).
#
#   Tests/Benchmarks/tail.sh [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-10}
. Tests/Benchmarks/server.sh

# The 99th percentile, in microseconds, of appending a page and waiting for the disk.
fsync_p99() {
    python3 - "$work/probe" <<'PROBE'
import os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
times = []
for page in range(2000):
    os.pwrite(descriptor, os.urandom(4096), page * 4096)
    start = time.perf_counter()
    os.fdatasync(descriptor)
    times.append(time.perf_counter() - start)
print(int(sorted(times)[1980] * 1e6))
PROBE
}
percentile() { sed -E 's/.*"latencyMicroseconds":\{[^}]*"'"$1"'":([0-9]+).*/\1/' "$work/result.json"; }

before=$(fsync_p99)
start_nginx 9446
start_tandemd 9445
load 9445 --connections 16 --pipeline 1 --duration "$seconds" --quiet --ignore-answers --json "$work/result.json"
rate=$(sed -E 's/.*"calls":([0-9]+).*/\1/' "$work/result.json")
rate=$((rate / seconds / 2))
load 9445 --connections 16 --rate "$rate" --duration "$seconds" --quiet --ignore-answers --json "$work/result.json"
p50=$(percentile 50) p99=$(percentile 99) p999=$(percentile 99.9)
wait_idle "$tandemd"
load 9446 --transport http --connections 16 --rate "$rate" --duration "$seconds" --quiet --ignore-answers --json "$work/result.json"
after=$(fsync_p99)
fsync=$((before > after ? before : after))
awk -v rate="$rate" -v fsync="$fsync" -v p50="$p50" -v p99="$p99" -v p999="$p999" -v nginx="$(percentile 99.9)" 'BEGIN {
    print "| calls a second | p50 | p99 | p99.9 | nginx at that rate, p99.9 | p99.9 over it | the disk'"'"'s fsync, p99 |"
    print "| --- | --- | --- | --- | --- | --- | --- |"
    printf "| %d | %.2f ms | %.2f ms | %.2f ms | %.2f ms | %.1f | %.2f ms |\n",
        rate, p50 / 1000, p99 / 1000, p999 / 1000, nginx / 1000, p999 / nginx, fsync / 1000
}'
