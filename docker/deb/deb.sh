#!/bin/bash
# Makes packages for Debian of the programs of `make static`, in .build/deb: tandem-server, -client, -controller and -node.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$(.build-static/bin/tandemd --version | cut -d ' ' -f 1)
commit=$(.build-static/bin/tandemd --version | sed -n 's/.*(\(.*\))/\1/p')
architecture=$(dpkg --print-architecture)
out=.build/deb
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
docker/install.sh "$work/all" /usr

# The package that a program is of, from those that a dynamic linker finds for it.
depends() {
    ldd "$@" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | sort -u | while read -r library; do
        # A library is listed where it was before /lib became a link.
        { dpkg-query -S "$(realpath "$library")" || dpkg-query -S "/usr$(realpath "$library")" ||
            dpkg-query -S "$library" || true; } 2>/dev/null | head -n 1 | cut -d : -f 1
    done | sort -u | paste -sd , | sed 's/,/, /g'
}

# package NAME PROGRAM DEPENDS DESCRIPTION TEXT PATH...: the paths are moved, so that the rest is for the next one
package() {
    local name=$1 program=$2 more=$3 title=$4 text=$5 root=$work/$1 path
    shift 5
    mkdir -p "$root/DEBIAN"
    for path in "$@"; do
        for found in "$work/all"$path; do
            [ -e "$found" ] || { echo "$name: nothing is at $path" >&2; exit 1; }
            local place=$root${found#"$work/all"}
            mkdir -p "$(dirname "$place")"
            mv "$found" "$place"
        done
    done
    local documents=$root/usr/share/doc/$name
    mkdir -p "$documents"
    { echo "Tandem: Apache-2.0, in /usr/share/common-licenses/Apache-2.0"; } >"$documents/copyright"
    printf '%s (%s-1) unstable; urgency=medium\n\n  * Tandem %s%s: see the page "Changes" of its documentation.\n\n -- Tandem <tandem@localhost>  %s\n' \
        tandem "$version" "$version" "${commit:+, built of $commit}" "$(date -uR -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}")" |
        gzip -9n >"$documents/changelog.Debian.gz"
    find "$root" -name '*.1' -exec gzip -9n {} +
    local needs
    needs=$(depends "$root$program")
    cat >"$root/DEBIAN/control" <<END
Package: $name
Source: tandem
Version: $version-1
Architecture: $architecture
Maintainer: Tandem <tandem@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f 1)
Depends: $needs${more:+, $more}
Section: net
Priority: optional
Description: $title
 $text
END
    for script in docker/deb/"$name".*; do
        [ ! -e "$script" ] || install -m 755 "$script" "$root/DEBIAN/${script##*.}"
    done
    [ ! -d "$root/etc" ] || (cd "$root" && find etc -type f -printf '/%p\n') >"$root/DEBIAN/conffiles"
    (cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
    dpkg-deb --root-owner-group -Zxz --build "$root" "$out/${name}_$version-1_$architecture.deb"
}

rm -rf "$out"
mkdir -p "$out"
package tandem-controller /usr/bin/tandem-controller "" \
    "controller of Tandem, a dual-stack IP address manager, beside a kube-apiserver" \
    "tandem-controller assigns addresses to a cluster's nodes, load balancers and pods, and releases those of deleted ones." \
    /usr/bin/tandem-controller /usr/share/man/man1/tandem-controller.1 \
    /usr/share/bash-completion/completions/tandem-controller /usr/share/zsh/vendor-completions/_tandem-controller \
    /usr/share/fish/vendor_completions.d/tandem-controller.fish
package tandem-client /usr/bin/tandemctl "" "command line of Tandem, a dual-stack IP address manager" \
    "tandemctl reads and changes the objects of a server, as kubectl does; tandem-load measures one." \
    /usr/bin/tandemctl /usr/bin/tandem-load /usr/share/man/man1/tandemctl.1 /usr/share/man/man1/tandem-load.1 \
    '/usr/share/bash-completion/completions/tandem[c-]*' '/usr/share/zsh/vendor-completions/_tandem[c-]*' \
    '/usr/share/fish/vendor_completions.d/tandem[c-]*'
package tandem-node /usr/lib/cni/tandem-cni "tandem-client (= $version-1), nftables" \
    "CNI IPAM plugin of Tandem, a dual-stack IP address manager" \
    "tandem-cni gives pods addresses from a server; masquerade keeps a node's rules of nftables." \
    /usr/lib/cni/tandem-cni /usr/lib/tandem/masquerade /usr/share/man/man1/tandem-cni.1
package tandem-server /usr/bin/tandemd "openssl, systemd | systemd-standalone-sysusers | adduser" \
    "server of Tandem, a dual-stack IP address manager" \
    "tandemd assigns IPv4 and IPv6 addresses by the same rules as Kubernetes dual-stack." \
    /usr/bin/tandemd /usr/lib/tandem/generate-certificates /usr/share/man/man1/tandemd.1 \
    /usr/share/bash-completion/completions/tandemd /usr/share/zsh/vendor-completions/_tandemd \
    /usr/share/fish/vendor_completions.d/tandemd.fish /usr/lib/systemd/system/tandemd.service \
    /usr/lib/sysusers.d/tandem.conf /etc/tandem/tandem.yaml
left=$(find "$work/all" -type f)
[ -z "$left" ] || {
    echo "No package has these:" >&2
    echo "$left" >&2
    exit 1
}
