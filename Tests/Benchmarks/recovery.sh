#!/bin/bash
# How long tandemd takes from its start to its ready line after `kill -9`, its CPU time until then, and its memory: on an
# empty data directory, and on one with PODS dual-stack pods of which JOURNALLED are in the journal only.
#
#   Tests/Benchmarks/recovery.sh [PODS [JOURNALLED [ROUNDS]]]
#
# DATA=directory keeps the filled database there for another run. ANNOTATED=1 gives each pod the annotations of tandem-cni.
set -eu
cd "$(dirname "$0")/../.."
pods=${1:-1000000}
journalled=${2:-50000}
rounds=${3:-3}
for product in tandemd recovery-fill; do swift build -c release --product $product >/dev/null; done
bin=$(swift build -c release --show-bin-path)
certs/generate.sh certs/dev >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
data=${DATA:-$work/full}
# It ends as `kill -9` ends a server.
[ -e "$data/tandem.db" ] || { "$bin/recovery-fill" "$data" "$pods" "$journalled" ${ANNOTATED:+annotated} || [ $? -eq 137 ]; } 2>/dev/null
ls -l "$data" | awk 'NR > 1 { printf "%s %.0f MB  ", $NF, $5 / 1e6 } END { print "" }'

# start DIRECTORY: prints milliseconds to the ready line, CPU milliseconds until then, resident kilobytes; then kills it.
start() {
    local pid begin end ready
    rm -f "$work/log" && mkfifo "$work/log"
    begin=$(date +%s%N)
    "$bin/tandemd" --service-cluster-ip-range=172.16.0.0/16,fd00:10:96::/112 --cluster-cidr=10.0.0.0/8,fd00:aa::/40 \
        --secure-port=0 --client-auth=none --tls-cert-file=certs/dev/server.crt \
        --tls-private-key-file=certs/dev/server.key --data-dir="$1" >"$work/log" 2>&1 &
    pid=$!
    while read -r ready; do
        [[ $ready == *ready* ]] && break
        echo "$ready" >&2
    done <"$work/log"
    end=$(date +%s%N)
    echo "$(((end - begin) / 1000000)) $(awk '{ print ($14 + $15) * 10 }' /proc/$pid/stat)" \
        "$(awk '/VmRSS/ { print $2 }' /proc/$pid/status)"
    kill -9 $pid
    wait $pid 2>/dev/null || true
}

for _ in $(seq "$rounds"); do
    rm -rf "$work/empty"
    read -r ms cpu empty < <(start "$work/empty")
    echo "empty: ready after $ms ms, $cpu ms of CPU, $empty kB resident"
    read -r ms cpu full < <(start "$data")
    echo "$pods pods: ready after $ms ms, $cpu ms of CPU, $full kB resident, $(((full - empty) * 1024 / pods)) bytes a pod"
done
