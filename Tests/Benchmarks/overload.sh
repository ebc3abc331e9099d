#!/bin/bash
# Three times the load that the server can carry: one table with what a closed loop gets done, an open loop that asks for three
# times that, and one that asks for half of it at once behind. The namespace keeps its size, so that memory tells of load alone.
# Fails where a call that was acknowledged is missing, or an address has two owners.
#
#   Tests/Benchmarks/overload.sh [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-10}
. Tests/Benchmarks/server.sh
start_tandemd 9446
value() { sed -E 's/.*"'"$1"'":\{?("[0-9.]+":)*([0-9]+).*/\2/' "$work/result.json"; }
# What is at one percentile of the member $1.
percentile() { sed -E 's/.*"'"$1"'":\{[^}]*"'"$2"'":([0-9]+).*/\1/' "$work/result.json"; }
memory() { awk '/VmRSS/ { print int($2 / 1024) }' "/proc/$tandemd/status"; }
# phase NAME ASKED ARGUMENTS...
phase() {
    local name=$1 asked=$2
    shift 2
    load 9446 --workload churn --fill 0.2 --connections 64 --duration "$seconds" --quiet --json "$work/result.json" "$@"
    served=$(value servedPerSecond)
    peak=${peak:-$served}
    awk -v name="$name" -v asked="$asked" -v served="$served" -v peak="$peak" -v refused="$(value refused)" -v seconds="$seconds" \
        -v p50="$(percentile refusalMicroseconds 50)" -v p99="$(percentile refusalMicroseconds 99)" -v memory="$(memory)" 'BEGIN {
        printf "| %s | %s | %d | %d %% | %d | %s | %d MB |\n", name, asked, served, served * 100 / peak, refused / seconds,
            refused > 0 ? sprintf("%d ms, %d ms", p50 / 1000, p99 / 1000) : "", memory
    }'
}
echo "| load | asked for a second | served a second | of the most | refused a second | refused after, p50, p99 | memory |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
phase 'closed loop, 64 connections with 64 requests each' '' --pipeline 64
phase 'three times that' $((peak * 3)) --rate $((peak * 3))
phase 'half, at once behind' $((peak / 2)) --rate $((peak / 2)) --warm-up 0
