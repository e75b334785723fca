#!/usr/bin/env bash
# Long fuzzing that can be stopped and taken up again: long_run.sh BUILD TOTAL [FILE.dqnn ...]. BUILD as for run.sh; TOTAL executions
# over all targets and all calls so far. Rounds of raw, mutated and structured files, one process at a time, as nice as can be. BUILD/long_run.tsv
# has a line for each; what brings a target down goes to BUILD/findings, and the next round goes on.
set -euo pipefail
build=$(cd "$1" && pwd)
total=$2
shift 2
source "$(dirname "$0")/targets.sh"
log=$build/long_run.tsv
version=$(git -C "$(dirname "$0")" describe --always --dirty)

declare -A RUNS=([raw]=400000 [mutate]=400000 [structured]=200000) # of a round

# From libFuzzer's output: the number behind a label.
figure() { sed -n "s/.*$1:* *\([0-9]\+\).*/\1/p" "$build/last.log" | tail -n 1; }

done_so_far() { awk -F'\t' 'NR > 1 { n += $5 } END { print n + 0 }' "$log"; }

round() { # round TARGET
  local target=$1 seed=$((RANDOM * 32768 + RANDOM + 1)) start=$SECONDS
  nice -n 19 bash -c "$(declare -f fuzz); MAX_LEN=$MAX_LEN; fuzz '$build' $target -runs=${RUNS[$target]} -seed=$seed" >"$build/last.log" 2>&1 || true
  mkdir -p "$build/findings"
  find "$build/corpus-$target" \( -name 'crash-*' -o -name 'timeout-*' -o -name 'oom-*' -o -name 'slow-unit-*' \) -exec mv -t "$build/findings" {} +
  cp "$build/last.log" "$build/last-$target.log"
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$(date +%FT%T)" "$version" "$target" "$seed" "$(figure number_of_executed_units)" \
    "$(figure accepted)" "$(figure run)" "$(figure new_units_added)" $((SECONDS - start)) "$(find "$build/findings" -type f | wc -l)" >>"$log"
}

gather_seeds "$build" "$@"
[ -e "$log" ] || printf 'time\tversion\ttarget\tseed\texecutions\taccepted\trun\tnew units\tseconds\tfindings so far\n' >"$log"
while [ "$(done_so_far)" -lt "$total" ]; do
  for target in raw mutate structured; do
    round "$target"
  done
done
awk -F'\t' 'NR > 1 { n[$3] += $5; a[$3] += $6; r[$3] += $7 } END { for (t in n) print t ": " n[t] " executions, " a[t] " accepted, " r[t] " run" }' "$log"
