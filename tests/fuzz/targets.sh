# How the libFuzzer targets are called; sourced by run.sh and long_run.sh.

MAX_LEN=8192 # seeds are smaller; large files are slow and show nothing more

# gather_seeds BUILD FILE...: the files that fuzzers of files start from, in BUILD/start: make_seeds.py's, those of the C tests, and the
# given ones.
gather_seeds() {
  local build=$1 seeds
  shift
  seeds=$(sed -n 's/^DQNN_SEEDS:PATH=//p' "$build/CMakeCache.txt")
  mkdir -p "$build/start"
  find "$build" "$seeds" "$@" -name '*.dqnn' -not -path "$build/start/*" -size -$((MAX_LEN + 1))c | while read -r file; do
    cp "$file" "$build/start/${file//\//-}" # releases have files of the same name
  done
}

# fuzz BUILD TARGET OPTION...
fuzz() {
  local build=$1 target=$2 corpus=$1/corpus-$2 seeds=$1/start
  shift 2
  case $target in
    link | store) seeds=$(find "$build" -type d -path "*link-seeds/$target" | head -n 1) ;; # conversations, flash images
    *) set -- "$@" -use_counters=0 -max_len=$MAX_LEN ;; # new is an edge, not how often it is taken: loops of kernels would fill the corpus
  esac
  mkdir -p "$corpus"
  "$(find "$build" -type f -name "fuzz_$target" -perm -u+x | head -n 1)" "$@" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -verbosity=0 -artifact_prefix="$corpus/" "$corpus" "$seeds"
}
