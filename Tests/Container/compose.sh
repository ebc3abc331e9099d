#!/bin/bash
# Starts docker/compose.etcd.yaml and docker/compose.yaml, as they are, by podman-compose, and calls the servers while members
# are killed:
#
#   Tests/Container/compose.sh IMAGE.tar [FOLDER]   IMAGE.tar: the server's image, as `podman save` writes it;
#                                                   FOLDER: docker/ and certs/ are taken from there (default: this one)
#
# The other images are made here, of programs of this machine or of Debian's packages, and named as the files name them; nothing
# comes from a registry of images. Containers, volumes, networks and ports are in namespaces that end with the script.
# Skipped, with a word why, where it can't be done.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "compose test skipped: $1"
    exit 0
}
fail() {
    echo "compose test FAILED: $1" >&2
    exit 1
}
[ $# -ge 1 ] && [ -f "$1" ] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }

if [ -z "${COMPOSE_TEST_INSIDE:-}" ]; then
    for tool in podman runc conmon unshare setpriv ip iptables python3 openssl curl; do
        command -v $tool >/dev/null || skip "$tool is missing"
    done
    [ "$(id -u)" -eq 0 ] || skip "only root can make networks"
    docker/deps.sh --compose
    composer=$PWD/.build/tools/podman-compose
    [ -e "$composer/podman_compose.py" ] ||
        timeout 120 python3 -m pip install --disable-pip-version-check -q --target "$composer" podman-compose==1.6.0 2>/dev/null ||
        skip "podman-compose can't be fetched (pip install podman-compose)"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # Whatever a failure leaves, processes and rules, ends with these namespaces.
    COMPOSE_TEST_INSIDE=yes PYTHONPATH=$composer work=$work \
        unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$(realpath "$1")" "$(realpath "${2:-.}")"
    exit
fi

ip link set lo up
# Folders of podman's that no setting moves: the names of network namespaces, and those of containers for aardvark-dns.
for folder in netns containers; do mkdir -p /run/$folder && mount -t tmpfs compose-test /run/$folder; done
tools=$PWD/.build/tools
PATH=$PATH:$tools/usr/bin:$tools/bin
# Storage, locks and networks of its own: nothing of the user's is seen or touched.
export CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_CONF=$work/containers.conf
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$work/images" "$work/run" >"$work/storage.conf"
cat >"$work/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=1024:1024"]
[network]
network_backend = "netavark"
network_config_dir = "$work/networks"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
lock_type = "file"
helper_binaries_dir = ["/usr/libexec/podman", "/usr/lib/podman", "/usr/local/libexec/podman", "$tools/usr/lib/podman"]
tmp_dir = "$work/tmp"
volume_path = "$work/volumes"
CONF
# podman leaves health checks to systemd's timers; the test runs them itself.
export DISABLE_HC_SYSTEMD=true
compose() { env UID=1000 python3 -m podman_compose "$@" >>"$work/log" 2>&1 || { tail -n 30 "$work/log"; fail "podman-compose $*"; }; }
project=
end() {
    status=$?
    [ $status -eq 0 ] || [ -z "$project" ] || for name in $(podman ps --all --format '{{.Names}}'); do
        echo "-- $name" && podman logs --tail 8 "$name" 2>&1 | cut -c 1-300
    done
    podman rm --all --force --time 1 >/dev/null 2>&1 || true
}
trap end EXIT

