#!/bin/bash
# Shows the Grafana dashboard with real data where there is no Grafana: a server over SQLite and three over etcd, each with some load, are
# scraped by Debian's Prometheus for SECONDS (240); render.py then asks it as Grafana would, and draws each panel at its place. The
# pages and their pictures, of one server and of three, are in DIRECTORY (.build/dashboards). Fails where a panel has no data.
#
#   Tests/Dashboards/render.sh [SECONDS [DIRECTORY]]
#
# BIN names a folder with programs that are built already. What is not installed is named, and nothing is done.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-240} out=${2:-.build/dashboards}
for program in prometheus etcd chromium python3; do
    command -v $program >/dev/null || { echo "Skipped: there is no $program"; exit 0; }
done
bin=${BIN:-}
[ -n "$bin" ] || {
    for product in tandemd tandemctl tandem-load; do swift build --product $product; done
    bin=$(swift build --show-bin-path)
}
certs/generate.sh certs/dev >/dev/null
certificates=$PWD/certs/dev
mkdir -p "$out"
work=$(mktemp -d)
loads=() servers=() others=()
finish() {
    trap - EXIT
    kill "${loads[@]}" 2>/dev/null || true
    wait "${loads[@]}" 2>/dev/null || true
    kill "${servers[@]}" 2>/dev/null || true
    wait "${servers[@]}" 2>/dev/null || true
    kill -KILL "${others[@]}" 2>/dev/null || true
    wait "${others[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# Four of the servers, six of etcd, one of Prometheus; free at this moment.
read -ra ports < <(python3 -c 'import socket
sockets = [socket.socket() for _ in range(11)]
for one in sockets: one.bind(("127.0.0.1", 0))
print(*[one.getsockname()[1] for one in sockets])')
peers= members=
for i in 0 1 2; do
    peers=$peers${peers:+,}etcd-$i=http://127.0.0.1:${ports[7 + i]}
    members=$members${members:+,}http://127.0.0.1:${ports[4 + i]}
done
for i in 0 1 2; do
    url=http://127.0.0.1:${ports[4 + i]} peer=http://127.0.0.1:${ports[7 + i]}
    etcd --name=etcd-$i --data-dir="$work/etcd-$i" --listen-client-urls="$url" --advertise-client-urls="$url" \
        --listen-peer-urls="$peer" --initial-advertise-peer-urls="$peer" --initial-cluster="$peers" \
        --snapshot-count=5000 --logger=zap --log-outputs="$work/etcd-$i.log" >/dev/null 2>&1 &
    others+=($!)
done
for i in 0 1 2; do
    until grep -q 'serving.*client' "$work/etcd-$i.log" 2>/dev/null; do
        kill -0 "${others[i]}" 2>/dev/null || { tail -n 1 "$work/etcd-$i.log" >&2; exit 1; }
        sleep 0.1
    done
done
for i in 0 1 2 3; do
    storage=--etcd-servers=$members
    [ $i -gt 0 ] || storage=--data-dir=$work/data
    nice "$bin/tandemd" --service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112 --cluster-cidr=10.244.0.0/18,fd00:10:244::/56 \
        --load-balancer-ip-range=192.0.2.0/24,2001:db8::/112 --service-node-port-range=30000-32767 "$storage" \
        --secure-port="${ports[i]}" --tls-cert-file="$certificates/server.crt" \
        --tls-private-key-file="$certificates/server.key" --client-ca-file="$certificates/ca.crt" \
        --audit-log-path="$work/audit-$i.log" --log-level=error &
    servers+=($!)
done
export TANDEM_CA_FILE=$certificates/ca.crt TANDEM_CERT_FILE=$certificates/admin.crt TANDEM_KEY_FILE=$certificates/admin.key
for i in 0 1 2 3; do
    until "$bin/tandemctl" health --server "127.0.0.1:${ports[i]}" >/dev/null 2>&1; do
        kill -0 "${servers[i]}" 2>/dev/null || exit 1
        sleep 0.1
    done
done

# The configuration of docker/, with a second job for the servers over etcd.
sed "s#/certs/#$certificates/#; s#tandem.rules.yaml#$PWD/docker/prometheus/&#; s#tandem:8443#127.0.0.1:${ports[0]}#" \
    docker/prometheus/prometheus.yaml >"$work/prometheus.yaml"
sed -n '/- job_name/,$p' "$work/prometheus.yaml" | sed "s#: tandem\$#: tandem-etcd#
    s#127.0.0.1:${ports[0]}#127.0.0.1:${ports[1]}, 127.0.0.1:${ports[2]}, 127.0.0.1:${ports[3]}#" >"$work/job"
cat "$work/job" >>"$work/prometheus.yaml"
prometheus --config.file="$work/prometheus.yaml" --storage.tsdb.path="$work/prometheus" \
    --web.listen-address="127.0.0.1:${ports[10]}" >"$work/prometheus.log" 2>&1 &
others+=($!)
echo "Prometheus at http://127.0.0.1:${ports[10]} for $seconds seconds"

# Of everything some: Services and pods that grow in number, watches, and now and then a node that comes and goes, Services with fixed
# and with drawn node ports, and calls that are refused.
load() {
    TANDEM_SERVER=$1 nice "$bin/tandem-load" --quiet --keep --warm-up 0 --duration "$seconds" "${@:2}" >/dev/null 2>&1 &
    loads+=($!)
}
service() {
    echo "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"$1\"}, \"spec\": {$2}}"
}
errands() {
    export TANDEM_SERVER=$1
    local i
    for i in $(seq $((seconds / 3))); do
        service fixed-"$i" '"type": "NodePort", "clusterIP": "10.96.0.10", "ports": [{"port": 80, "nodePort": 30080}]'
        service drawn-"$i" '"type": "LoadBalancer", "ipFamilyPolicy": "PreferDualStack", "ports": [{"port": 80}]'
    done >"$work/services-${1##*:}"
    for i in $(seq $((seconds / 3))); do
        sed -n "$((2 * i - 1)),$((2 * i))p" "$work/services-${1##*:}" >"$work/two-${1##*:}.json"
        nice "$bin/tandemctl" apply -n "team-$((i % 3))" -f "$work/two-${1##*:}.json" || true
        echo "{\"apiVersion\": \"v1\", \"kind\": \"Node\", \"metadata\": {\"name\": \"passing-$i\"}}" >"$work/node-${1##*:}.json"
        nice "$bin/tandemctl" apply -f "$work/node-${1##*:}.json" || true
        [ $((i % 2)) = 0 ] || nice "$bin/tandemctl" delete node "passing-$i" || true
        sleep 3
    done >/dev/null 2>&1
}
for i in 0 1 2 3; do
    load "127.0.0.1:${ports[i]}" --workload mixed --shares 50,20,30 --rate $((i > 0 ? 5 : 15)) --connections 2
    load "127.0.0.1:${ports[i]}" --workload pods --rate $((i > 0 ? 2 : 5)) --nodes 8 --connections 1
    TANDEM_SERVER=127.0.0.1:${ports[i]} "$bin/tandemctl" get services -A -w >/dev/null 2>&1 &
    loads+=($!)
done
for i in 0 1; do
    errands "127.0.0.1:${ports[i]}" &
    loads+=($!)
done
# A signal ends the wait, not the sleep.
sleep "$seconds" &
loads+=($!)
wait $!

failed=0
interval=$(sed -n 's/.*timeInterval: \([0-9]*\)s$/\1/p' docker/grafana/provisioning/datasources/*.yaml)
for job in tandem tandem-etcd; do
    [ $job = tandem ] && storage=--without-etcd || storage=
    python3 Tests/Dashboards/render.py --prometheus "http://127.0.0.1:${ports[10]}" --job $job --seconds "$seconds" \
        --interval "$interval" $storage docker/grafana/tandem.json "$out/$job.html" || failed=1
    height=$(sed -n 's/.*<body data-height="\([0-9]*\)".*/\1/p' "$out/$job.html")
    nice chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/chromium" \
        --window-size="1440,$height" --screenshot="$out/$job.png" "file://$(realpath "$out/$job.html")" >/dev/null 2>&1
done
exit $failed
