#!/bin/sh
# Makes development certificates: a CA, the server's, and a client's for each role. Keys are for this machine alone:
# they stay out of version control, readable by their owner only.
#
#   certs/generate.sh [DIR]                        all of them, in DIR (default: certs/dev); files that are still
#                                                  valid are kept
#   certs/generate.sh --client CN O NAME [DIR]     one more client: user CN of group O (several with commas between), as
#                                                  NAME.crt and NAME.key
#   certs/generate.sh --kubernetes [DIR]           those that docker/kubernetes wants, in docker/kubernetes/secrets
#   certs/generate.sh --names LIST [DIR]           the server's certificate is for LIST too, as DNS:ipam,IP:10.0.0.5
set -eu
umask 077

usage() {
    sed -n 's/^#   *certs/  certs/p' "$0" >&2
    exit 2
}

names=DNS:localhost,IP:127.0.0.1,IP:::1
client=
kubernetes=
case "${1:-}" in
--client)
    [ $# -ge 4 ] && [ $# -le 5 ] || usage
    client=$4 client_cn=$2 client_o=$3
    shift 4
    ;;
--kubernetes)
    kubernetes=yes
    names=$names,DNS:tandem.tandem-system.svc,DNS:tandem.tandem-system.svc.cluster.local
    shift
    ;;
--names)
    [ $# -ge 2 ] || usage
    names=$names,$2
    shift 2
    ;;
-*) usage ;;
esac
[ $# -le 1 ] || usage
if [ -n "$kubernetes" ]; then
    dir=${1:-$(dirname "$0")/../docker/kubernetes/secrets}
else
    dir=${1:-$(dirname "$0")/dev}
fi

command -v openssl >/dev/null || {
    echo "certs/generate.sh: openssl is missing; install it with: apt-get install openssl" >&2
    exit 1
}
mkdir -p "$dir"

# One that is there, fits its key and lasts another day is kept.
is_valid() {
    [ -s "$dir/$1.key" ] && [ -s "$dir/$1.crt" ] &&
        openssl x509 -in "$dir/$1.crt" -noout -checkend 86400 >/dev/null 2>&1 &&
        { [ "$1" = ca ] || openssl verify -CAfile "$dir/ca.crt" "$dir/$1.crt" >/dev/null 2>&1; }
}

key() {
    openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$dir/$1.key" 2>/dev/null ||
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$dir/$1.key"
}

# So many seconds from now, as certificates write it; by GNU's date, BusyBox's or BSD's.
moment() {
    date -u -d "@$(($(date +%s) + $1))" +%Y%m%d%H%M%SZ 2>/dev/null || date -u -r "$(($(date +%s) + $1))" +%Y%m%d%H%M%SZ
}

work=
trap 'rm -rf "$work"' EXIT

# sign NAME DAYS [OPTION...]: NAME.csr with the extensions of NAME.ext. It begins five minutes ago: clocks differ.
sign() {
    name=$1 days=$2
    shift 2
    work=$(mktemp -d)
    : >"$work/index.txt"
    printf '%s\n' '[ca]' 'default_ca = here' '[here]' "database = $work/index.txt" "new_certs_dir = $work" \
        'rand_serial = yes' 'default_md = sha256' 'policy = any' 'preserve = yes' '[any]' 'organizationName = optional' \
        'commonName = supplied' >"$work/ca.cnf"
    openssl ca -batch -notext -config "$work/ca.cnf" -in "$dir/$name.csr" -keyfile "$dir/ca.key" \
        -startdate "$(moment -300)" -enddate "$(moment $((days * 86400)))" -extfile "$dir/$name.ext" \
        -out "$dir/$name.crt" "$@" 2>"$work/errors" || {
        cat "$work/errors" >&2
        exit 1
    }
    rm -r "$work" "$dir/$name.csr" "$dir/$name.ext"
    work=
}

# issue NAME CN O EXTENSIONS
issue() {
    is_valid "$1" && [ "$client" != "$1" ] && return
    key "$1"
    # `/` starts a new part of a subject, `+` another value of it; in a name they stand for themselves.
    subject="/O=$(printf %s "$3" | sed 's,[/+\\],\\&,g; s|,|/O=|g')/CN=$(printf %s "$2" | sed 's,[/+\\],\\&,g')"
    printf '%s\n' "$4" >"$dir/$1.ext"
    openssl req -new -utf8 -key "$dir/$1.key" -subj "$subject" -out "$dir/$1.csr"
    sign "$1" 365 -cert "$dir/ca.crt"
    echo "$dir/$1.crt: $2 ($3)"
}

client() {
    issue "$1" "$2" "$3" "basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth"
}

if ! is_valid ca; then
    key ca
    openssl req -new -key "$dir/ca.key" -subj "/CN=tandem development CA" -out "$dir/ca.csr"
    printf '%s\n' 'basicConstraints=critical,CA:TRUE' 'keyUsage=critical,keyCertSign,cRLSign' >"$dir/ca.ext"
    sign ca 3650 -selfsign
    echo "$dir/ca.crt: the authority"
fi

if [ -n "$client" ]; then
    client "$client" "$client_cn" "$client_o"
    exit
fi

[ "$names" = DNS:localhost,IP:127.0.0.1,IP:::1 ] || [ -n "$kubernetes" ] || rm -f "$dir/server.crt"
issue server tandemd tandem "basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=$names"
client admin admin tandem:admin
client node-n1 system:node:n1 system:nodes
client node-n2 system:node:n2 system:nodes
client services service-controller tandem:services
client pods pod-controller tandem:pods
client viewer viewer tandem:viewer
client controller tandem-controller tandem:services,tandem:pods
if [ -n "$kubernetes" ]; then
    cp "$dir/server.crt" "$dir/tls.crt"
    cp "$dir/server.key" "$dir/tls.key"
fi