# image NAME PROGRAM [CONFIGURATION...]: an image of a program and its libraries.
image() {
    local name=$1 program=$2
    shift 2
    mkdir -p "$work/root/tmp"
    { ldd "$program" 2>/dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r library; do cp -L --parents "$library" "$work/root"; done
    install -D "$program" "$work/root/usr/local/bin/$(basename "$program")"
    tar -C "$work/root" -c . | podman import --quiet "${@/#/--change=}" - "$name" >/dev/null
    rm -r "$work/root"
}
# The newer etcd of `make etcd-test`, where it is there.
etcd=$(find "$tools" -path '*/etcd-3.5/*' -name etcd -type f 2>/dev/null | head -n 1)
[ -n "$etcd" ] || etcd=$(command -v etcd) || skip "etcd is missing"
busybox=$(command -v busybox) || skip "busybox is missing"
podman load --quiet --input "$1" >/dev/null
podman tag "$(podman images --quiet | head -n 1)" localhost/tandem
image registry.k8s.io/pause:3.10 "$busybox" 'ENTRYPOINT ["/usr/local/bin/busybox", "sh", "-c", "trap exit TERM; /usr/local/bin/busybox sleep infinity & wait"]'
image quay.io/coreos/etcd:v3.5.21 "$etcd"
podman network create probe >/dev/null 2>"$work/log" &&
    podman run --rm --network probe --entrypoint '["/usr/local/bin/busybox", "true"]' registry.k8s.io/pause:3.10 2>"$work/log" ||
    skip "containers can't have a network here: $(tail -n 1 "$work/log")"
podman network rm probe >/dev/null

# The user's files. The user has no rights over others' and is in no group of theirs.
mkdir "$work/user"
cp -r "$2/docker" "$2/certs" "$work/user"
rm -rf "$work/user/certs/dev"
chmod a+rx "$work"
chown -R 1000:1000 "$work/user"
cd "$work/user"
certificates() { setpriv --reuid 1000 --regid 1000 --clear-groups certs/generate.sh "$@" >/dev/null; }

# soon SECONDS COMMAND...: until it succeeds.
soon() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >"$work/answer" 2>&1; do
        [ $SECONDS -lt $end ] || { cat "$work/answer"; fail "still not: $*"; }
        sleep 0.2
    done
}
# ctl CONTAINER SERVERS ARGUMENTS...: as the administrator, in a container.
ctl() {
    local container=$1 servers=$2
    shift 2
    podman exec --interactive "$container" /usr/local/bin/tandemctl "$@" --server "$servers" --cert-file /certs/admin.crt \
        --key-file /certs/admin.key
}
# By the port that is published on this machine, for which the certificate is.
ready() { curl -sSf --max-time 5 --cacert certs/dev/ca.crt "https://127.0.0.1:$1/readyz"; }
# The process is killed from outside, as by the kernel where memory ends; the file has it started again.
crash() {
    local before=$(podman inspect --format '{{.State.Pid}}' "$1")
    kill -KILL "$before"
    soon 30 restarted "$1" "$before"
}
restarted() {
    local now=$(podman inspect --format '{{.State.Running}} {{.State.Pid}}' "$1")
    [ "${now% *}" = true ] && [ "${now#* }" != "$2" ]
}
nothing_left() {
    [ -z "$(podman ps --all --quiet)" ] || fail "containers are left: $(podman ps --all --format '{{.Names}}')"
    [ -z "$(podman volume ls --quiet)" ] || fail "volumes are left: $(podman volume ls --quiet)"
    [ "$(podman network ls --format '{{.Name}}')" = podman ] || fail "networks are left: $(podman network ls --format '{{.Name}}')"
}
three_servers() {
    ctl "$(name tandem-2)" "$all" get servers | tee "$work/servers"
    [ "$(awk '{ print $3 }' "$work/servers" | sort | uniq -c | xargs)" = "1 READY 3 true" ] && grep -q :8443 "$work/servers" &&
        grep -q :8444 "$work/servers" && grep -q :8445 "$work/servers"
}
name() { podman ps --all --format '{{.Names}}' --filter "label=com.docker.compose.service=$1"; }

echo "== docker/compose.etcd.yaml"
certificates
project=(-p tandem-etcd -f docker/compose.etcd.yaml)
compose "${project[@]}" up --detach --no-build
[ "$(podman ps --quiet | wc -l)" -eq 7 ] || fail "$(podman ps --quiet | wc -l) containers run, not 7"
for member in 0 1 2; do
    soon 60 podman healthcheck run "$(name tandem-$member)"
    ready 844$((3 + member)) >/dev/null
