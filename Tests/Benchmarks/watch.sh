#!/bin/bash
# The cost of watches for the server: its processor time a change, without a watch, with 1,000 watches of a node each, and with 100 of
# everything, in turns. One table.
#
#   Tests/Benchmarks/watch.sh [SECONDS [ROUNDS]]
set -eu
cd "$(dirname "$0")/../.."
. Tests/Benchmarks/server.sh
port=9452
tandemd_options="--cluster-cidr=10.128.0.0/9,fd00:aa::/40 --node-cidr-mask-size-ipv4=22 --max-connections=4096"
start_tandemd $port
taskset -c "${load_cores:-1}" Tests/Benchmarks/watch.py $port "$tandemd" "${1:-10}" "${2:-3}"
