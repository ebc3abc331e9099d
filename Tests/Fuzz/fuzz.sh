#!/bin/bash
# Feeds everything that reads strangers' bytes with inputs that reach new code, SECONDS_EACH for each kind of input. New
# inputs are kept in .build-fuzz/corpus; --keep adds some of those that reach the most to the committed corpus.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
build=$root/.build-fuzz
swift build --package-path . --scratch-path "$build" -c release --sanitize=fuzzer --product fuzz \
    -Xswiftc -parse-as-library
program=$(swift build --package-path . --scratch-path "$build" -c release --sanitize=fuzzer --show-bin-path)/fuzz
committed=$root/Tests/FuzzTests/Corpus
for target in ${TARGETS:-json envelope lines service pod node address entry protobuf grpc http yaml cni}; do
    mkdir -p "$build/corpus/$target" "$committed/$target"
    echo "== $target"
    # The last line but one tells how many inputs were tried, and how much of the code they reach.
    FUZZ_TARGET=$target "$program" "$build/corpus/$target" "$committed/$target" -max_total_time="${SECONDS_EACH:-60}" \
        -max_len=4096 -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$build/$target-" -print_final_stats=1 2>&1 |
        grep -E 'stat::number|stat::average|DONE|BREACH|ERROR|precondition|Fatal|artifact|SUMMARY' || true
    status=${PIPESTATUS[0]}
    [ "$status" -eq 0 ] || { echo "$target: see $build/$target-*" >&2; exit 1; }
    if [ "${1:-}" = --keep ]; then
        # Small inputs only, as they run in every test.
        find "$build/corpus/$target" -size -2k -type f | shuf -n 2000 --random-source=<(yes) >"$build/list"
        mkdir -p "$build/small" && rm -f "$build/small"/*
        xargs -r -a "$build/list" cp -t "$build/small"
        FUZZ_TARGET=$target "$program" -merge=1 "$committed/$target" "$build/small" >/dev/null 2>&1
        # By name, which is a hash: a sample.
        find "$committed/$target" -type f -not -name 'seed-*' | sort | tail -n +65 | xargs -r rm
        echo "$(ls "$committed/$target" | wc -l) inputs kept"
    fi
done
