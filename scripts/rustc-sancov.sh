#!/usr/bin/env bash
# A compiler for the workspace's own crates that counts what is covered, as libFuzzer wants it. The ciphers of other
# crates go without, as no branch of theirs is worth finding. These are the passes of cargo-fuzz; no nightly is needed.
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0
