#!/bin/sh
# A million executions of each fuzz driver: tests/fuzz/long.sh BUILD_DIR [SEED [EXECUTIONS]]
set -e
build=$1 seed=${2:-1} count=${3:-1000000}
here=$(dirname "$0")
for driver in "$build"/tests/fuzz/fuzz_*; do
    [ -x "$driver" ] && [ -f "$driver" ] || continue
    name=${driver##*/fuzz_}
    corpus=$here/$name
    [ -d "$corpus" ] || corpus=$here/config
    echo "$name"
    "$driver" "$corpus" "$count" "$seed"
done
