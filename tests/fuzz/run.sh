#!/usr/bin/env bash
# Bounded fuzzing: run.sh BUILD SECONDS [FILE.dqnn ...]. BUILD was configured with -DDQNN_FUZZ=ON; the files join the seeds.
# Tenths of the time: one for raw bytes, one each for links and flash images, three for mutated files, four for structured ones. Corpora
# and findings stay in BUILD/corpus-*.
set -euo pipefail
build=$(cd "$1" && pwd)
seconds=$2
shift 2
source "$(dirname "$0")/targets.sh"
gather_seeds "$build" "$@"

run() { # run TARGET TENTHS
  local time=$((seconds * $2 / 10))
  fuzz "$build" "$1" -max_total_time=$((time > 0 ? time : 1))
}

run raw 1
run link 1
run store 1
run mutate 3
run structured 4
