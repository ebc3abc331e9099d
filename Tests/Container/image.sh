#!/bin/bash
# Builds the images of docker/Dockerfile and runs them as a user would: buildah and podman, on base images that are made here
# and tagged as the Dockerfile names them; nothing comes from a registry of images.
#
#   debian:bookworm-slim   out of Debian's packages, by debootstrap
#   swift:X-bookworm       the same with the packages that Swift needs; this machine's Swift is lent to the build
#
# compose.sh beside this runs the compose files with the server's image.
#
# Takes some minutes: a static release build of everything. Skipped, with a word why, where it can't be done.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "image test skipped: $1"
    exit 0
}
fail() {
    echo "image test FAILED: $1" >&2
    exit 1
}
for tool in buildah podman runc debootstrap swift curl python3 openssl; do
    command -v $tool >/dev/null || skip "$tool is missing; apt-get install buildah podman runc debootstrap"
done
[ "$(id -u)" -eq 0 ] || skip "only root can make base images"

work=$(mktemp -d)
# Storage of its own: no image or container of the user's is seen or touched.
export CONTAINERS_STORAGE_CONF=$work/storage.conf
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$work/images" "$work/run" >"$work/storage.conf"
podman() { command podman --runtime runc --cgroup-manager cgroupfs "$@"; }
build() { nice -n 10 buildah bud --format docker --isolation chroot --network host --pull-never "$@"; }
# The server's own port on loopback: containers share the network of this machine, as the test may not make another.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
run=(--network host --ulimit nofile=4096:4096 --ulimit nproc=1024:1024 --read-only --cap-drop all
    --security-opt no-new-privileges --no-healthcheck) # nothing here would run them: podman leaves that to systemd
