#!/bin/bash
# Builds Tandem, starts three members of etcd and three servers over them, applies docker/examples through one, reads through
# another, kills the first, and reads again. PORT and ETCD_PORT are the first of three ports and of twenty; with ONCE=1 it ends
# behind that; BIN names a folder with programs that are built already.
set -eu
cd "$(dirname "$0")/.."
port=${PORT:-8443}
etcd_port=${ETCD_PORT:-12379}

docker/deps.sh --etcd
etcd=$(command -v etcd || echo "$PWD/.build/tools/usr/bin/etcd")
[ -x "$etcd" ] || {
    echo "There is no etcd, and none can be fetched: put one on the path, or install the package etcd-server" >&2
    exit 1
}
bin=${BIN:-}
[ -n "$bin" ] || {
    echo "Building (the first time takes some minutes)"
    swift build -c release --product tandemd
    swift build -c release --product tandemctl
    bin=$(swift build -c release --show-bin-path)
}
certs/generate.sh certs/dev

# Ctrl-C at a terminal is for this script alone, which ends the servers before the members.
[ ! -t 0 ] || set -m
work=$(mktemp -d)
servers=() etcds=()
stop() {
    kill "$@" 2>/dev/null || true
    wait "${@:2}" 2>/dev/null || true
}
finish() {
    trap - EXIT INT TERM HUP
    stop -TERM "${servers[@]}"
    # Nothing is kept, and a member whose others are gone may take minutes to end in good order.
    stop -KILL "${etcds[@]}"
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 0' INT TERM HUP

peers= members=
for i in 0 1 2; do
    peers=$peers${peers:+,}etcd-$i=http://127.0.0.1:$((etcd_port + 10 + i))
    members=$members${members:+,}http://127.0.0.1:$((etcd_port + i))
done
for i in 0 1 2; do
    url=http://127.0.0.1:$((etcd_port + i)) peer=http://127.0.0.1:$((etcd_port + 10 + i))
    "$etcd" --name=etcd-$i --data-dir="$work/etcd-$i" --listen-client-urls="$url" --advertise-client-urls="$url" \
        --listen-peer-urls="$peer" --initial-advertise-peer-urls="$peer" --initial-cluster="$peers" \
        --snapshot-count=5000 --logger=zap --log-outputs="$work/etcd-$i.log" >/dev/null 2>&1 &
    etcds[i]=$!
done
for i in 0 1 2; do
    until grep -q 'serving.*client' "$work/etcd-$i.log" 2>/dev/null; do
        kill -0 "${etcds[i]}" 2>/dev/null || {
            echo "A member of etcd ended; ETCD_PORT=n takes other ports than $etcd_port and the twenty behind it:" >&2
            tail -n 1 "$work/etcd-$i.log" >&2
            exit 1
        }
        sleep 0.1
    done
done
echo "etcd: three members, $members"

ports=()
for i in 0 1 2; do
    ports[i]=$((port + i))
    "$bin/tandemd" \
        --service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112 \
        --cluster-cidr=10.244.0.0/16,fd00:10:244::/56 \
        --load-balancer-ip-range=192.0.2.0/24,2001:db8::/112 \
        --etcd-servers="$members" --secure-port="${ports[i]}" \
        --tls-cert-file=certs/dev/server.crt --tls-private-key-file=certs/dev/server.key \
        --client-ca-file=certs/dev/ca.crt --log-level=warning &
    servers[i]=$!
done
export TANDEM_CA_FILE=certs/dev/ca.crt TANDEM_CERT_FILE=certs/dev/admin.crt TANDEM_KEY_FILE=certs/dev/admin.key
at() { TANDEM_SERVER=127.0.0.1:${ports[$1]} "$bin/tandemctl" "${@:2}"; }
for i in 0 1 2; do
    until at $i version >/dev/null 2>&1; do
        # The server itself has printed the cause.
        kill -0 "${servers[i]}" 2>/dev/null || exit 1
        sleep 0.1
    done
done
echo "Tandem: three servers, ports ${ports[*]}"

echo
echo "Applied through the first server:"
at 0 apply -f docker/examples/services.yaml -f docker/examples/nodes.yaml -f docker/examples/pods.yaml
show() {
    for kind in services nodes pods; do
        echo
        at "$1" get $kind -o wide
    done
}
echo
echo "Read through the second:"
show 1
# The shell's own word about it is no news.
{ kill -KILL "${servers[0]}"; wait "${servers[0]}"; } 2>/dev/null || true
echo
echo "The first server was killed. Read through the third, the same:"
show 2
cat <<END

Two servers go on at https://127.0.0.1:${ports[1]} and https://127.0.0.1:${ports[2]} until Ctrl-C; nothing is kept. A client that knows all
three goes to one that answers. Try next:

  export TANDEM_SERVER=127.0.0.1:${ports[0]},127.0.0.1:${ports[1]},127.0.0.1:${ports[2]}
  export TANDEM_CA_FILE=certs/dev/ca.crt TANDEM_CERT_FILE=certs/dev/admin.crt TANDEM_KEY_FILE=certs/dev/admin.key
  $bin/tandemctl delete service my-service
  $bin/tandemctl get services

END
[ -z "${ONCE:-}" ] || exit 0
wait
