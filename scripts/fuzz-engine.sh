#!/usr/bin/env bash
# Fuzzes the engine by coverage: libFuzzer over the targets of engine/fuzz, by the stable compiler.
#
#   fuzz-engine.sh run INPUTS [TARGET]    that many inputs for each target, beginning with the corpus
#   fuzz-engine.sh replay TARGET FILE     one input alone, as a finding names it
#   fuzz-engine.sh keep [TARGET]          makes the corpus what covers all that runs have found, in few files
set -euo pipefail
cd "$(dirname "$0")/.."

SEED=1
# No script of a target is longer; a packet of 64 KB is made of a few bytes.
MAX_BYTES=2048
FOUND=engine/target/fuzz-found
BUILT=engine/target/fuzz

usage() { sed -n '3,6s/^# *//p' "$0" >&2; exit 2; }

build() {
    RUSTC_WORKSPACE_WRAPPER="$PWD/scripts/rustc-sancov.sh" CARGO_TARGET_DIR="$PWD/engine/target" \
        cargo build --manifest-path engine/Cargo.toml --package shadowmesh-fuzz --profile fuzz \
        --features libfuzzer,libfuzzer-sys/link_libfuzzer --quiet
}

targets() { for folder in "engine/fuzz/corpus/${1:-}"*; do basename "$folder"; done; }

# What libFuzzer says is long: it goes to a file, and from there the end of it or a finding.
run() {
    local target=$1 log="$FOUND/$1.log"
    mkdir -p "$FOUND/$target"
    if ! "$BUILT/$target" -runs="$inputs" -seed=$SEED -max_len=$MAX_BYTES -len_control=10 -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$FOUND/$target-" "$FOUND/$target" "engine/fuzz/corpus/$target" >"$log" 2>&1; then
        sed -n '/panicked\|ERROR/,$p' "$log"
        echo "$target: FOUND; again: scripts/fuzz-engine.sh replay $target $(sed -n 's/^.*Test unit written to //p' "$log")"
        return 1
    fi
    echo "$target: $inputs inputs, seed $SEED: nothing found;$(sed -n 's/^#.*DONE *//p' "$log")"
}

keep() {
    local target=$1 corpus="engine/fuzz/corpus/$1" kept
    kept=$(mktemp -d)
    mkdir -p "$FOUND/$target"
    "$BUILT/$target" -set_cover_merge=1 -use_counters=0 -max_len=$MAX_BYTES "$kept" "$corpus" "$FOUND/$target" 2>/dev/null
    rm -rf "$corpus"
    mv "$kept" "$corpus"
    chmod 755 "$corpus"
    echo "$target: $(find "$corpus" -type f | wc -l) files"
}

action=${1:-}
case "$action" in
    run)
        inputs=${2:?$(usage)}
        build
        status=0
        for target in $(targets "${3:-}"); do run "$target" || status=1; done
        exit $status
        ;;
    replay) build && exec "$BUILT/${2:?}" "${3:?}" ;;
    keep) build && for target in $(targets "${2:-}"); do keep "$target"; done ;;
    *) usage ;;
esac
