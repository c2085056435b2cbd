#!/bin/sh
# Fails unless the program given as $1 runs without any shared library of the host.
# glibc's ldd has two ways to say so: one for a static-pie, one for a fixed-address binary.
set -eu

said=$(LC_ALL=C ldd "$1" 2>&1) || true
case $said in
*'statically linked'* | *'not a dynamic executable'*) ;;
*)
    echo "$1 is not a static binary; ldd says:" >&2
    echo "$said" >&2
    exit 1
    ;;
esac
