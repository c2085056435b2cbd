#!/bin/bash
# Runs inside the virtual machine that `cargo xtask vm test` starts: the rounds named on the command line, or all of
# them. Words that name no round go to nextest. Every round runs, even after one that failed.
set -uo pipefail
cd "$(dirname "$0")/.."

rounds=()
words=()

# The machine emulates its processor: what takes a second outside takes twenty here.
export MYDOCKER_TEST_PATIENCE=10
export CARGO_TERM_COLOR=never

nextest() {
    "$VM_NEXTEST" nextest run --cargo-metadata "$VM_DESCRIPTIONS/metadata.json" \
        --binaries-metadata "$VM_DESCRIPTIONS/binaries.json" "$@" "${words[@]}"
}

# The tests' scratch directories lie there, with root file systems in which device nodes have to work.
mount -o remount,dev,suid,exec /dev/shm || exit

# The whole suite, with cgroups that the runtime makes itself.
cgroupfs() { nextest --profile vm; }

main() {
    local word round failed=()
    for word in "$@"; do
        case $word in
        cgroupfs) rounds+=("$word") ;;
        *) words+=("$word") ;;
        esac
    done
    [ ${#rounds[@]} -gt 0 ] || rounds=(cgroupfs)
    for round in "${rounds[@]}"; do
        echo "== in the machine: $round"
        "$round" || failed+=("$round")
    done
    [ ${#failed[@]} -eq 0 ] || { echo "failed in the machine: ${failed[*]}"; exit 1; }
}

main "$@"
