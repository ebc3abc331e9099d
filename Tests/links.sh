#!/bin/bash
# A program that runs once for each pod must start fast: it links neither SQLite nor Foundation, whose data of all the
# world's languages alone is 40 MB.
#
#   Tests/links.sh PROGRAM [--static]     with --static, none of Swift's own shared libraries either
set -eu
program=$1
failed=0
libraries=$(ldd "$program")
forbidden='sqlite|Foundation|_ICU|libicu'
[ "${2:-}" != --static ] || forbidden="$forbidden|libswift|libdispatch"
if grep -E "$forbidden" <<<"$libraries" >&2; then
    echo "$program may not link these" >&2
    failed=1
fi
# Static libraries show by their symbols: C's by name, Swift's by the module that they are mangled with.
symbols=$(nm "$program" | grep -cE ' [TtDdRr] (sqlite3_|udata_|ucol_|\$s10Foundation|\$s20FoundationEssentials|\$s28FoundationInternationalization)' || true)
if [ "$symbols" -gt 0 ]; then
    echo "$program has $symbols symbols of SQLite or Foundation in it" >&2
    failed=1
fi
exit $failed
