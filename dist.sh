#!/usr/bin/env bash
# Builds one stripped binary into dist/: static where the musl target is installed, else against glibc, and says which.
set -euo pipefail
cd "$(dirname "$0")"
machine=$(uname -m)
musl="${machine}-unknown-linux-musl"
mkdir -p dist
if rustc --print target-libdir --target "$musl" 2>/dev/null | xargs -r test -d; then
    cargo build --release --locked --bin baton --target "$musl"
    cp "target/$musl/release/baton" dist/baton
    echo "dist/baton: static, built for $musl"
else
    cargo build --release --locked --bin baton
    cp target/release/baton dist/baton
    echo "dist/baton: built against glibc, because the target $musl is not installed (rustup target add $musl)"
fi
size=$(stat -c %s dist/baton)
echo "dist/baton: $((size / 1024)) KiB"
# The budget: no feature is worth a binary that people hesitate to download.
if [ "$size" -gt $((15 * 1024 * 1024)) ]; then
    echo "dist/baton is larger than 15 MiB" >&2
    exit 1
fi
