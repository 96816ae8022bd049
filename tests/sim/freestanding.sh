#!/bin/sh
# The firmware's core and devices must run on a chip without an operating system: their objects may need nothing but each
# other, the port contract (port_*) and the memory functions that compilers emit calls to.
#   freestanding.sh LIBRARY...
set -e
defined=$(nm --defined-only "$@" | awk 'NF == 3 { print $3 }' | sort -u)
needed=$(nm --undefined-only "$@" | awk '$1 == "U" { print $2 }' | sort -u)
bad=$(printf '%s\n' "$needed" | grep -vxE 'port_[a-z_]+|mem(set|cpy|move|cmp)|__stack_chk_fail' |
    while read -r name; do printf '%s\n' "$defined" | grep -qx "$name" || echo "$name"; done)
if [ -n "$bad" ]; then
    echo "not freestanding: $bad"
    exit 1
fi
# mutable state of a file of its own would be shared by all boards of a process
shared=$(size -A "$@" | awk '$1 ~ /^\.(data|bss|tdata|tbss|data\.rel|data\.rel\.local)$/ { bytes += $2 } END { print bytes + 0 }')
if [ "$shared" != 0 ]; then
    echo "$shared bytes of mutable globals"
    exit 1
fi
echo "freestanding, no mutable globals"