end() {
    podman rm --all --force --time 1 >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap end EXIT

echo "== debian:bookworm-slim"
debootstrap --variant=minbase --include=ca-certificates bookworm "$work/debian" >"$work/log" 2>&1 ||
    skip "debootstrap: $(tail -n 1 "$work/log")"
rm -rf "$work"/debian/usr/share/{doc,man,locale} "$work"/debian/var/{cache/apt,lib/apt/lists}/*
tar -C "$work/debian" -c . | podman import --quiet - docker.io/library/debian:bookworm-slim >/dev/null
rm -rf "$work/debian"
podman run --rm "${run[@]}" docker.io/library/debian:bookworm-slim true 2>"$work/log" ||
    skip "containers can't run here: $(tail -n 1 "$work/log")"

swift_version=$(sed -n 's/^ARG SWIFT_VERSION=//p' docker/Dockerfile)
echo "== swift:$swift_version-bookworm"
toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")
mkdir "$work/swift"
# Where git reads packages from another place, so does the build.
git config --list | sed -n 's/^url\.\(.*\)\.insteadof=\(.*\)$/\1 \2/p' >"$work/mirrors"
lent=(--volume "$toolchain:$toolchain:ro")
while read -r mirror address; do
    git config --file "$work/swift/gitconfig" --add "url.$mirror.insteadOf" "$address"
    if [ -d "$mirror" ]; then lent+=(--volume "${mirror%/}:${mirror%/}:ro"); fi
done <"$work/mirrors"
[ ! -s "$work/swift/gitconfig" ] || git config --file "$work/swift/gitconfig" safe.directory '*'
touch "$work/swift/gitconfig"
cat >"$work/swift/Dockerfile" <<SWIFT
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends binutils gcc git libc6-dev libcurl4 libedit2 libncurses6 \
    libpython3.11 libstdc++-12-dev libxml2 tzdata zlib1g-dev && rm -rf /var/lib/apt/lists/*
COPY gitconfig /etc/gitconfig
ENV PATH=$toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
SWIFT
build -t "docker.io/library/swift:$swift_version-bookworm" "$work/swift" >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log"; fail "the builder's base"; }

# The committed files, as from a new clone.
mkdir "$work/source"
git archive HEAD | tar -x -C "$work/source"
for target in server node; do
    echo "== docker/Dockerfile, target $target"
    build --layers "${lent[@]}" -f "$work/source/docker/Dockerfile" \
        --ignorefile "$work/source/docker/Dockerfile.dockerignore" --target $target --build-arg REVISION=test \
        -t "localhost/tandem-$target" "$work/source" >"$work/log" 2>&1 || { tail -n 40 "$work/log"; fail "target $target"; }
    podman image inspect --format "size of $target: {{.Size}} bytes" "localhost/tandem-$target"
done
# Programs, their libraries and nothing else.
for target in server node; do
    size=$(podman image inspect --format '{{.Size}}' "localhost/tandem-$target")
    [ "$size" -lt 140000000 ] || fail "the image of the $target has $size bytes, 140 MB at most are wanted"
done

echo "== the image's metadata"
inspect() { podman image inspect --format "$1" localhost/tandem-server; }
[ "$(inspect '{{.User}}')" = 65532:65532 ] || fail "it runs as $(inspect '{{.User}}')"
[ "$(inspect '{{range $k, $v := .Config.Volumes}}{{$k}} {{end}}')" = "/var/lib/tandem " ] || fail "its volumes"
[ "$(inspect '{{index .Labels "org.opencontainers.image.revision"}}')" = test ] || fail "its labels"
for program in tandemd tandemctl tandem-controller tandem-load; do
    podman run --rm "${run[@]}" --entrypoint /usr/local/bin/$program localhost/tandem-server --help >"$work/log" 2>&1 ||
        { cat "$work/log"; fail "$program does not run"; }
done
podman run --rm "${run[@]}" localhost/tandem-server --version

certs/generate.sh "$work/certs" >/dev/null
chmod a+rx "$work"
chmod -R a+rX "$work/certs"
mkdir "$work/backup" && chown 65532:65532 "$work/backup"
server() {
    local name=$1 volume=$2
    shift 2
    podman run --detach --name "$name" "${run[@]}" --volume "$volume:/var/lib/tandem" --volume "$work/certs:/certs:ro" \
        --volume "$work/backup:/backup" --env TANDEM_TLS_CERT_FILE=/certs/server.crt --env TANDEM_TLS_PRIVATE_KEY_FILE=/certs/server.key \
        --env TANDEM_CLIENT_CA_FILE=/certs/ca.crt --env TANDEM_CA_FILE=/certs/ca.crt --env TANDEM_BIND_ADDRESS=127.0.0.1 \
        localhost/tandem-server --service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112 \
        --cluster-cidr=10.244.0.0/16,fd00:10:244::/48 --secure-port="$port" "$@" >/dev/null
    for _ in $(seq 300); do
        ! probe "$name" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    podman logs "$name"
    fail "$name does not become ready"
}
probe() { podman exec "$1" /usr/local/bin/tandemctl health --server "127.0.0.1:$port"; }
call() {
    curl -sS --cacert "$work/certs/ca.crt" --cert "$work/certs/admin.crt" --key "$work/certs/admin.key" \
        "https://127.0.0.1:$port/rpc" -H 'Content-Type: application/json' -d "$1"
}
web='{"jsonrpc":"2.0","id":1,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"web"},"spec":{"ipFamilyPolicy":"RequireDualStack"}}}}'
addresses() { call "$web" | python3 -c 'import json,sys; r = json.load(sys.stdin)["result"]; print(*r["service"]["spec"]["clusterIPs"], r.get("replayed", False))'; }
stop() {
    podman stop --time 30 "$1" >/dev/null
    [ "$(podman inspect --format '{{.State.ExitCode}}' "$1")" = 0 ] || fail "$1 ended with $(podman inspect --format '{{.State.ExitCode}}' "$1")"
    podman rm "$1" >/dev/null
}

echo "== it serves, and the volume outlives the container"
server first tandem-data
probe first
[ "$(podman image inspect --format '{{json .HealthCheck.Test}}' localhost/tandem-server)" = \
    '["CMD","/usr/local/bin/tandemctl","health","--server","127.0.0.1:8443"]' ] || fail "its health check"
given=$(addresses)
[ "${given##* }" = False ] || fail "an address before its allocation: $given"
podman exec first /usr/local/bin/tandemctl --version
! podman exec first /usr/local/bin/tandemctl backup /etc/x --server "127.0.0.1:$port" --cert-file /certs/admin.crt \
    --key-file /certs/admin.key >"$work/log" 2>&1 || fail "the root file system can be written"
grep -q 'Read-only file system' "$work/log" || { cat "$work/log"; fail "a backup into the root file system"; }
! podman exec first /bin/sh -c true 2>/dev/null || fail "there is a shell"
stop first
# An upgrade: another image, the same volume. (A new REVISION would do, but buildah then takes its layer of before.)
build --layers "${lent[@]}" -f "$work/source/docker/Dockerfile" --ignorefile "$work/source/docker/Dockerfile.dockerignore" \
    --target server --label org.opencontainers.image.revision=next -t localhost/tandem-server "$work/source" >"$work/log" 2>&1 || fail "the upgrade"
[ "$(inspect '{{index .Labels "org.opencontainers.image.revision"}}')" = next ] || fail "the upgrade's labels"
server second tandem-data
[ "$(addresses)" = "${given% *} True" ] || fail "after the upgrade $(addresses), before it $given"

echo "== a backup is restored elsewhere"
podman run --rm "${run[@]}" --volume "$work/certs:/certs:ro" --volume "$work/backup:/backup" --env TANDEM_CA_FILE=/certs/ca.crt \
    --env TANDEM_CERT_FILE=/certs/admin.crt --env TANDEM_KEY_FILE=/certs/admin.key --env "TANDEM_SERVER=127.0.0.1:$port" \
    --entrypoint /usr/local/bin/tandemctl localhost/tandem-server backup /backup/tandem.db
stop second
server third elsewhere --restore=/backup/tandem.db
[ "$(addresses)" = "${given% *} True" ] || fail "after the restore $(addresses), before it $given"
stop third

echo "== it serves as another user of group 0, as in docker/compose.yaml"
run+=(--user 1000:0)
server fourth another
probe fourth
stop fourth

echo "== docker/compose.etcd.yaml and docker/compose.yaml"
podman save --quiet --format docker-archive --output "$work/tandem.tar" localhost/tandem-server
Tests/Container/compose.sh "$work/tandem.tar" "$work/source"
rm "$work/tandem.tar"

echo "== the node's image installs the plugin"
mkdir "$work/bin"
podman run --rm --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --read-only --volume "$work/bin:/host/opt/cni/bin" \
    localhost/tandem-node /usr/local/bin/install-cni
"$work/bin/tandem-cni" --version
podman run --rm --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --read-only \
    localhost/tandem-node tandemctl --version
podman run --rm --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --read-only localhost/tandem-node nft --version
# Without a server the rules stay as they are, and it tries again until it is told to end.
podman run --detach --name masquerade --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --read-only \
    --volume "$work/certs:/certs:ro" --env TANDEM_CA_FILE=/certs/ca.crt --env TANDEM_CERT_FILE=/certs/admin.crt \
    --env TANDEM_KEY_FILE=/certs/admin.key --env NODE_NAME=n1 --env MASQUERADE_SECONDS=1 --env TANDEM_SERVER=127.0.0.1:1 \
    localhost/tandem-node >/dev/null
for _ in $(seq 100); do [ "$(podman logs masquerade 2>&1 | grep -c refused)" -lt 2 ] || break; sleep 0.1; done
[ "$(podman logs masquerade 2>&1 | grep -c refused)" -ge 2 ] || { podman logs masquerade; fail "masquerade does not try again"; }
stop masquerade

echo "image test passed"
