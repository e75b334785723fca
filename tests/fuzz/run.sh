#!/usr/bin/env bash
# Bounded fuzzing: run.sh BUILD SECONDS [FILE.dqnn ...]. BUILD was configured with -DDQNN_FUZZ=ON; the files join the seeds.
# A fifth of the time goes to raw bytes, a fifth to links and flash images, the rest to mutated files. Corpora and findings stay in BUILD/corpus-*.
set -euo pipefail
build=$(cd "$1" && pwd)
seconds=$2
shift 2
seeds=$build/seeds
mkdir -p "$seeds"
find "$build" \( -path '*/blobs/*.dqnn' -o -path '*/c/seeds/*.dqnn' \) -exec cp -t "$seeds" {} +
[ $# -eq 0 ] || cp -t "$seeds" "$@"

fuzz() { # fuzz TARGET SECONDS [SEEDS]
  local corpus=$build/corpus-$1 from=${3:-$seeds}
  mkdir -p "$corpus"
  "$(find "$build" -type f -name "$1" -perm -u+x | head -n 1)" -max_total_time="$2" -timeout=20 -rss_limit_mb=2048 -max_len=32768 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="$corpus/" "$corpus" "$from"
}

part=$((seconds / 10 > 0 ? seconds / 10 : 1))
conversations=$(find "$build" -type d -path '*link-seeds' | head -n 1)
fuzz fuzz_raw $((2 * part))
fuzz fuzz_link "$part" "$conversations/link"
fuzz fuzz_store "$part" "$conversations/store"
fuzz fuzz_mutate $((seconds > 4 * part ? seconds - 4 * part : 1))
