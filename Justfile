# The commands one needs. `just` alone lists them.

default:
    @just --list

# Everything that must hold before a change lands.
ci:
    bash .ci/run

# All tests.
test:
    cargo test --workspace

# Rotation over a gigabyte and 200 kills of the daemon for each form of log: half an hour, because the guard waits up to
# five seconds before it starts a daemon whose predecessor died at once.
test-long:
    cargo build --release --package baton --example testapp --bin baton
    BATON_TEST_LONG=1 cargo test --release --package baton --test e2e a_rotated_log_is_whole

# Chaos as often as is worth waiting for: the manager killed a hundred times under load, trees that fight back, broken
# files, nonsense on the sockets, many stops at once, every crash point. In CI each of them runs a few times. Half an hour.
chaos:
    cargo build --package baton --example testapp --bin baton
    BATON_TEST_LONG=1 cargo test --package baton --test e2e chaos::

# Format, lints, documentation.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# One stripped binary in dist/: static where musl or a static glibc is installed, else against this machine's glibc.
dist:
    bash dist.sh

# Compare what `just dist` builds with PM2 from npm, in one run on this machine.
bench *ARGS:
    bash dist.sh
    cargo run --release --example bench -- --baton dist/baton {{ARGS}}
