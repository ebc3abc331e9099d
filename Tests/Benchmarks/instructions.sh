#!/bin/bash
# User instructions of the server a call, whatever else the machine does: the difference of two runs of different length under callgrind,
# start, journal and folding included. The groups of the journal are those of a server that is fifty times as slow, so that compare
# figures with one another. Needs valgrind and a C compiler.
#
#   Tests/Benchmarks/instructions.sh [SECONDS [LOADS [LIMITS]]]
#
# LOADS are of stream, http and batch; all without it. LIMITS names a file of loads and instructions, and a load that needs more fails. BIN names a folder with programs that are built already. OUT names a folder
# for the profiles, which callgrind_annotate reads.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-30} loads=${2:-stream http batch} limits=${3:-}
bin=${BIN:-}
[ -n "$bin" ] || {
    for product in tandemd tandem-load; do swift build -c release --product $product >/dev/null; done
    bin=$(swift build -c release --show-bin-path)
}
certs/generate.sh certs/dev >/dev/null
certs=$PWD/certs/dev
work=$(mktemp -d)
out=${OUT:-$work}
server=
trap 'kill $server 2>/dev/null || true; wait; rm -rf "$work"' EXIT
export TANDEM_CA_FILE=$certs/ca.crt TANDEM_CERT_FILE=$certs/admin.crt TANDEM_KEY_FILE=$certs/admin.key

# Without debug information, which valgrind can't read, and with a main thread that drains its queue itself: valgrind does not survive
# the way in which Dispatch leaves it.
cp "$bin/tandemd" "$work/tandemd"
strip -g "$work/tandemd"
cat >"$work/main.c" <<'C'
#include <poll.h>
#include <stdint.h>
#include <unistd.h>
int _dispatch_get_main_queue_handle_4CF(void);
void _dispatch_main_queue_callback_4CF(void *);
void dispatch_main(void) {
    struct pollfd queue = {_dispatch_get_main_queue_handle_4CF(), POLLIN, 0};
    for (;;) {
        uint64_t count;
        if (poll(&queue, 1, 100) > 0 && read(queue.fd, &count, sizeof count) < 0) return;
        _dispatch_main_queue_callback_4CF(0);
    }
}
C
cc -shared -fPIC -o "$work/main.so" "$work/main.c"

# run NAME SECONDS ARGUMENTS...: a line of instructions and calls.
run() {
    local name=$1 duration=$2
    shift 2
    LD_PRELOAD=$work/main.so valgrind --tool=callgrind --vgdb=no --callgrind-out-file="$out/$name-$duration" "$work/tandemd" \
        --service-cluster-ip-range=10.0.0.0/9,fd00:10:96::/104 --secure-port=9445 --event-loops=1 --data-dir="$work/data" \
        --tls-cert-file="$certs/server.crt" --tls-private-key-file="$certs/server.key" --client-ca-file="$certs/ca.crt" \
        --log-level=error >"$work/log" 2>&1 &
    server=$!
    until curl -sf --cacert "$certs/ca.crt" https://127.0.0.1:9445/readyz >/dev/null; do
        kill -0 $server 2>/dev/null || { cat "$work/log" >&2; exit 1; }
        sleep 0.2
    done
    "$bin/tandem-load" --keep --server 127.0.0.1:9445 --warm-up 0 --duration "$duration" --quiet --ignore-answers \
        --json "$work/load.json" "$@" >/dev/null
    kill $server
    wait $server || true
    server=
    rm -rf "$work/data"
    echo "$(awk '$1 == "summary:" || $1 == "totals:" { print $2; exit }' "$out/$name-$duration")" \
        "$(sed -E 's/.*"calls":([0-9]+).*/\1/' "$work/load.json")"
}
failed=0
echo "| load | instructions a call |"
echo "| --- | --- |"
for load in $loads; do
    case $load in
    stream | http) options="--transport $load --connections 16 --pipeline 1" ;;
    batch) options="--transport stream --workload batch --batch-size 100 --connections 4 --pipeline 8" ;;
    *) echo "unknown load $load" >&2 && exit 2 ;;
    esac
    read -r before few <<<"$(run "$load" 3 $options)"
    read -r after many <<<"$(run "$load" "$seconds" $options)"
    count=$(((after - before) / (many - few)))
    echo "| $load | $count |"
    limit=$([ -z "$limits" ] || sed -n "s/^$load //p" "$limits")
    [ "$count" -le "${limit:-$count}" ] || {
        echo "$load: $count instructions a call; $limits allows $limit" >&2
        failed=1
    }
done
exit $failed
