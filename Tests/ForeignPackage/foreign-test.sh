#!/bin/bash
# Builds a package that is not Tandem's against the product TandemClient, and runs it against a real server: the manifest and the
# program of the page on clients, as a reader would copy them. It shows that the product has every module that its interface
# speaks of, and that a package may depend on this one without more than a line.
#
# The package is made anew each time in a temporary directory; its dependencies are kept built in .build/foreign.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
fail() {
    echo "foreign package test FAILED: $1" >&2
    exit 1
}

work=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

package=$work/shop
mkdir -p "$package/Sources/shop"
# block N FILE: the page's N-th block in Swift
block() {
    awk -v wanted="$1" '/^```/ && isIn { isIn = 0; next } isIn && n == wanted { print } /^```swift$/ { isIn = 1; n++ }' \
        Sources/TandemServer/Documentation.docc/Clients.md >"$2"
    [ -s "$2" ] || fail "the page on clients has no block $1 in Swift"
}
block 1 "$package/Package.swift"
block 2 "$package/Sources/shop/main.swift"
grep -q '"../tandem"' "$package/Package.swift" || fail "the page's manifest does not name the package by its path"
# The one line that depends on the place, and the versions that Tandem itself is built with.
sed -i "s,\"../tandem\",\"$root\"," "$package/Package.swift"
name=$(basename "$root" | tr '[:upper:]' '[:lower:]')
sed -i "s,package: \"tandem\",package: \"$name\"," "$package/Package.swift"
[ ! -e Package.resolved ] || cp Package.resolved "$package/"

swift build --product tandemd 2>&1 | grep -E 'error|warning' || true
tandemd=$(swift build --show-bin-path)/tandemd
certs/generate.sh "$work/certs" >/dev/null
"$tandemd" --service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112 --cluster-cidr=10.244.0.0/16,fd00:10:244::/48 \
    --data-dir="$work/data" --tls-cert-file="$work/certs/server.crt" --tls-private-key-file="$work/certs/server.key" \
    --client-ca-file="$work/certs/ca.crt" --bind-address=127.0.0.1 --secure-port=0 --log-format=json 2>"$work/log" &
server=$!
port=
while [ -z "$port" ]; do
    kill -0 $server 2>/dev/null || { cat "$work/log" >&2; fail "the server does not start"; }
    port=$(sed -n 's/.*"ready".*"address":"[^"]*:\([0-9]*\)".*/\1/p; s/.*"address":"[^"]*:\([0-9]*\)".*"ready".*/\1/p' "$work/log" | head -n 1)
done

sed -i "s,certs/dev/,$work/certs/,g; s,8443,$port," "$package/Sources/shop/main.swift"
swift build --package-path "$package" --scratch-path .build/foreign >"$work/build" 2>&1 || {
    tail -n 40 "$work/build" >&2
    fail "the package can't be built"
}
! grep -E '(warning|error): ' "$work/build" >&2 || fail "the build has warnings"
output=$("$(swift build --package-path "$package" --scratch-path .build/foreign --show-bin-path)/shop") || fail "the program ended with $?"
echo "$output"
grep -q '10\.244\.0\.' <<<"$output" && grep -q 'fd00:10:244:' <<<"$output" || fail "the pod has no addresses"
kill -TERM $server
wait $server || fail "the server did not end well"
server=
echo "foreign package test passed"