done
all=127.0.0.1:8443,127.0.0.1:8444,127.0.0.1:8445
service() { printf 'apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {ipFamilyPolicy: RequireDualStack, ports: [{port: 80}]}\n' "$1"; }
addresses() { ctl "$(name "tandem-$1")" "127.0.0.1:844$((3 + $1))" get service "$2" --output 'jsonpath={.spec.clusterIPs}'; }
service web | ctl "$(name tandem-0)" 127.0.0.1:8443 apply --filename -
given=$(addresses 1 web)
[[ "$given" == *10.*fd00:10:96::* ]] || fail "the Service's addresses: $given"
[ "$(addresses 2 web)" = "$given" ] || fail "another server has other addresses: $(addresses 2 web), not $given"

crash "$(name etcd-0)"
crash "$(name tandem-0)"
service shop | ctl "$(name tandem-1)" "$all" apply --filename -
soon 60 podman healthcheck run "$(name tandem-0)"
ready 8443 >/dev/null
[ "$(addresses 0 web)" = "$given" ] || fail "after the crash $(addresses 0 web), before it $given"
[ "$(addresses 0 shop)" = "$(addresses 2 shop)" ] || fail "two servers differ: $(addresses 0 shop), $(addresses 2 shop)"
[ "$(addresses 0 shop)" != "$given" ] || fail "two Services have one address"
# The killed one is listed until its lease ends.
soon 60 three_servers
cat "$work/answer"
ctl "$(name tandem-2)" "$all" check

# The second time over the same volumes.
compose "${project[@]}" down
compose "${project[@]}" up --detach --no-build
soon 60 podman healthcheck run "$(name tandem-2)"
[ "$(addresses 2 web)" = "$given" ] || fail "after down and up $(addresses 2 web), before them $given"
compose "${project[@]}" down --volumes
nothing_left

echo "== docker/compose.yaml"
certificates --names DNS:tandem
project=(-p tandem -f docker/compose.yaml)
compose "${project[@]}" up --detach --no-build tandem
soon 60 podman healthcheck run "$(name tandem)"
ready 8443 >/dev/null
# The load once more, now that the server is certainly ready: before podman 4.6 there is no wait for a healthy one.
services=(load)
if prometheus=$(command -v prometheus); then
    # The data as upstream's image has it: in the working directory. Debian's has another place for it.
    image docker.io/prom/prometheus:v2.53.4 "$prometheus" 'ENTRYPOINT ["/usr/local/bin/prometheus", "--storage.tsdb.path=data/"]' \
        'USER 65534:65534' 'WORKDIR /prometheus'
    services+=(prometheus)
else
    echo "without Prometheus: it is missing"
fi
compose "${project[@]}" up --detach --no-build --no-recreate "${services[@]}"
metric() {
    curl -sSf --cacert certs/dev/ca.crt --cert certs/dev/viewer.crt --key certs/dev/viewer.key https://127.0.0.1:8443/metrics |
        grep -E "$1"
}
# More than one: the load creates and deletes objects for ten minutes.
soon 60 metric '^tandem_calls_total.* [1-9][0-9]{2}'
[ "$(podman inspect --format '{{.State.Running}}' "$(name load)")" = true ] || fail "the load has ended"
# Prometheus has scraped the server by its name, and has read the rules.
up() { curl -sSf "http://127.0.0.1:9090/api/v1/query?query=up" | grep -F '"tandem:8443"' | grep -F ',"1"]'; }
if [ -n "$prometheus" ]; then
    soon 60 up
    curl -sSf http://127.0.0.1:9090/api/v1/rules | grep -qF TandemNotReady || fail "Prometheus has no rules"
fi
compose "${project[@]}" down --volumes
nothing_left
project=
echo "compose test passed"
