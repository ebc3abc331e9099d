#!/bin/sh
# The commit that is checked out, with -dirty behind it where files were changed; nothing outside of a repository.
cd "$(dirname "$0")/.."
git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || true
