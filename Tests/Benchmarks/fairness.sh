#!/bin/bash
# The cost of one client for another: the agent of node n2, with one call in flight on one connection, alone and beside 24 connections of node
# n1's agent that ask for all there is; and beside a client of Services that sends batches. One table; fails where beside the other agent its median
# is more than twice the undisturbed one and a commit, as the journal has them under that load.
#
#   Tests/Benchmarks/fairness.sh [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-5}
. Tests/Benchmarks/server.sh
port=9448
tandemd_options="--cluster-cidr=10.128.0.0/9,fd00:aa::/40 --node-cidr-mask-size-ipv4=16 --pod-ip-reuse-delay=0 --max-pods-per-node=65536"
start_tandemd $port
# as NAME ARGUMENTS...: puts load on the server as that client.
as() {
    local name=$1
    shift
    TANDEM_CERT_FILE=$certs/$name.crt TANDEM_KEY_FILE=$certs/$name.key load $port --quiet "$@" || true
}
# The same for the greedy clients. The clients share a core: these leave it to the other as soon as that has something to do.
greedily() { renice -n 19 $BASHPID >/dev/null; as "$@"; }
value() { sed -E 's/.*"'"$1"'":([0-9.]+).*/\1/' "$2"; }
latency() { sed -E 's/.*"latencyMicroseconds":\{[^}]*"'"$1"'":([0-9]+).*/\1/' "$work/modest.json"; }
# A commit's mean time between two looks, in microseconds.
look() { echo "$(metric $port tandem_journal_commit_duration_seconds_sum) $(metric $port tandem_journal_commit_duration_seconds_count)"; }
commit() { echo "$1 $2" | awk '{ n = $4 - $2; printf "%d", (n > 0 ? ($3 - $1) * 1e6 / n : 0) }'; }
# row NAME COMMAND...: n2's agent beside the command. Sets `median` and `commit`.
row() {
    local name=$1 before
    shift
    "$@" &
    local others=$!
    before=$(look)
    as node-n2 --workload pods --node n2 --connections 1 --pipeline 1 --warm-up 1 --duration "$seconds" --json "$work/modest.json"
    commit=$(commit "$before" "$(look)")
    wait $others
    median=$(latency 50)
    echo "| $name | $(value callsPerSecond "$work/modest.json" | cut -d. -f1) | $median | $(latency 99) | $(latency 99.9) | $commit |"
}
longer=$((seconds + 3))
# The agents' nodes.
as node-n1 --workload pods --node n1 --connections 1 --pipeline 1 --warm-up 0 --duration 1
echo "| beside it | calls a second | p50, us | p99, us | p99.9, us | a commit, us |"
echo "| --- | --- | --- | --- | --- | --- |"
row nothing true
before=$median
row "24 connections of another node's agent, 32 calls each" \
    greedily node-n1 --workload pods --node n1 --connections 24 --pipeline 32 --warm-up 0 --duration $longer
beside=$median of_a_commit=$commit
row nothing true
# The machine's own unrest is in both.
undisturbed=$(((before + median) / 2))
row "24 connections with batches of 100 Services" \
    greedily admin --workload batch --connections 24 --pipeline 4 --warm-up 0 --duration $longer
limit=$((2 * undisturbed + of_a_commit))
echo "beside another agent $beside us; twice $undisturbed us and a commit are $limit us"
[ "$beside" -le "$limit" ]
