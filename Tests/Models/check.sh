#!/bin/bash
# Checks the models exhaustively with spin, then each of their mutations, which it must refute.
set -u
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# model, options, mutation, -On: prints the findings of spin
verify() {
    local sources=$PWD
    (
        cd "$folder" || exit 1
        # Without partial-order reduction: the invariant reads every variable at every moment.
        spin -a $2 -DMUTATION="$3" "$sources/$1" >log 2>&1 &&
            gcc -w "$4" -DSAFETY -DNOREDUCE -DCOLLAPSE -DMEMLIM=4000 -o verifier pan.c &&
            ./verifier -m4000000 >log 2>&1
        grep -q 'max search depth too small\|reached -DMEMLIM' log && echo "incomplete"
        grep 'errors:' log || cat log
        grep 'states, stored' log
    )
}

check() {
    local model=$1 options=$2 mutations=$3 found mutation
    found=$(verify "$model" "$options" 0 -O2)
    if [[ $found == *"errors: 0"* && $found != *incomplete* ]]; then
        echo "$model $options: holds in $(grep -o '[0-9]* states' <<<"$found" | head -1)"
    else
        echo "$model $options: does not hold, or was not checked to its end: $found" >&2
        failed=1
    fi
    for mutation in $mutations; do
        found=$(verify "$model" "$options" "$mutation" -O0)
        [[ $found == *"errors: 1"* ]] || {
            echo "$model $options: mutation $mutation was not found: $found" >&2
            failed=1
        }
    done
    echo "$model $options: mutations tried: $mutations"
}

check bitmap.pml -DWORKERS=2 "1 2 3 4 5 6"
check open.pml "" "1 2 3"
# Two names that want one address, and one name that may get either of two.
check commit.pml "-DNAMES=2 -DADDRESSES=1" "2 3 4 5 6 7 8 9 10 11 12"
check commit.pml "-DNAMES=1 -DADDRESSES=2" 1
exit $failed
