#!/bin/bash
# Processor time of the server per call, in one run on one core: nginx answering a constant over HTTPS, and tandemd allocating
# durably over the stream, over HTTP/1.1 and in batches. The load runs on the other core. Each round measures all four in
# turn, then both with one connection and with a thousand; the table has the median of the rounds and of their ratios to nginx with as many
# connections. Needs nginx (Debian's nginx-light).
#
#   Tests/Benchmarks/end-to-end.sh [SECONDS [ROUNDS]]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-5}
rounds=${2:-3}
. Tests/Benchmarks/server.sh
start_nginx 9443
start_tandemd 9444

# Nanoseconds on a processor of the threads of process $1: of its event loops, or of all others.
loops() { spent "$1" 'NIO-ELT'; }
others() { spent "$1" -v 'NIO-ELT'; }
spent() {
    local pid=$1 total=0 task
    shift
    for task in /proc/"$pid"/task/*; do
        if grep -q "$@" "$task/comm" 2>/dev/null; then total=$((total + $(cut -d' ' -f1 "$task/schedstat"))); fi
    done
    echo "$total"
}

# measure ROUND NAME PID PORT ARGUMENTS...: a line of round, name, ns of event loops and of others, calls, commits. With a thousand
# connections for three times as long: their handshakes, which cost both servers the same, are in it.
measure() {
    local round=$1 name=$2 pid=$3 port=$4 loop other commits calls duration=$seconds
    shift 4
    case $name in *1000) duration=$((3 * seconds)) ;; esac
    loop=$(loops "$pid") other=$(others "$pid") commits=$(commits "$port")
    load "$port" --warm-up 0 --duration "$duration" --quiet --ignore-answers --json "$work/result.json" "$@"
    loop=$(($(loops "$pid") - loop)) other=$(($(others "$pid") - other)) commits=$(($(commits "$port") - commits))
    calls=$(sed -E 's/.*"calls":([0-9]+).*/\1/' "$work/result.json")
    # The journal is folded into the tables when the server is idle; that is a cost of its own.
    [ "$pid" = "$nginx" ] || wait_idle "$pid"
    echo "$round $name $loop $other $calls $commits"
}
for round in $(seq "$rounds"); do
    measure "$round" nginx "$nginx" 9443 --transport http --connections 32 --pipeline 1
    measure "$round" stream "$tandemd" 9444 --transport stream --connections 32 --pipeline 1
    measure "$round" HTTP/1.1 "$tandemd" 9444 --transport http --connections 32 --pipeline 1
    measure "$round" batch "$tandemd" 9444 --transport stream --workload batch --batch-size 100 --connections 4 --pipeline 8
    for connections in 1 1000; do
        measure "$round" "nginx$connections" "$nginx" 9443 --transport http --connections $connections --pipeline 1
        measure "$round" "stream$connections" "$tandemd" 9444 --transport stream --connections $connections --pipeline 1
    done
done >"$work/rounds"

awk -v seconds="$seconds" '
    function median(list, count,   i, j, t) {
        for (i = 1; i <= count; i++) for (j = i + 1; j <= count; j++)
            if (list[j] < list[i]) { t = list[i]; list[i] = list[j]; list[j] = t }
        return list[int((count + 1) / 2)]
    }
    function medianOf(table, name, rounds,   list, r) {
        for (r = 1; r <= rounds; r++) list[r] = table[name, r]
        return median(list, rounds)
    }
    {
        rounds = $1
        cost[$2, $1] = ($3 + $4) / $5 / 1000; loop[$2, $1] = $3 / $5 / 1000; other[$2, $1] = $4 / $5 / 1000
        connections = $2
        sub(/^[^0-9]*/, "", connections)
        if ($2 ~ /1\.1/) connections = ""
        rate[$2, $1] = $5 / (connections == 1000 ? 3 * seconds : seconds); group[$2, $1] = $6 > 0 ? $5 / $6 : 0
        ratio[$2, $1] = cost[$2, $1] / cost["nginx" connections, $1]
    }
    END {
        print "| server | processor time a call | times nginx | event loop | journal | calls a commit | calls a second |"
        print "| --- | --- | --- | --- | --- | --- | --- |"
        label["nginx"] = "nginx, a constant of the same length, HTTP/1.1"
        label["stream"] = "`tandemd`, an allocation over the stream"
        label["HTTP/1.1"] = "`tandemd`, an allocation over HTTP/1.1"
        label["batch"] = "`tandemd`, an allocation in batches of 100"
        label["nginx1"] = "nginx, one connection"; label["stream1"] = "`tandemd`, the stream, one connection"
        label["nginx1000"] = "nginx, 1,000 connections"; label["stream1000"] = "`tandemd`, the stream, 1,000 connections"
        count = split("nginx stream HTTP/1.1 batch nginx1 stream1 nginx1000 stream1000", names, " ")
        for (n = 1; n <= count; n++) {
            name = names[n]
            printf "| %s | %.1f µs | %.2f | ", label[name], medianOf(cost, name, rounds), medianOf(ratio, name, rounds)
            if (name ~ /^nginx/) printf "| | | "
            else printf "%.1f µs | %.1f µs | %.0f | ", medianOf(loop, name, rounds), medianOf(other, name, rounds), medianOf(group, name, rounds)
            printf "%.0f |\n", medianOf(rate, name, rounds)
        }
    }' "$work/rounds"
