#!/bin/sh
# Installs the results of `make static` below a prefix: programs, manual pages, completions, the server's unit and user, the CNI plugin.
#   docker/install.sh [DESTDIR] [PREFIX]      default: into this machine, below /usr/local
set -eu
cd "$(dirname "$0")/.."
destination=${1:-} prefix=${2:-/usr/local}
built=.build-static/bin
[ -x $built/tandemd ] || {
    echo "Nothing is built yet: make static" >&2
    exit 1
}
# Units and users have one place for an administrator's own and one for a distribution's.
case $prefix in
/usr) system=/usr/lib ;;
*) system=/etc ;;
esac
put() { install -D -m "$1" "$2" "$destination$3"; }

for program in "$built"/*; do
    name=${program##*/}
    if [ "$name" = tandem-cni ]; then put 755 "$program" "$prefix/lib/cni/$name"; else put 755 "$program" "$prefix/bin/$name"; fi
done
put 755 docker/node/masquerade "$prefix/lib/tandem/masquerade"
put 755 certs/generate.sh "$prefix/lib/tandem/generate-certificates"

for page in .build-static/man/*.1; do put 644 "$page" "$prefix/share/man/man1/${page##*/}"; done
for script in .build-static/completions/*; do
    name=${script##*/}
    case $name in
    *.bash) put 644 "$script" "$prefix/share/bash-completion/completions/${name%.bash}" ;;
    *.zsh) put 644 "$script" "$prefix/share/zsh/vendor-completions/_${name%.zsh}" ;;
    *.fish) put 644 "$script" "$prefix/share/fish/vendor_completions.d/$name" ;;
    esac
done

unit=$(mktemp)
trap 'rm -f "$unit"' EXIT
sed "s,/usr/local/,$prefix/,g" docker/systemd/tandemd.service >"$unit"
put 644 "$unit" "$system/systemd/system/tandemd.service"
put 644 docker/systemd/tandem.conf "$system/sysusers.d/tandem.conf"
[ -e "$destination/etc/tandem/tandem.yaml" ] || put 644 docker/systemd/tandem.yaml /etc/tandem/tandem.yaml
