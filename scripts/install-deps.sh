#!/bin/bash
# Installs the Debian packages that the groups named on the command line need and that are missing:
#
#   scripts/install-deps.sh GROUP...      build, demo, test, vm, bench
#
# It asks nothing, starts no service, and does not touch the package lists when all is there.
# The product needs none of these to run; only building, testing and measuring it does.
set -euo pipefail

declare -A groups=(
    [build]='gcc libc6-dev musl-dev make git ca-certificates'
    [demo]='netavark aardvark-dns iptables'
    [test]='runc crun containerd podman docker.io conmon netavark aardvark-dns iptables iproute2 passt uidmap
            mmdebstrap busybox-static strace libseccomp-dev jq procps e2fsprogs dbus-daemon criu
            docker-registry skopeo umoci apache2-utils openssl qemu-user-static libcap2-bin curl time
            xz-utils'
    [vm]='mmdebstrap e2fsprogs qemu-system-x86 binutils'
    [bench]='runc crun mmdebstrap busybox-static strace libseccomp-dev jq podman containerd skopeo umoci docker-registry
             docker.io conmon netavark aardvark-dns iptables iproute2 e2fsprogs curl isal'
)

is_installed() {
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_of() {
    local group package
    for group in "$@"; do
        if [ -z "${groups[$group]:-}" ]; then
            echo "install-deps: unknown group '$group'; known: ${!groups[*]}" >&2
            return 2
        fi
        for package in ${groups[$group]}; do
            is_installed "$package" || echo "$package"
        done
    done
}

# invoke-rc.d asks this file before it starts a service; 101 means "not allowed".
# One that the machine brought along is left as it is.
forbid_services() {
    local policy=/usr/sbin/policy-rc.d
    [ ! -e "$policy" ] || return 0
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
}

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    forbid_services
    apt-get update --quiet
    apt-get install --quiet --yes --no-install-recommends "$@" </dev/null
}

install_nextest() {
    command -v cargo >/dev/null || return 0
    cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked
}

main() {
    [ $# -gt 0 ] || { echo "usage: $0 GROUP...   (${!groups[*]})" >&2; exit 2; }
    local missing
    missing=$(missing_of "$@" | sort --unique)
    if [ -n "$missing" ]; then
        if [ "$(id -u)" -ne 0 ]; then
            echo "install-deps: missing packages, and only root can install them:" $missing >&2
            exit 1
        fi
        # Package names hold no blanks: here the words are meant to be split.
        install_packages $missing
    fi
    case " $* " in
    *' test '* | *' vm '*) install_nextest ;;
    esac
}

main "$@"
