#!/bin/bash
# The server's processor time of reads in batches, among the Services that a load allocates in SECONDS: some hundred thousand. One table.
#
#   Tests/Benchmarks/reads.sh [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
. Tests/Benchmarks/server.sh
port=9453
start_tandemd $port
load $port --warm-up 0 --duration "${1:-6}" --quiet --workload batch --batch-size 100 --connections 4 --pipeline 4
taskset -c "${load_cores:-1}" Tests/Benchmarks/reads.py $port "$tandemd"
