#!/bin/bash
# Finds out which functions a `run` goes through, and writes runtime/hot.ld, by which the linker puts them together
# (docs/adr/0018-what-a-start-costs.md). For root, on x86-64, when a test of the budget says that a run takes more memory
# than it did: an old list is no mistake, only slower. $1 is a release program with its symbols, else it is built.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${1:-}
if [ -z "$program" ]; then
    CARGO_PROFILE_RELEASE_STRIP=none cargo build --release --locked --package mydocker-runtime
    program=target/$(rustc --print host-tuple)/release/mydocker-runtime
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

mkdir -p "$scratch/bundle/rootfs/bin"
cp "$(command -v busybox)" "$scratch/bundle/rootfs/bin/true"
"$program" spec --bundle "$scratch/bundle"
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"true"/' "$scratch/bundle/config.json"
cc -O2 -o "$scratch/hot-functions" scripts/hot-functions.c
"$scratch/hot-functions" "$program" --root "$scratch/state" run --bundle "$scratch/bundle" hot-functions |
    sed 's/$/ address/' >"$scratch/addresses"
nm --print-size --defined-only "$program" | awk 'NF == 4 && $3 ~ /[tTwWi]/ { print $1, $2, $4 }' |
    sed 's/^0*\(.\)/\1/' >"$scratch/functions"

# Each address belongs to the function that begins before it. A pattern leaves out what differs from build to build: the
# hashes. Those that match much that is not hot come last.
# shellcheck disable=SC2016 # what has a dollar sign is awk's
cat "$scratch/addresses" "$scratch/functions" | awk '{ printf "%16s %s %s\n", $1, $2, $3 }' | LC_ALL=C sort | awk '
    function number(digits,    n, i) {
        for (i = 1; i <= length(digits); i++) n = 16 * n + index("123456789abcdef", substr(digits, i, 1))
        return n
    }
    $2 == "address" { if (name != "") hot[name]; next }
    { name = $3; size[$3] = number($2) }
    END {
        for (name in size) if (name ~ /^(_ZN|_R)/) {
            pattern = name
            sub(/17h[0-9a-f]+E.*$/, "17h*", pattern)
            gsub(/Cs[0-9A-Za-z]+_/, "Cs*_", pattern)
            all[pattern] += size[name]
            if (name in hot) some[pattern] += size[name]
        }
        for (pattern in some) print (all[pattern] > 2 * some[pattern] && all[pattern] - some[pattern] > 500), pattern
    }' | LC_ALL=C sort >"$scratch/patterns"

{
    echo '/* Made by scripts/hot-functions.sh: what a run goes through, to lie on few pages. */'
    echo 'SECTIONS { .text.hot : {'
    echo '*(.text.first_instruction .text.main)'
    sed -n 's/^0 \(.*\)/*(.text.\1)/p' "$scratch/patterns"
    # What is linked of musl has 50 KB, of which a run needs most.
    echo '*libc.a:*.lo(.text .text.*)'
    sed -n 's/^1 \(.*\)/*(.text.\1)/p' "$scratch/patterns"
    echo '} } INSERT BEFORE .text;'
} >runtime/hot.ld
wc -l runtime/hot.ld
