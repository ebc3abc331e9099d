#!/bin/bash
# CPU time of the server per call, in one run on one core: nginx answering a constant over HTTPS, and tandemd allocating
# durably over the stream and over HTTP/1.1. The load runs on the other core. Needs nginx (Debian's nginx-light).
#
#   Tests/Benchmarks/end-to-end.sh [SECONDS [ROUNDS]]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-5}
rounds=${2:-3}
for product in tandemd tandem-load; do swift build -c release --product $product >/dev/null; done
bin=$(swift build -c release --show-bin-path)
certs/generate.sh certs/dev >/dev/null
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
export TANDEM_CA_FILE=certs/dev/ca.crt TANDEM_CERT_FILE=certs/dev/admin.crt TANDEM_KEY_FILE=certs/dev/admin.key
certs=$PWD/certs/dev

# As long as the answer to an allocation.
answer=$(printf '{"jsonrpc":"2.0","id":1,"result":{"x":"%0380d"}}' 0)
cat >"$work/nginx.conf" <<CONF
worker_processes 1; daemon off; pid $work/nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
    access_log off; keepalive_requests 100000000; default_type application/json;
    client_body_temp_path $work/a; proxy_temp_path $work/b; fastcgi_temp_path $work/c; uwsgi_temp_path $work/d; scgi_temp_path $work/e;
    server {
        listen 127.0.0.1:9443 ssl; ssl_certificate $certs/server.crt; ssl_certificate_key $certs/server.key;
        ssl_client_certificate $certs/ca.crt; ssl_verify_client optional; ssl_protocols TLSv1.3;
        location /rpc { return 200 '$answer'; }
    }
}
CONF
taskset -c 0 nginx -c "$work/nginx.conf" -p "$work" &
taskset -c 0 "$bin/tandemd" --service-cluster-ip-range=10.0.0.0/9,fd00:10:96::/104 --secure-port=9444 --event-loops=1 \
    --data-dir="$work/data" --tls-cert-file=$certs/server.crt --tls-private-key-file=$certs/server.key \
    --client-ca-file=$certs/ca.crt --log-level=error &
tandemd=$!
sleep 1
nginx=$(pgrep -P "$(cat "$work/nginx.pid")")

# Clock ticks (10 ms) that a process has used.
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# measure NAME PID PORT ARGUMENTS...
measure() {
    local name=$1 pid=$2 port=$3 before after calls
    shift 3
    before=$(ticks "$pid")
    taskset -c 1 "$bin/tandem-load" --server 127.0.0.1:"$port" --connections 32 --pipeline 1 --warm-up 0 \
        --duration "$seconds" --quiet --ignore-answers --json "$work/result.json" "$@" >/dev/null
    after=$(ticks "$pid")
    calls=$(sed -E 's/.*"calls":([0-9]+).*/\1/' "$work/result.json")
    echo "$name $((after - before)) $calls" | awk '{ printf "%-28s %8.1f us/call  %8.0f calls/s\n", $1, $2 * 10000 / $3, $3 / '"$seconds"' }'
}
for _ in $(seq "$rounds"); do
    measure nginx-constant "$nginx" 9443 --transport http
    measure tandemd-stream "$tandemd" 9444 --transport stream
    measure tandemd-http "$tandemd" 9444 --transport http
    measure tandemd-stream-batch100 "$tandemd" 9444 --transport stream --workload batch --connections 4
    sleep 1
done
