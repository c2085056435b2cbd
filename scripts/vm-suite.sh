#!/bin/bash
# Runs inside the virtual machine that `cargo xtask vm test` starts: the rounds named on the command line, or all of
# them. Words that name no round go to nextest, and make it the only program that runs. Every round runs, even after
# one that failed.
set -uo pipefail
cd "$(dirname "$0")/.."

rounds=()
words=()

# The machine emulates its processor: what takes a second outside takes twenty here.
export MYDOCKER_TEST_PATIENCE=10
export CARGO_TERM_COLOR=never

# The tests' scratch directories lie there: on a file system of which the kernel can shift the owners (a tmpfs learns that
# in 6.3), and in which device nodes work. Nobody else uses the directory.
scratch() {
    mkdir -m 1777 /run/payload/shm && mount --bind /run/payload/shm /dev/shm && mount -o remount,bind,dev,suid,exec /dev/shm
}

nextest() {
    "$VM_NEXTEST" nextest run --cargo-metadata "$VM_DESCRIPTIONS/metadata.json" \
        --binaries-metadata "$VM_DESCRIPTIONS/binaries.json" "$@" "${words[@]}"
}

# One line for each test that does not pass, and the sum.
conformance() {
    local log status
    log=$(mktemp)
    "$VM_CONFORMANCE" --runtime bin/mydocker-runtime --expected conformance/expected/mydocker-runtime.toml \
        --limit 300 --jobs 3 "$@" >"$log" 2>&1
    status=$?
    grep -vE '^ok [0-9]+ - [^#]*$' "$log"
    return "$status"
}

# cgroups that the runtime makes itself, and the engines.
cgroupfs() { nextest --profile vm; }

# Those that systemd makes.
systemd() { MYDOCKER_CGROUP_DRIVER=systemd nextest --profile vm-systemd; }

# Networks ask for the address by which the machine would reach others; it has no card.
mydocker() {
    ip link add outside type dummy && ip address add 192.0.2.1/24 dev outside && ip link set outside up &&
        ip route add default dev outside || return
    nextest --profile vm-mydocker
}

conformance_cgroupfs() { conformance; }
conformance_systemd() { conformance --runtime-arg --systemd-cgroup; }

ALL=(cgroupfs systemd mydocker conformance_cgroupfs conformance_systemd)

main() {
    local word round failed=()
    for word in "$@"; do
        case " ${ALL[*]} " in
        *" $word "*) rounds+=("$word") ;;
        *) words+=("$word") ;;
        esac
    done
    if [ ${#rounds[@]} -eq 0 ]; then
        [ ${#words[@]} -gt 0 ] && rounds=(cgroupfs) || rounds=("${ALL[@]}")
    fi
    scratch || exit
    for round in "${rounds[@]}"; do
        echo "== in the machine: $round"
        SECONDS=0
        "$round" || failed+=("$round")
        echo "== $round took $SECONDS s"
    done
    [ ${#failed[@]} -eq 0 ] || { echo "failed in the machine: ${failed[*]}"; exit 1; }
}

main "$@"
