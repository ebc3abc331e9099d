#!/bin/bash
# The time of `tandemctl apply` of many Services, by the clock and of the server's processor, when all are new and when all are there.
#
#   Tests/Benchmarks/apply.sh [SERVICES]
set -eu
cd "$(dirname "$0")/../.."
services=${1:-10000}
. Tests/Benchmarks/server.sh
swift build -c release --product tandemctl >/dev/null
start_tandemd 9446
for number in $(seq "$services"); do
    cat <<MANIFEST
---
apiVersion: v1
kind: Service
metadata: {name: s$number, labels: {app: s$number}}
spec: {ipFamilyPolicy: PreferDualStack, selector: {app: s$number}, ports: [{port: 80}]}
MANIFEST
done >"$work/services.yaml"

milliseconds() { echo "$((($(date +%s%N) - $1) / 1000000))"; }
# Clock ticks are hundredths of a second.
processor() { awk '{ print ($14 + $15) * 10 }' "/proc/$1/stat"; }

echo "| $services Services | time | processor time of the server | of tandemctl |"
echo "| --- | --- | --- | --- |"
for turn in new unchanged; do
    before=$(processor "$tandemd") start=$(date +%s%N)
    own=$({ TIMEFORMAT='%U %S'; time taskset -c 1 "$bin/tandemctl" apply --server 127.0.0.1:9446 -f "$work/services.yaml" >/dev/null; } 2>&1)
    time=$(milliseconds "$start") used=$(($(processor "$tandemd") - before))
    echo "| $turn | $time ms | $used ms | $(awk '{ print ($1 + $2) * 1000 }' <<<"$own") ms |"
done
