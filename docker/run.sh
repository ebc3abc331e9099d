#!/bin/bash
# Builds Tandem, starts a server with development certificates, and has it hand out addresses for docker/examples.
set -eu
cd "$(dirname "$0")/.."
port=${PORT:-8443}

docker/deps.sh
echo "Building (the first time takes some minutes)"
swift build -c release --product tandemd
swift build -c release --product tandemctl
bin=$(swift build -c release --show-bin-path)
certs/generate.sh certs/dev

# Ctrl-C at a terminal is for the server alone, which then drains; what called this script sees it end well.
[ ! -t 0 ] || set -m
"$bin/tandemd" \
    --service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112 \
    --cluster-cidr=10.244.0.0/16,fd00:10:244::/56 \
    --load-balancer-ip-range=192.0.2.0/24,2001:db8::/112 \
    --secure-port="$port" --data-dir=.tandem \
    --tls-cert-file=certs/dev/server.crt --tls-private-key-file=certs/dev/server.key \
    --client-ca-file=certs/dev/ca.crt &
server=$!
trap 'kill -TERM $server 2>/dev/null || true' INT TERM HUP

export TANDEM_SERVER=127.0.0.1:$port TANDEM_CA_FILE=certs/dev/ca.crt
export TANDEM_CERT_FILE=certs/dev/admin.crt TANDEM_KEY_FILE=certs/dev/admin.key
until "$bin/tandemctl" version >/dev/null 2>&1; do
    # What kept it from starting it has said itself.
    kill -0 $server 2>/dev/null || { trap - INT TERM HUP; wait $server; exit 1; }
    sleep 0.1
done

echo
"$bin/tandemctl" apply -f docker/examples/services.yaml -f docker/examples/nodes.yaml -f docker/examples/pods.yaml
for kind in services nodes pods pools; do
    echo
    "$bin/tandemctl" get $kind -o wide
done
cat <<END

Serving on https://127.0.0.1:$port until Ctrl-C; everything is kept in ./.tandem. Try next:

  curl --cacert certs/dev/ca.crt --cert certs/dev/admin.crt --key certs/dev/admin.key https://127.0.0.1:$port/rpc -d \\
    '{"jsonrpc":"2.0","id":1,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"web"},"spec":{"ipFamilyPolicy":"PreferDualStack"}}}}'

  export TANDEM_SERVER=127.0.0.1:$port TANDEM_CA_FILE=certs/dev/ca.crt TANDEM_CERT_FILE=certs/dev/admin.crt TANDEM_KEY_FILE=certs/dev/admin.key
  $bin/tandemctl get service my-service -o yaml

END

if [ -t 0 ]; then
    fg %1 >/dev/null
else
    # A signal ends the first wait; the second one sees the drain through.
    wait $server || wait $server
fi
