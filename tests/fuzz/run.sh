#!/usr/bin/env bash
# Bounded fuzzing: run.sh BUILD SECONDS [FILE.dqnn ...]. BUILD was configured with -DDQNN_FUZZ=ON; the files join the seeds.
# A quarter of the time goes to raw bytes, the rest to mutated files. Corpora and findings stay in BUILD/corpus-*.
set -euo pipefail
build=$(cd "$1" && pwd)
seconds=$2
shift 2
seeds=$build/seeds
mkdir -p "$seeds"
find "$build" \( -path '*/blobs/*.dqnn' -o -path '*/c/seeds/*.dqnn' \) -exec cp -t "$seeds" {} +
[ $# -eq 0 ] || cp -t "$seeds" "$@"

fuzz() { # fuzz TARGET SECONDS
  local corpus=$build/corpus-$1
  mkdir -p "$corpus"
  "$(find "$build" -type f -name "$1" -perm -u+x | head -n 1)" -max_total_time="$2" -timeout=20 -rss_limit_mb=2048 -max_len=32768 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="$corpus/" "$corpus" "$seeds"
}

fuzz fuzz_raw $((seconds / 4 > 0 ? seconds / 4 : 1))
fuzz fuzz_mutate $((seconds - seconds / 4))
