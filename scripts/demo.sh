#!/bin/bash
# From nothing to a first container: the host's own root file system, which the container sees and cannot change.
# Nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."

# Shows a command as a person would type it, then runs it.
show() { echo "+ $*"; "$@"; }

script='
. /etc/os-release
echo "Hello from $PRETTY_NAME, inside a container."
echo "  host name     $(hostname)"
echo "  I am          $(id)"
echo "  process       $$ of $(echo /proc/[0-9]*)"
echo "  capabilities  $(grep CapEff /proc/self/status | cut -f2)"
echo "  interfaces    $(ls /sys/class/net | tr "\n" " ")"
rm -rf /usr/share/doc && echo "  /usr/share/doc is gone in here"
'
show bin/mydocker run --rm /bin/sh -c "$script"
[ ! -d /usr/share/doc ] || echo "and still there outside."
