#!/bin/bash
# The walls between the parts: the allowed imports of each, in the order in which they stand on one another. A part that needs
# more has to be let through here, where every reviewer sees it.
set -u
cd "$(dirname "$0")/.."
failed=0

fault() {
    echo "$1" >&2
    failed=1
}

# Each import of the Swift files in a folder: file and line, and the module.
imports() {
    grep -nHE '^(public |package |internal |@testable |@preconcurrency )*import ' -r "$1" --include='*.swift' |
        sed -E 's/^([^:]*:[0-9]+):.*import +((struct|class|enum|func) +)?([A-Za-z0-9_]+).*/\1 \4/'
}

# part, then all that it may import
while read -r part allowed; do
    [ -n "$part" ] || continue
    while read -r place module; do
        [[ " $allowed " == *" $module "* ]] || fault "$place: $part may not import $module (Tests/lint.sh)"
    done < <(imports "Sources/$part")
done <<'WALLS'
Addressing
Measures      Glibc Synchronization
Allocation    Addressing Synchronization
TandemAPI     Addressing CBuildInfo
DualStack     Addressing TandemAPI
Ledger        Addressing Measures CDurableWrite Dispatch Foundation GRDB GRDBSQLite Glibc Synchronization
IPAM          Addressing Allocation DualStack TandemAPI Measures Ledger COpenSSL Dispatch Foundation Glibc Synchronization
OpenSSLTLS    COpenSSL NIOCore Glibc
LineFraming   NIOCore Glibc
LineLogs      TandemAPI Measures Logging ServiceLifecycle UnixSignals Foundation Glibc Synchronization
EtcdLog       Ledger Measures TandemAPI EtcdClient NIOCore NIOPosix Dispatch Synchronization
EtcdClient    OpenSSLTLS NIOCore NIOPosix NIOHTTP2 NIOHPACK Glibc
TandemServer  Addressing TandemAPI Measures Ledger EtcdLog EtcdClient IPAM OpenSSLTLS LineFraming LineLogs NIOCore NIOPosix NIOHTTP1 Logging ServiceLifecycle UnixSignals Foundation Glibc Synchronization
TandemClient  Addressing TandemAPI OpenSSLTLS LineFraming NIOCore NIOPosix NIOHTTP1 Foundation Glibc Synchronization
KubeAPI       TandemAPI Measures OpenSSLTLS LineFraming YAMLDocuments NIOCore NIOPosix NIOHTTP1 Foundation Glibc Synchronization
CNI           Addressing TandemAPI OpenSSLTLS Glibc
tandem-cni    CNI Glibc
ClientOptions TandemAPI TandemClient OpenSSLTLS YAMLDocuments NIOCore ArgumentParser Foundation Glibc
YAMLDocuments TandemAPI CYaml Foundation Glibc
Reconciliation Addressing TandemAPI
tandem-load   ClientOptions TandemClient TandemAPI OpenSSLTLS LineFraming YAMLDocuments NIOCore NIOPosix NIOHTTP1 UnixSignals Histogram ArgumentParser Foundation Glibc Synchronization
ClusterController Reconciliation KubeAPI TandemClient TandemAPI Measures NIOCore NIOPosix NIOHTTP1 Logging Synchronization
tandem-controller ClusterController ClientOptions KubeAPI LineLogs OpenSSLTLS Reconciliation TandemAPI TandemClient Logging ServiceLifecycle UnixSignals ArgumentParser Foundation Glibc
tandemd       TandemServer TandemAPI IPAM LineLogs YAMLDocuments ArgumentParser Foundation Glibc
Dashboard     TandemAPI TandemClient NIOCore NIOPosix NIOHTTP1 Synchronization
tandemctl     ClientOptions Dashboard Ledger TandemClient TandemAPI Addressing OpenSSLTLS YAMLDocuments NIOCore UnixSignals ArgumentParser Foundation Glibc
WALLS

for part in Sources/*/; do
    grep -q "^$(basename "$part") *\( \|$\)" "$0" || [ "$(basename "$part")" = COpenSSL ] || [ "$(basename "$part")" = CBuildInfo ] ||
        [ "$(basename "$part")" = CDurableWrite ] ||
        fault "$part has no line in Tests/lint.sh"
done

# The manifest declares what a target imports, no more and no less; SwiftPM itself accepts an import that another target had built.
# One line for each target in Swift: its folder, type and name, then its dependencies.
manifest=$(swift package --scratch-path .build/lint describe | awk '
    function finish() { if (path && isSwift) print path, type, name dependencies; path = dependencies = "" }
    /^Targets:/ { isTarget = 1 }
    /^    [A-Z]/ { isList = /dependencies:$/ }
    /^    Name:/ { name = $2 }
    /^    Type:/ { type = $2 }
    /^    Module type:/ { isSwift = $3 == "SwiftTarget" }
    /^    Path:/ && isTarget { path = $2 }
    /^        / && isList { dependencies = dependencies " " $1 }
    /^$/ { finish() }
    END { finish() }')
[ -n "$manifest" ] || fault "Package.swift can't be read"
# A test depends on programs so that they are there to run.
programs=$(awk '$2 == "executable" { print $3 }' <<<"$manifest")
while read -r path type _ declared; do
    # Modules of the toolchain need no declaration; CYaml is a part of Yams.
    imported=" "
    while read -r place module; do
        [[ " $declared Foundation Glibc Dispatch Synchronization Testing CYaml " == *" $module "* ]] ||
            fault "$place: $module is imported and not declared (Package.swift)"
        [ "$module" = CYaml ] && module=Yams
        imported+="$module "
    done < <(imports "$path")
    for module in $declared; do
        [[ "$imported" == *" $module "* ]] || { [ "$type" = test ] && grep -qx "$module" <<<"$programs"; } ||
            fault "Package.swift: $path declares $module and does not import it"
    done
done <<<"$manifest"

while IFS=: read -r file line _; do
    # The proof stands on the line itself or in the comment above.
    sed -n "$((line > 8 ? line - 8 : 1)),$((line + 2))p" "$file" | grep -qi proof ||
        fault "$file:$line: @unchecked Sendable without its proof"
done < <(grep -nH '@unchecked Sendable' -r Sources --include='*.swift' | grep -v '///')

Tests/circles.py || fault "files of one target need each other in a circle (Tests/circles.py)"

! grep -n 'unsafeFlags' Package.swift >&2 || fault "Package.swift: no unsafeFlags"
exit $failed
