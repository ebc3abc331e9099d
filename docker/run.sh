#!/bin/bash
# Builds Tandem, starts a server with development certificates, and has it hand out addresses for docker/examples. PORT is its port;
# with ONCE=1 it ends behind that; BIN names a folder with programs that are built already.
set -eu
cd "$(dirname "$0")/.."
port=${PORT:-8443}
data=$PWD/.tandem certificates=$PWD/certs/dev

docker/deps.sh
bin=${BIN:-}
[ -n "$bin" ] || {
    echo "Building (the first time takes some minutes)"
    TANDEM_COMMIT=$(docker/commit.sh)
    export TANDEM_COMMIT
    swift build -c release --product tandemd
    swift build -c release --product tandemctl
    bin=$(swift build -c release --show-bin-path)
}
certs/generate.sh certs/dev

# Ctrl-C at a terminal is for the server alone, which then drains; the caller of this script sees it exit with success.
[ ! -t 0 ] || set -m
# Load balancers draw from the first range of a family that has room. The second one has the address that docker/examples/cluster.json
# shows, so that its adoption finds the address free.
"$bin/tandemd" \
    --service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112 \
    --cluster-cidr=10.244.0.0/16,fd00:10:244::/56 \
    --load-balancer-ip-range=192.0.2.0/24,198.51.100.0/24,2001:db8::/112 \
    --secure-port="$port" --data-dir="$data" \
    --tls-cert-file="$certificates/server.crt" --tls-private-key-file="$certificates/server.key" \
    --client-ca-file="$certificates/ca.crt" &
server=$!
trap 'kill -TERM $server 2>/dev/null || true' INT TERM HUP

export TANDEM_CONFIG=$data/contexts.yaml
unset TANDEM_SERVER TANDEM_CA_FILE TANDEM_CERT_FILE TANDEM_KEY_FILE
until "$bin/tandemctl" health --server "127.0.0.1:$port" --ca-file "$certificates/ca.crt" >/dev/null 2>&1; do
    # The server itself has printed the cause.
    kill -0 $server 2>/dev/null || { trap - INT TERM HUP; wait $server; exit 1; }
    sleep 0.1
done
"$bin/tandemctl" config set-context dev --server "127.0.0.1:$port" --ca-file "$certificates/ca.crt" \
    --cert-file "$certificates/admin.crt" --key-file "$certificates/admin.key"
"$bin/tandemctl" config use-context dev

echo
"$bin/tandemctl" apply -f docker/examples/services.yaml -f docker/examples/nodes.yaml -f docker/examples/pods.yaml
for kind in services nodes pods pools; do
    echo
    "$bin/tandemctl" get $kind -o wide
done
cat <<END

Serving on https://127.0.0.1:$port until Ctrl-C; everything is kept in $data. Try next, in another terminal:

  export PATH="$bin:\$PATH" TANDEM_CONFIG="$TANDEM_CONFIG"
  tandemctl get service my-service -o yaml

  curl --cacert $certificates/ca.crt --cert $certificates/admin.crt --key $certificates/admin.key https://127.0.0.1:$port/rpc -d \\
    '{"jsonrpc":"2.0","id":1,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"web"},"spec":{"ipFamilyPolicy":"PreferDualStack"}}}}'

END

[ -z "${ONCE:-}" ] || kill -TERM $server
if [ -t 0 ]; then
    fg %1 >/dev/null
else
    # A signal ends the first wait; the second one sees the drain through.
    wait $server || wait $server
fi
