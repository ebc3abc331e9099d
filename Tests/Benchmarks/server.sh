# For the scripts beside it: builds the server and the load, makes certificates, starts servers on core 0 and loads them from
# core 1. Sourced at the project's root; everything ends with the script.
for product in tandemd tandem-load; do swift build -c release --product $product >/dev/null; done
bin=$(swift build -c release --show-bin-path)
certs/generate.sh certs/dev >/dev/null
certs=$PWD/certs/dev
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
export TANDEM_CA_FILE=$certs/ca.crt TANDEM_CERT_FILE=$certs/admin.crt TANDEM_KEY_FILE=$certs/admin.key

# Sets `tandemd` to its process. Returns when it is ready.
start_tandemd() {
    taskset -c "${server_cores:-0}" "$bin/tandemd" --service-cluster-ip-range=10.0.0.0/9,fd00:10:96::/104 --secure-port="$1" \
        --event-loops=1 --data-dir="$work/data-$1" --tls-cert-file="$certs/server.crt" \
        --tls-private-key-file="$certs/server.key" --client-ca-file="$certs/ca.crt" --log-level="${log_level:-error}" \
        ${tandemd_options:-} 2>"${server_log:-/dev/stderr}" &
    tandemd=$!
    until curl -sf --cacert "$certs/ca.crt" "https://127.0.0.1:$1/readyz" >/dev/null; do sleep 0.1; done
}

# Answers every POST with a constant as long as the answer to an allocation. Sets `nginx` to the worker's process.
start_nginx() {
    local answer
    answer=$(printf '{"jsonrpc":"2.0","id":1,"result":{"x":"%0380d"}}' 0)
    cat >"$work/nginx.conf" <<CONF
worker_processes 1; daemon off; pid $work/nginx.pid; error_log stderr crit;
events { worker_connections 2048; }
http {
    access_log off; keepalive_requests 100000000; default_type application/json;
    client_body_temp_path $work/a; proxy_temp_path $work/b; fastcgi_temp_path $work/c; uwsgi_temp_path $work/d; scgi_temp_path $work/e;
    server {
        listen 127.0.0.1:$1 ssl; ssl_certificate $certs/server.crt; ssl_certificate_key $certs/server.key;
        ssl_client_certificate $certs/ca.crt; ssl_verify_client optional; ssl_protocols TLSv1.3;
        location /rpc { return 200 '$answer'; }
    }
}
CONF
    taskset -c 0 nginx -c "$work/nginx.conf" -p "$work" &
    until [ -s "$work/nginx.pid" ] && nginx=$(pgrep -P "$(cat "$work/nginx.pid")"); do sleep 0.1; done
}

load() {
    local port=$1
    shift
    taskset -c "${load_cores:-1}" "$bin/tandem-load" --keep --server "127.0.0.1:$port" "$@" >/dev/null
}

# The value of a metric; 0 where the server has none.
metric() {
    curl -sf --cacert "$certs/ca.crt" --cert "$certs/admin.crt" --key "$certs/admin.key" "https://127.0.0.1:$1/metrics" |
        awk -v name="$2" '$1 == name { value = $2 } END { print value + 0 }'
}

# Returns when a process has used less than a hundredth of a processor for a second.
wait_idle() {
    local before after
    after=$(awk '{ print $14 + $15 }' "/proc/$1/stat")
    until [ "$((after - ${before:=-100}))" -le 1 ]; do
        sleep 1
        before=$after
        after=$(awk '{ print $14 + $15 }' "/proc/$1/stat")
    done
}

commits() { metric "$1" tandem_journal_commits_total 2>/dev/null || echo 0; }
