#!/bin/sh
# Installs what the build needs and this machine lacks: OpenSSL's and SQLite's headers, and the openssl program; with --tests
# what the tests need as well, with --bench what the benchmarks do.
set -eu

missing=
[ -e /usr/include/openssl/ssl.h ] || missing="$missing libssl-dev"
[ -e /usr/include/sqlite3.h ] || missing="$missing libsqlite3-dev"
command -v pkg-config >/dev/null || missing="$missing pkg-config"
command -v openssl >/dev/null || missing="$missing openssl"
[ "${1:-}" != --tests ] || {
    command -v curl >/dev/null || missing="$missing curl"
    command -v python3 >/dev/null || missing="$missing python3"
    # The network test makes hosts of its own, which only root may.
    [ "$(id -u)" -ne 0 ] || {
        [ -x /usr/lib/cni/bridge ] || missing="$missing containernetworking-plugins"
        command -v ip >/dev/null || missing="$missing iproute2"
        command -v nft >/dev/null || missing="$missing nftables"
        command -v iptables >/dev/null || missing="$missing iptables"
        command -v ping >/dev/null || missing="$missing iputils-ping"
    }
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
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
    command -v sudo >/dev/null || as_root=none
fi
if ! command -v apt-get >/dev/null || [ "$as_root" = none ]; then
    echo "These packages are missing, and this user may not install them:$missing" >&2
    echo "Have an administrator run: apt-get install$missing" >&2
    exit 1
fi
echo "Installing$missing"
$as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null || {
    echo "The installation failed; run it by hand: apt-get install$missing" >&2
    exit 1
}
