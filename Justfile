# The commands one needs. `just` alone lists them.

default:
    @just --list

# Everything that must hold before a change lands.
ci:
    bash .ci/run

# All tests.
test:
    cargo test --workspace

# Format, lints, documentation.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# One stripped binary in dist/: static where the musl target is installed, else against glibc.
dist:
    bash dist.sh

# Compare with PM2 from npm, in one run on this machine.
bench *ARGS:
    cargo build --release
    cargo run --release --example bench -- {{ARGS}}
