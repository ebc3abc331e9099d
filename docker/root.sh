#!/bin/sh
# Makes the root file system of the server's image: programs, the shared libraries that they load, a user, and nothing else - no
# shell, no package manager. The packages of the libraries are listed in /var/lib/dpkg/status.d, where scanners look for them.
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

for program; do install -D -s "$program" "$root/usr/local/bin/${program##*/}"; done

# Of each library the path at which the dynamic linker finds it; of the linker itself there is no other.
ldd "$@" | sed -nE 's/^\s+(.* => )?(\/[^ ]*) \(.*/\2/p' | sort -u | while read -r library; do
    name=${library##*/}
    folder=$(realpath "${library%/*}")
    case $folder in
    # Wherever the toolchain is: the programs are linked with this place in their path.
    */lib/swift/*) install -D -s -m 644 "$library" "$root/usr/local/lib/swift/$name" ;;
    *)
        install -D -m 755 "$library" "$root$folder/$name"
        # A library is listed where it was before /lib became a link.
        package=$({ dpkg-query -S "$(realpath "$library")" || dpkg-query -S "$library" ||
            dpkg-query -S "$(realpath "$library" | sed 's,^/usr,,')" || true; } 2>/dev/null | head -n 1 | cut -d : -f 1)
        [ -n "$package" ] || {
            echo "$library: no package has it" >&2
            exit 1
        }
        dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
        licence=/usr/share/doc/$package/copyright
        [ ! -e "$licence" ] || install -D -m 644 "$licence" "$root$licence"
        ;;
    esac
done
