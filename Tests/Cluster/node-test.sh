#!/bin/bash
# Runs a whole Kubernetes node whose pods have their addresses from Tandem (node_test.py): etcd, Kubernetes 1.20, containerd, and Tandem,
# in namespaces of their own, of which nothing is left. Where something is missing it says so and ends well.
# Usage: Tests/Cluster/node-test.sh [life|growth]...; BIN names a folder with programs of Tandem's that are built already; KEEP=1 leaves
# the programs' logs there, and says where; TANDEM_PATIENCE is how long any one thing may take, in seconds (300).
set -euo pipefail
cd "$(dirname "$0")/../.."
skip() {
    echo "Skipped: $1"
    exit 0
}
[ "$(id -u)" -eq 0 ] || skip "only root may run containers"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tandem-tests
for program in kube-apiserver kube-controller-manager kube-scheduler kubelet; do
    [ -x "$cache/$program" ] ||
        skip "there is no $cache/$program; Tests/Cluster/build-kubernetes.sh builds it in some ten minutes of one core"
done
docker/deps.sh --node
tools=$PWD/.build/tools
export PATH=$PATH:/usr/sbin:/sbin:$tools/usr/bin:$tools/usr/sbin:$tools/bin
export CNI_PATH=/usr/lib/cni:/opt/cni/bin:$tools/usr/lib/cni
for program in containerd containerd-shim-runc-v2 ctr runc busybox etcd kubectl ip openssl python3 unshare; do
    command -v $program >/dev/null || skip "there is no $program, and Debian's package can't be fetched"
done
for plugin in bridge loopback; do
    found=
    for folder in ${CNI_PATH//:/ }; do [ ! -x "$folder/$plugin" ] || found=yes; done
    [ -n "$found" ] || skip "there is no CNI plugin $plugin, and Debian's containernetworking-plugins can't be fetched"
done
[ -n "${BIN:-}" ] || {
    for program in tandemd tandemctl tandem-controller tandem-cni; do swift build --product $program; done
    BIN=$(swift build --show-bin-path)
}

scratch= child= made=
for folder in /sys/fs/cgroup /sys/fs/cgroup/*/; do [ -d "$folder/k8s.io" ] || made="$made $folder/k8s.io"; done
# All that containers leave outside of the namespaces, and the runtime's log names each of them: v1's cgroups, and v2's.
cgroups() {
    { grep -ohE '[0-9a-f]{64}' "$scratch/containerd.log" 2>/dev/null || true; } | sort -u | while read -r id; do
        for folder in /sys/fs/cgroup/k8s.io/"$id" /sys/fs/cgroup/*/k8s.io/"$id"; do [ ! -d "$folder" ] || echo "$folder"; done
    done
}
clean() {
    trap '' INT TERM HUP
    [ -z "$child" ] || {
        # The first process of the namespace ends with it, and all others with that one.
        kill -KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    }
    for _ in $(seq 100); do
        left=$(cgroups)
        [ -n "$left" ] || break
        # Until its last process is gone.
        rmdir $left 2>/dev/null || sleep 0.1
    done
    # Those that were not there before.
    for folder in $made; do rmdir "$folder" 2>/dev/null || true; done
    [ -z "$scratch" ] || [ -n "${KEEP:-}" ] || rm -rf "$scratch"
    child= scratch=
}
heed() {
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}
trap clean EXIT
heed

# Files of programs in places that can't be chosen stay in the namespace: they are written to a layer in memory.
inside='
set -eu
mkdir "$1/memory"
mount -t tmpfs tmpfs "$1/memory"
for folder in /run /var/lib /var/log; do
    mkdir -p "$1/memory$folder/upper" "$1/memory$folder/work"
    mount -t overlay overlay -o "lowerdir=$folder,upperdir=$1/memory$folder/upper,workdir=$1/memory$folder/work" "$folder"
done
PYTHONDONTWRITEBYTECODE=1 python3 Tests/Cluster/node_test.py "$0" "$@" || exit
'
for scenario in "${@:-life growth}"; do for scenario in $scenario; do
    scratch=$(mktemp -d /tmp/tandem-node.XXXXXX)
    [ -z "${KEEP:-}" ] || echo "logs: $scratch"
    unshare --net --mount --pid --fork --kill-child --mount-proc bash -c "$inside" "$scenario" "$scratch" "$BIN" "$cache" &
    child=$!
    status=0
    wait $child || status=$?
    clean
    heed
    [ $status -eq 0 ] || exit $status
done; done
echo "ok: Kubernetes $("$cache/kubelet" --version | sed 's/Kubernetes //'), $(containerd --version | cut -d' ' -f1,3), etcd $(etcd --version | sed -n 's/etcd Version: //p')"
