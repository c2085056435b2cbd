#!/bin/bash
# From nothing to a first container: a Debian root file system, a bundle around it, one command in it.
# The root file system is built once and kept in .cache/.
set -euo pipefail
cd "$(dirname "$0")/.."

bundle=.cache/demo

# Shows a command as a person would type it, then runs it.
show() { echo "+ $*"; "$@"; }

show cargo xtask rootfs debian "$bundle/rootfs"

rm -f "$bundle/config.json"
show bin/mydocker-runtime spec --bundle "$bundle"
command='
. /etc/os-release
echo "Hello from $PRETTY_NAME, inside a container."
echo "  host name     $(hostname)"
echo "  I am          $(id)"
echo "  process       $$ of $(echo /proc/[0-9]*)"
echo "  capabilities  $(grep CapEff /proc/self/status | cut -f2)"
echo "  root          $(grep -m1 " / r[ow]" /proc/self/mountinfo | cut -d" " -f6)"
echo "  interfaces    $(ls /sys/class/net)"
'
echo "+ jq '.process.terminal = false | .process.args = [...]' $bundle/config.json"
jq --arg command "$command" '.process.terminal = false | .process.args = ["/bin/sh", "-c", $command]' \
    "$bundle/config.json" >"$bundle/config.json.new"
mv "$bundle/config.json.new" "$bundle/config.json"

show bin/mydocker-runtime run "$bundle"
