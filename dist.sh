#!/usr/bin/env bash
# Builds one stripped binary into dist/ and says which: static with musl where that target is installed, static with
# glibc where its static library is, else against the glibc of this machine. A static one runs everywhere, and starts
# in a third of the time, which every start of an app feels: the program runs itself once before it becomes the app.
set -euo pipefail
cd "$(dirname "$0")"
machine=$(uname -m)
musl="${machine}-unknown-linux-musl"
glibc="${machine}-unknown-linux-gnu"
mkdir -p dist
if rustc --print target-libdir --target "$musl" 2>/dev/null | xargs -r test -d; then
    cargo build --release --locked --bin baton --target "$musl"
    cp "target/$musl/release/baton" dist/baton
    echo "dist/baton: static, built for $musl"
elif [ -f "$(cc -print-file-name=libc.a 2>/dev/null)" ] && [ "$(rustc -vV | sed -n 's/^host: //p')" = "$glibc" ]; then
    # With a target named, the flags do not reach build scripts and macros, which must stay dynamic. A program at a
    # fixed address needs no relocation: every start is shorter by that, and every process of ours smaller.
    RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static -C relocation-model=static" \
        cargo build --release --locked --bin baton --target "$glibc"
    cp "target/$glibc/release/baton" dist/baton
    echo "dist/baton: static, built for $glibc, because the target $musl is not installed (rustup target add $musl)"
else
    cargo build --release --locked --bin baton
    cp target/release/baton dist/baton
    echo "dist/baton: built against this machine's glibc: neither the target $musl nor a static glibc is installed"
fi
size=$(stat -c %s dist/baton)
echo "dist/baton: $((size / 1024)) KiB"
# The budget: no feature is worth a binary that people hesitate to download.
if [ "$size" -gt 15000000 ]; then
    echo "dist/baton is larger than 15 MB" >&2
    exit 1
fi
