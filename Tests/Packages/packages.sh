#!/bin/bash
# Installs the packages of `make deb` into a clean root and uses them there: the server's user, its addresses, a node's pod, and the files left when
# the packages go. The root is Debian's own by debootstrap; where that can't be had, an empty one for dpkg, and only the packages' files are
# looked at. Skipped, with a word why, where it can't be done.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "package test skipped: $1"
    exit 0
}
fail() {
    echo "package test FAILED: $1" >&2
    exit 1
}
command -v dpkg-deb >/dev/null || skip "there is no dpkg-deb"
[ "$(id -u)" -eq 0 ] || skip "only root can install into another root"
ls .build/deb/*.deb >/dev/null 2>&1 || skip "there are no packages: make deb"

work=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    ! mountpoint -q "$work/root/proc" || umount "$work/root/proc"
    rm -rf "$work"
}
trap end EXIT
root=$work/root

# The unit, for a machine that has the programs where it says.
dpkg-deb -x .build/deb/tandem-server_*.deb "$work/unit"
if command -v systemd-analyze >/dev/null; then
    sed -i "s,/usr/bin/tandemd,$work/unit/usr/bin/tandemd,; s,^User=.*,User=root,; s,^Group=.*,Group=root," \
        "$work/unit/usr/lib/systemd/system/tandemd.service"
    systemd-analyze verify --man=no "$work/unit/usr/lib/systemd/system/tandemd.service" || fail "the unit is not accepted"
    echo "the unit is accepted by systemd-analyze verify"
fi

suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
if command -v debootstrap >/dev/null &&
    debootstrap --variant=minbase --include=openssl,adduser,libssl3,libsqlite3-0,libstdc++6,nftables "$suite" "$root" \
        "${MIRROR:-http://deb.debian.org/debian}" >"$work/debootstrap.log" 2>&1; then
    cp .build/deb/*.deb "$root/"
    in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
    mount -t proc proc "$root/proc"
    in_root sh -c 'dpkg --install /*.deb' >"$work/install.log" 2>&1 || {
        cat "$work/install.log" >&2
        fail "the packages can't be installed"
    }
    in_root id tandem
    for program in tandemd tandemctl tandem-controller tandem-load /usr/lib/cni/tandem-cni; do in_root "$program" --version; done
    # As the unit runs it.
    in_root install -d -o tandem -g tandem -m 700 /var/lib/tandem
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    sed -i "s/8443/$port/" "$root/etc/tandem/contexts.yaml"
    chroot --userspec=tandem:tandem "$root" /usr/bin/tandemd --config=/etc/tandem/tandem.yaml --data-dir=/var/lib/tandem \
        --tls-cert-file=/etc/tandem/server.crt --tls-private-key-file=/etc/tandem/server.key \
        --client-ca-file=/etc/tandem/ca.crt --secure-port="$port" 2>"$work/log" &
    server=$!
    for _ in $(seq 100); do
        ! in_root tandemctl health >/dev/null 2>&1 || break
        kill -0 $server 2>/dev/null || break
        sleep 0.1
    done
    in_root tandemctl health >/dev/null || { cat "$work/log" >&2; fail "the server does not serve"; }
    in_root tandemctl apply -f - <docker/examples/services.yaml
    in_root tandemctl get services
    in_root tandemctl auth whoami | grep -q 'Username *admin' || fail "root is not the administrator"
    # A node's agent, with a certificate of its own.
    in_root /usr/lib/tandem/generate-certificates --client system:node:n1 system:nodes node /etc/tandem >/dev/null
    in_root tandemctl apply -f - <<<'{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}'
    plugin() {
        in_root CNI_COMMAND="$1" CNI_CONTAINERID=c1 CNI_NETNS=/proc/1/ns/net CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni \
            CNI_ARGS='K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1' /usr/lib/cni/tandem-cni <<END
{"cniVersion":"1.0.0","name":"pods","type":"tandem-cni","ipam":{"type":"tandem-cni","server":"127.0.0.1:$port",
 "caFile":"/etc/tandem/ca.crt","certFile":"/etc/tandem/node.crt","keyFile":"/etc/tandem/node.key","node":"n1"}}
END
    }
    plugin ADD | tee "$work/pod"
    grep -q '"10\.244\.' "$work/pod" && grep -q '"fd00:10:244:' "$work/pod" || fail "the plugin has no addresses for a pod"
    in_root tandemctl get pods -n shop
    plugin DEL
    [ -z "$(in_root tandemctl get pods -n shop --output name)" ] || fail "the plugin did not give a pod's addresses back"
    in_root tandemctl masquerade --output nft --node n1 | in_root nft --check --file - || fail "nft refuses the rules"
    in_root tandemctl check
    kill -TERM $server && wait $server || fail "the server did not end well"
    server=
    [ "$(stat -c %a "$root/etc/tandem/admin.key")" = 600 ] || fail "others may read the administrator's key"
    in_root dpkg --remove tandem-node tandem-controller tandem-client tandem-server >/dev/null
    [ -e "$root/var/lib/tandem/tandem.db" ] || fail "the allocated addresses are gone with the package"
    in_root dpkg --purge tandem-server >/dev/null
    [ ! -e "$root/var/lib/tandem" ] && [ ! -e "$root/etc/tandem" ] || fail "something is left behind a purge"
    umount "$root/proc"
    echo "package test passed: in a root of Debian $suite"
    exit
fi
[ ! -s "$work/debootstrap.log" ] || tail -n 2 "$work/debootstrap.log" >&2

mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info" "$root/etc"
: >"$root/var/lib/dpkg/status"
: >"$root/etc/passwd"
: >"$root/etc/group"
dpkg --root="$root" --force-depends --force-script-chrootless --install .build/deb/*.deb >"$work/install.log" 2>&1 || {
    cat "$work/install.log" >&2
    fail "the packages can't be installed"
}
grep -q '^tandem:' "$root/etc/passwd" || fail "the package makes no user"
for program in tandemd tandemctl tandem-controller tandem-load; do "$root/usr/bin/$program" --version; done
"$root/usr/lib/cni/tandem-cni" --version
"$root/usr/bin/tandemd" --check-config --config="$root/etc/tandem/tandem.yaml" --data-dir="$work/data" \
    --tls-cert-file="$root/etc/tandem/server.crt" --tls-private-key-file="$root/etc/tandem/server.key" \
    --client-ca-file="$root/etc/tandem/ca.crt" >/dev/null || fail "the packaged settings are refused"
dpkg --root="$root" --force-script-chrootless --purge tandem-node tandem-controller tandem-client tandem-server >/dev/null 2>&1
[ ! -e "$root/etc/tandem" ] || fail "something is left behind a purge"
echo "package test passed: in an empty root, as there is no debootstrap"
