#!/bin/bash
# The walls between the parts: what each may import, in the order in which they stand on one another. A part that needs
# more has to be let through here, where everybody sees it.
set -u
cd "$(dirname "$0")/.."
failed=0

fault() {
    echo "$1" >&2
    failed=1
}

# part, then all that it may import
while read -r part allowed; do
    [ -n "$part" ] || continue
    while IFS=: read -r file line import; do
        module=$(sed -E 's/^(public |package |internal |@testable |@preconcurrency )*import +((struct|class|enum|func) +)?([A-Za-z0-9_]+).*/\4/' <<<"$import")
        [[ " $allowed " == *" $module "* ]] || fault "$file:$line: $part may not import $module (Tests/lint.sh)"
    done < <(grep -nHE '^(public |package |internal |@testable |@preconcurrency )*import ' -r "Sources/$part" --include='*.swift')
done <<'WALLS'
Addressing
Metrics       Glibc Synchronization
Allocation    Addressing Synchronization
TandemAPI     Addressing
DualStack     Addressing TandemAPI
Ledger        Addressing Metrics Dispatch Foundation GRDB GRDBSQLite Glibc Synchronization
IPAM          Addressing Allocation DualStack TandemAPI Metrics Ledger COpenSSL Dispatch Foundation Glibc Synchronization
OpenSSLTLS    COpenSSL NIOCore Glibc
LineFraming   NIOCore
TandemServer  Addressing TandemAPI DualStack Metrics Ledger IPAM OpenSSLTLS LineFraming NIOCore NIOPosix NIOHTTP1 Logging ServiceLifecycle UnixSignals Foundation Glibc Synchronization
TandemClient  Addressing TandemAPI OpenSSLTLS LineFraming NIOCore NIOPosix NIOHTTP1 Foundation Glibc
CNI           Addressing TandemAPI OpenSSLTLS Glibc
tandem-cni    CNI Glibc
ClientOptions TandemAPI TandemClient OpenSSLTLS ArgumentParser Glibc
YAMLDocuments TandemAPI CYaml Yams
tandem-load   ClientOptions TandemClient TandemAPI Addressing OpenSSLTLS LineFraming NIOCore NIOPosix NIOHTTP1 Histogram ArgumentParser Foundation Glibc Synchronization
tandemd       TandemServer TandemAPI IPAM YAMLDocuments Logging ArgumentParser Foundation Glibc
tandemctl     ClientOptions TandemClient TandemAPI Addressing OpenSSLTLS YAMLDocuments NIOCore ArgumentParser Yams Foundation Glibc
WALLS

for part in Sources/*/; do
    grep -q "^$(basename "$part") *\( \|$\)" "$0" || [ "$(basename "$part")" = COpenSSL ] ||
        fault "$part has no line in Tests/lint.sh"
done

while IFS=: read -r file line _; do
    # The proof stands on the line itself or in the comment above.
    sed -n "$((line > 8 ? line - 8 : 1)),$((line + 2))p" "$file" | grep -qi proof ||
        fault "$file:$line: @unchecked Sendable without its proof"
done < <(grep -nH '@unchecked Sendable' -r Sources --include='*.swift' | grep -v '///')

! grep -n 'unsafeFlags' Package.swift >&2 || fault "Package.swift: no unsafeFlags"
exit $failed
