#!/bin/sh
# Makes the root file system of an image: programs, the shared libraries that they load, a user, and nothing else - no package manager,
# and a shell only where /bin/busybox is among the programs. The packages of Debian's programs and libraries are listed in
# /var/lib/dpkg/status.d, where scanners look for them.
#   docker/root.sh ROOT PROGRAM...
set -eu
[ $# -ge 2 ] || {
    sed -n 's/^#   docker/  docker/p' "$0" >&2
    exit 2
}
root=$1
shift
umask 022

# As on Debian, where both names lead to one place.
mkdir -p "$root/usr/lib" "$root/usr/lib64" "$root/etc" "$root/var/lib/dpkg/status.d"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
install -d -m 1777 "$root/tmp"
cp -L /etc/os-release "$root/etc/os-release"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
printf 'root:x:0:0:root:/:/nonexistent\ntandem:x:65532:65532::/var/lib/tandem:/nonexistent\n' >"$root/etc/passwd"
printf 'root:x:0:\ntandem:x:65532:\n' >"$root/etc/group"

# Lists the package of a file, with its licence; false where no package has it.
list() {
    # A file is listed where it was before /lib and /bin became links.
    package=$({ dpkg-query -S "$(realpath "$1")" || dpkg-query -S "$1" ||
        dpkg-query -S "$(realpath "$1" | sed 's,^/usr,,')" || true; } 2>/dev/null | head -n 1 | cut -d : -f 1)
    [ -n "$package" ] || return 1
    dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
    licence=/usr/share/doc/$package/copyright
    [ ! -e "$licence" ] || install -D -m 644 "$licence" "$root$licence"
}

for program; do
    install -D -s "$program" "$root/usr/local/bin/${program##*/}"
    # Tandem's own are of no package.
    list "$program" || true
    [ "${program##*/}" != busybox ] || {
        mkdir -p "$root/usr/bin"
        ln -s usr/bin "$root/bin"
        for tool in $("$program" --list); do ln -s ../local/bin/busybox "$root/usr/bin/$tool"; done
    }
done

# Of each library the path at which the dynamic linker finds it; of the linker itself there is no other.
for program; do ldd "$program" 2>/dev/null || true; done | sed -nE 's/^\s+(.* => )?(\/[^ ]*) \(.*/\2/p' | sort -u | while read -r library; do
    name=${library##*/}
    folder=$(realpath "${library%/*}")
    case $folder in
    # Wherever the toolchain is: the programs are linked with this place in their path.
    */lib/swift/*) install -D -s -m 644 "$library" "$root/usr/local/lib/swift/$name" ;;
    *)
        install -D -m 755 "$library" "$root$folder/$name"
        list "$library" || {
            echo "$library: no package has it" >&2
            exit 1
        }
        ;;
    esac
done
