#!/bin/bash
# Calls that servers commit through one log on etcd, in one run with etcd's own single puts at 64 clients: calls a second, processor
# time of etcd and of the servers a call, and the median and the 99th percentile. Rounds are interleaved; the table has the medians.
# Folding goes on meanwhile. SUSTAINED=60 adds a minute of allocations and releases, beside puts before and after.
#
#   Tests/Benchmarks/etcd.sh [SECONDS [ROUNDS [MEMBERS [SERVERS]]]]
#
# BIN names a folder with programs that are built already.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-5} rounds=${2:-3} members=${3:-1} servers=${4:-1}
docker/deps.sh --etcd
etcd=$(command -v etcd || echo "$PWD/.build/tools/usr/bin/etcd")
bin=${BIN:-}
[ -n "$bin" ] || {
    for product in tandemd tandem-load etcd-puts; do swift build -c release --product $product >/dev/null; done
    bin=$(swift build -c release --show-bin-path)
}
certs/generate.sh certs/dev >/dev/null
work=$(mktemp -d)
etcds= tandemds=
finish() {
    trap - EXIT
    kill $tandemds 2>/dev/null || true
    wait $tandemds 2>/dev/null || true
    kill -KILL $etcds 2>/dev/null || true
    wait $etcds 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

peers= urls=
for i in $(seq "$members"); do
    peers=$peers${peers:+,}m$i=http://127.0.0.1:$((14380 + i))
    urls=$urls${urls:+,}http://127.0.0.1:$((14370 + i))
done
for i in $(seq "$members"); do
    "$etcd" --name=m$i --data-dir="$work/m$i" --listen-client-urls=http://127.0.0.1:$((14370 + i)) \
        --advertise-client-urls=http://127.0.0.1:$((14370 + i)) --listen-peer-urls=http://127.0.0.1:$((14380 + i)) \
        --initial-advertise-peer-urls=http://127.0.0.1:$((14380 + i)) --initial-cluster="$peers" \
        --quota-backend-bytes=8589934592 --snapshot-count=5000 --logger=zap --log-outputs="$work/m$i.log" >/dev/null 2>&1 &
    etcds="$etcds $!"
done
for i in $(seq "$members"); do
    until grep -q 'serving.*client' "$work/m$i.log" 2>/dev/null; do
        kill -0 $etcds 2>/dev/null || { tail -n 1 "$work"/m*.log >&2; exit 1; }
        sleep 0.1
    done
done
addresses=
for i in $(seq "$servers"); do
    "$bin/tandemd" --service-cluster-ip-range=10.0.0.0/9,fd00:10:96::/104 --cluster-cidr=11.0.0.0/8,fd00:11::/48 \
        --node-cidr-mask-size-ipv4=12 --etcd-servers="$urls" --etcd-quota-backend-bytes=8589934592 --etcd-compaction-interval=30s \
        --secure-port=$((14450 + i)) --tls-cert-file=certs/dev/server.crt --tls-private-key-file=certs/dev/server.key \
        --client-ca-file=certs/dev/ca.crt --log-level=error &
    tandemds="$tandemds $!"
    addresses="$addresses 127.0.0.1:$((14450 + i))"
done
export TANDEM_CA_FILE=certs/dev/ca.crt TANDEM_CERT_FILE=certs/dev/admin.crt TANDEM_KEY_FILE=certs/dev/admin.key
for address in $addresses; do
    until curl -sf --cacert certs/dev/ca.crt "https://localhost:${address#*:}/readyz" >/dev/null; do
        kill -0 $tandemds || exit 1
        sleep 0.1
    done
done

# Nanoseconds on a processor of all threads of the processes.
spent() {
    local total=0 pid task
    for pid in "$@"; do
        for task in /proc/"$pid"/task/*; do total=$((total + $(cut -d' ' -f1 "$task/schedstat" 2>/dev/null || echo 0))); done
    done
    echo "$total"
}
# Calls that were carried out: one that is refused, as too many are in flight, costs next to nothing.
served() {
    python3 -c 'import json, sys; result = json.load(open(sys.argv[1])); print(result["calls"] - result["refused"])' "$1"
}
metrics() {
    curl -sf --cacert certs/dev/ca.crt --cert certs/dev/admin.crt --key certs/dev/admin.key "https://localhost:${1#*:}/metrics"
}
# Calls that the servers refused so far.
refused() {
    for address in $addresses; do metrics "$address"; done | awk '/^tandem_calls_total/ && !/status="OK"/ { sum += $2 } END { print sum + 0 }'
}
# load NAME ARGUMENTS...: one load on each server, side by side. With --ignore-answers it reads no more of an answer than its end, so that
# the clients take little of the processors, and nothing is verified behind it; then the servers say how many calls they refused.
load() {
    local name=$1 etcd_before tandemd_before i=0 loads= calls
    shift
    calls=$(refused)
    etcd_before=$(spent $etcds) tandemd_before=$(spent $tandemds)
    for address in $addresses; do
        i=$((i + 1))
        "$bin/tandem-load" --keep --server "$address" --warm-up 0 --duration "$seconds" --quiet --json "$work/load$i.json" \
            "$@" >/dev/null &
        loads="$loads $!"
    done
    wait $loads
    case " $* " in
    *" --ignore-answers "*) calls=$((calls - $(refused))) ;;
    *) calls=0 ;;
    esac
    for i in $(seq "$servers"); do
        calls=$((calls + $(served "$work/load$i.json")))
    done
    awk -v name="$name" -v calls=$calls -v seconds="$seconds" -v etcd=$(($(spent $etcds) - etcd_before)) \
        -v tandemd=$(($(spent $tandemds) - tandemd_before)) \
        'BEGIN { print name, calls / seconds, etcd / calls / 1000, tandemd / calls / 1000 }'
}
# Returns when each server has folded what it was given, so that nothing goes on beside the puts; after half a minute at most.
folded() {
    local address try
    for address in $addresses; do
        for try in $(seq 30); do
            metrics "$address" | grep -q '^tandem_unfolded_bytes 0$' && break
            sleep 1
        done
    done
}
puts() {
    local before result
    before=$(spent $etcds)
    result=$("$bin/etcd-puts" "$urls" "$seconds" 64 450)
    echo "$result" | awk -v seconds="$seconds" -v etcd=$(($(spent $etcds) - before)) \
        '{ print "puts", $1, etcd / ($1 * seconds) / 1000, 0 }'
}
for round in $(seq "$rounds"); do
    puts
    load single --ignore-answers --transport stream --connections 64 --pipeline 1
    load batch --ignore-answers --transport stream --workload batch --batch-size 100 --connections 4 --pipeline 4
done | tee "$work/rounds" >&2
# As many are released as are allocated, so that nothing grows: folding, compaction and the load go on side by side.
[ -z "${SUSTAINED:-}" ] || {
    folded
    puts
    seconds=$SUSTAINED load sustained --transport stream --workload mixed --shares 50,0,50 --connections 4 --pipeline 400
    folded
    puts
} | tee -a "$work/rounds" >&2
python3 - "$work/rounds" <<'PY'
import collections, statistics, sys
rows = collections.defaultdict(list)
for line in open(sys.argv[1]):
    name, *figures = line.split()
    rows[name].append([float(figure) for figure in figures])
label = {"puts": "etcd's single puts, 64 clients", "single": "calls, 64 clients", "batch": "calls in batches of 100, 4 clients",
         "sustained": "allocations and releases, 4 clients with 400 under way, sustained"}
print("| | a second | times the puts | etcd's processor time | the servers' |")
print("| --- | --- | --- | --- | --- |")
for name in [name for name in label if rows[name]]:
    rate, etcd, tandemd = (statistics.median(column) for column in zip(*rows[name]))
    # Beside the puts of the same round; of a long run beside those before and after it.
    beside = rows["puts"][-2:] if name == "sustained" else rows["puts"]
    times = statistics.median(row[0] / puts[0] for row in rows[name] for puts in beside) if name == "sustained" else \
        statistics.median(row[0] / puts[0] for row, puts in zip(rows[name], beside))
    print(f"| {label[name]} | {rate:.0f} | {times:.2f} | {etcd:.1f} µs | {tandemd:.1f} µs |")
PY
