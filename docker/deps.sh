#!/bin/sh
# Installs the build's needs that this machine lacks: OpenSSL's and SQLite's headers, and the openssl program; with --tests
# the needs of the tests as well, with --bench those of the benchmarks, with --etcd those of
# `make run-etcd`, with --node those of `make node-test`, with --compose those of Tests/Container/compose.sh.
set -eu

missing=
# Packages without which a test is skipped.
wanted=
# The same, for programs whose files alone are enough: their packages would start services.
files=
tools=$(dirname "$0")/../.build/tools
[ -e /usr/include/openssl/ssl.h ] || missing="$missing libssl-dev"
[ -e /usr/include/sqlite3.h ] || missing="$missing libsqlite3-dev"
command -v pkg-config >/dev/null || missing="$missing pkg-config"
command -v openssl >/dev/null || missing="$missing openssl"
[ "${1:-}" != --tests ] || {
    command -v curl >/dev/null || missing="$missing curl"
    command -v python3 >/dev/null || missing="$missing python3"
    command -v sqlite3 >/dev/null || missing="$missing sqlite3"
    command -v spin >/dev/null || missing="$missing spin"
    command -v gcc >/dev/null || missing="$missing gcc"
    command -v groff >/dev/null || wanted="$wanted groff-base"
    command -v chromium >/dev/null || wanted="$wanted chromium"
    command -v docker-compose >/dev/null || wanted="$wanted docker-compose"
    if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
        command -v prometheus >/dev/null || [ -x "$tools/usr/bin/prometheus" ] || files="$files prometheus"
        command -v kubectl >/dev/null || [ -x "$tools/usr/bin/kubectl" ] || files="$files kubernetes-client"
        command -v etcd >/dev/null || [ -x "$tools/usr/bin/etcd" ] || files="$files etcd-server"
        command -v etcdctl >/dev/null || [ -x "$tools/usr/bin/etcdctl" ] || files="$files etcd-client"
    fi
    # The network test makes hosts of its own, which only root may.
    [ "$(id -u)" -ne 0 ] || {
        [ -x /usr/lib/cni/bridge ] || wanted="$wanted containernetworking-plugins"
        command -v ip >/dev/null || wanted="$wanted iproute2"
        command -v nft >/dev/null || wanted="$wanted nftables"
        command -v iptables >/dev/null || wanted="$wanted iptables"
        command -v ping >/dev/null || wanted="$wanted iputils-ping"
    }
}
[ "${1:-}" != --etcd ] || {
    command -v etcd >/dev/null || [ -x "$tools/usr/bin/etcd" ] || files="$files etcd-server"
}
[ "${1:-}" != --node ] || {
    # Wherever Debian's packages put it, or theirs are unpacked.
    PATH=$PATH:/usr/sbin:/sbin:$tools/usr/bin:$tools/usr/sbin:$tools/bin
    command -v containerd >/dev/null || files="$files containerd"
    command -v runc >/dev/null || files="$files runc"
    command -v busybox >/dev/null || files="$files busybox-static"
    command -v etcd >/dev/null || files="$files etcd-server"
    command -v kubectl >/dev/null || files="$files kubernetes-client"
    [ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || [ -x "$tools/usr/lib/cni/bridge" ] || files="$files containernetworking-plugins"
    command -v ip >/dev/null || wanted="$wanted iproute2"
    command -v python3 >/dev/null || wanted="$wanted python3"
}
[ "${1:-}" != --compose ] || {
    for folder in /usr/libexec/podman /usr/lib/podman /usr/local/libexec/podman "$tools/usr/lib/podman"; do
        PATH=$PATH:$folder
    done
    command -v netavark >/dev/null || files="$files netavark"
    command -v aardvark-dns >/dev/null || files="$files aardvark-dns"
    command -v busybox >/dev/null || [ -x "$tools/bin/busybox" ] || files="$files busybox-static"
    command -v etcd >/dev/null || [ -x "$tools/usr/bin/etcd" ] || files="$files etcd-server"
}
[ "${1:-}" != --bench ] || {
    command -v nginx >/dev/null || missing="$missing nginx-light"
    command -v pgrep >/dev/null || missing="$missing procps"
    [ -x /usr/lib/cni/host-local ] || missing="$missing containernetworking-plugins"
}

command -v swift >/dev/null || {
    echo "Swift 6.1 or newer is missing; install it from https://www.swift.org/install/linux/" >&2
    exit 1
}
# Fetches as many of `files` as it can, and leaves the rest there. Needs no root where the lists of packages are there; else once
# they are.
fetch() {
    rest=
    mkdir -p "$tools"
    for package in $files; do
        (cd "$tools" && apt-get download -qq "$package" 2>/dev/null && dpkg-deb -x "$package"_*.deb . && rm "$package"_*.deb) ||
            rest="$rest $package"
    done
    files=$rest
}
[ -z "$files" ] || fetch
[ -n "$missing$wanted$files" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
    command -v sudo >/dev/null || as_root=none
fi
# No password is asked for packages without which tests are only skipped.
if [ -z "$missing" ] && [ "$as_root" = sudo ] && ! sudo -n true 2>/dev/null; then as_root=none; fi
if ! command -v apt-get >/dev/null || [ "$as_root" = none ]; then
    [ -n "$missing" ] || {
        echo "Without these packages some tests are skipped:$wanted$files" >&2
        exit 0
    }
    echo "These packages are missing, and this user may not install them:$missing" >&2
    echo "Have an administrator run: apt-get install$missing" >&2
    exit 1
fi
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
echo "Installing$missing$wanted$files"
$as_root apt-get update -qq || true
[ -z "$missing" ] || install $missing || {
    echo "The installation failed; run it by hand: apt-get install$missing" >&2
    exit 1
}
[ -z "$files" ] || fetch
skipped=$files
for package in $wanted; do install "$package" 2>/dev/null || skipped="$skipped $package"; done
[ -z "$skipped" ] || echo "Without these packages some tests are skipped:$skipped" >&2
