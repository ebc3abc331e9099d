#!/bin/bash
# Three times the load that the server can carry: one table with the rate of a closed loop, an open loop that asks for three
# times that, and one that asks for half of it at once behind. The namespace keeps its size, so that memory tells of load alone.
# Fails where a call that was acknowledged is missing, or an address has two owners.
#
#   Tests/Benchmarks/overload.sh [SECONDS [CONNECTIONS]]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-10}
connections=${2:-128}
. Tests/Benchmarks/server.sh
# Refusals are logged as they are where nothing is said about it.
log_level=info
server_log=$work/log
start_tandemd 9446
# The member $1 of result $2, and the value at percentile $2 of member $1 of result $3.
value() { sed -E 's/.*"'"$1"'":([0-9]+).*/\1/' "$2"; }
percentile() { awk -v us="$(sed -E 's/.*"'"$1"'":\{[^}]*"'"$2"'":([0-9]+).*/\1/' "$3")" 'BEGIN { printf "%.0f ms", us / 1000 }'; }
memory() { awk '/VmRSS/ { print int($2 / 1024) }' "/proc/$tandemd/status"; }
# refused FILE: when it was, at the middle and the 99th percentile, in milliseconds since the call was sent.
refused() {
    [ "$(value refused "$1")" = 0 ] || echo "$(percentile refusalMicroseconds 50 "$1"), $(percentile refusalMicroseconds 99 "$1")"
}
# phase NAME ASKED ARGUMENTS...: a row. Beside the load four clients have one call in flight each, as controllers do.
phase() {
    local name=$1 asked=$2 served
    shift 2
    load 9446 --connections 4 --pipeline 1 --duration "$seconds" --quiet --json "$work/few.json" &
    load 9446 --workload churn --fill 0.2 --connections "$connections" --duration "$seconds" --quiet \
        --json "$work/many.json" "$@"
    # Those four look through all objects while the others still change them: their view is not of one moment.
    wait $! || true
    served=$(value servedPerSecond "$work/many.json")
    peak=${peak:-$served}
    echo "| $name | $asked | $served | $((served * 100 / peak)) % | $(($(value refused "$work/many.json") / seconds)) |" \
        "$(refused "$work/many.json") | $(($(value refused "$work/few.json") * 100 / $(value calls "$work/few.json"))) % |" \
        "$(refused "$work/few.json") | $(memory) MB |"
}
echo "| load | asked for a second | served a second | of the most | refused a second | after | of four others' calls refused | after | memory |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
phase "closed loop, $connections connections with 32 requests each" '' --pipeline 32
phase 'three times that' $((peak * 3)) --rate $((peak * 3))
phase 'half, at once behind' $((peak / 2)) --rate $((peak / 2)) --warm-up 0
