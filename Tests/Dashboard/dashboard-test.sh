#!/bin/bash
# Runs the dashboard in a headless Chromium over real servers, by the programs of the debug build, which `make test` makes. Where there is no
# Chromium it says so and ends well.
set -eu
cd "$(dirname "$0")/../.."
for program in chromium chromium-browser google-chrome none; do
    command -v $program >/dev/null && break
done
if [ $program = none ] || ! command -v python3 >/dev/null; then
    echo "Skipped: there is no Chromium, or no Python; on Debian: apt-get install chromium python3"
    exit 0
fi
swift build --product tandemd
swift build --product tandemctl
PYTHONDONTWRITEBYTECODE=1 python3 Tests/Dashboard/dashboard_test.py "$(swift build --show-bin-path)" "$@"
