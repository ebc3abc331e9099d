#!/bin/bash
# Runs the tests that need a real kube-apiserver. Where the programs are not in the cache it says so and ends well:
# Tests/Cluster/build-kubernetes.sh builds them, once.
set -eu
cd "$(dirname "$0")/../.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tandem-tests
for program in kube-apiserver kube-controller-manager; do
    [ -x "$cache/$program" ] || {
        echo "Skipped: there is no $cache/$program; Tests/Cluster/build-kubernetes.sh builds it in some ten minutes"
        exit 0
    }
done
docker/deps.sh --etcd
[ -x .build/tools/usr/bin/etcd ] || command -v etcd >/dev/null || {
    echo "Skipped: there is no etcd; Debian's etcd-server can't be fetched"
    exit 0
}
swift build --build-tests
# Seconds for which programs are killed at random.
export TANDEM_KILL_SECONDS=${TANDEM_KILL_SECONDS:-300}
TANDEM_CLUSTER=$cache swift test --skip-build --filter ^ClusterTests
