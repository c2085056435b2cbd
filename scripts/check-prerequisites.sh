#!/bin/sh
# Says in one line each what a build needs and this machine lacks; says nothing when all is there.
set -eu

missing=0
lacks() {
    echo "make: $1 is missing: $2" >&2
    missing=1
}

command -v cargo >/dev/null || lacks cargo 'install Rust 1.90 or newer, by rustup or your distribution'
command -v cc >/dev/null || lacks 'cc (the linker Rust calls)' 'run scripts/install-deps.sh build as root'
exit "$missing"
