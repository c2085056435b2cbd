#!/bin/bash
# From nothing to a first container: a Debian root file system, a bundle around it, one command in it.
# The root file system is built once and kept in .cache/.
set -euo pipefail
cd "$(dirname "$0")/.."

bundle=.cache/demo
runtime=$PWD/bin/mydocker-runtime

cargo xtask rootfs debian "$bundle/rootfs"

rm -f "$bundle/config.json"
"$runtime" spec --bundle "$bundle"
command='
. /etc/os-release
echo "Hello from $PRETTY_NAME, inside a container."
echo "  host name   $(hostname)"
echo "  I am        $(id)"
echo "  process     $$ (in its own pid namespace)"
echo "  processes   $(echo /proc/[0-9]*)"
echo "  root        $(grep " / / " /proc/self/mountinfo | cut -d" " -f6 | head -n1)"
echo "  capability  $(grep CapEff /proc/self/status | cut -f2)"
'
jq --arg command "$command" '.process.terminal = false | .process.args = ["/bin/sh", "-c", $command]' \
    "$bundle/config.json" >"$bundle/config.json.new"
mv "$bundle/config.json.new" "$bundle/config.json"

echo "+ bin/mydocker-runtime run $bundle"
"$runtime" run "$bundle"
