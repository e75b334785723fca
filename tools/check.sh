#!/usr/bin/env bash
# What `make test` and its parts run: tools/check.sh all|lint|mypy|imports|ctest|fuzz|fuzz-coverage|pytest|bench|format.
# Every step runs even if an earlier one failed; the failed ones are named at the end and the exit code is then 1.
set -uo pipefail
cd "$(dirname "$0")/.."

VENV=$PWD/.venv-test
export PATH=$VENV/bin:$PATH
JOBS=${JOBS:-2}
FUZZ_SECONDS=${FUZZ_SECONDS:-20}
FAILED=()

# step LABEL COMMAND...: runs it, tells how long it took, remembers a failure.
step() {
  local label=$1 start=$SECONDS status=0
  shift
  printf '\n== %s\n' "$label"
  "$@" || status=$?
  printf '== %s: %s in %d s\n' "$label" "$([ $status = 0 ] && echo passed || echo FAILED)" $((SECONDS - start))
  [ $status = 0 ] || FAILED+=("$label")
}

finish() {
  if [ ${#FAILED[@]} -gt 0 ]; then
    printf '\nFAILED: %s\n' "${FAILED[*]}"
    exit 1
  fi
}

# Files with assembly in them are laid out by hand: clang-format tears instructions apart. What our commands write stays as they do.
c_files() { git ls-files '*.c' '*.h' '*.cpp' '*.hpp' ':!env_support/example/model.*' | xargs grep -L __asm__; }

# The package as it is installed: exporter/ and schema/generated/ stand elsewhere in the repository.
package_tree() { # package_tree DIR
  rm -rf "$1" && mkdir -p "$1/dqnn"
  ln -s "$PWD"/python_bindings/dqnn/* "$1/dqnn/"
  ln -s "$PWD/exporter" "$1/dqnn/exporter"
  ln -s "$PWD/schema/generated" "$1/dqnn/schema"
}

# The contracts of pyproject.toml: who may import whom. -S: without the finder of the editable install, which would hide the tree; what is
# compiled stands there as an empty module.
imports() {
  local tree=build/imports libraries
  libraries=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  package_tree "$tree" && touch "$tree/dqnn/_core.py"
  PYTHONPATH=$tree:$libraries python -S -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --cache-dir build/import-linter
}

types() {
  local tree=build/typecheck
  package_tree "$tree"
  MYPYPATH=$tree mypy --cache-dir build/mypy --strict -p dqnn && MYPYPATH=$tree:tests/models mypy --cache-dir build/mypy --strict tools/*.py
}

configure() { # configure DIR COMPILER OPTIONS...
  local dir=$1 compiler=$2
  shift 2
  cmake -S interpreter_c -B "$dir" -G Ninja -DDQNN_PYTHON="$VENV/bin/python" -DCMAKE_C_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Debug "$@" >"$dir.log" 2>&1 || {
    cat "$dir.log"
    return 1
  }
}

# Instruction sets that the compilers of this machine know. Which of them the processor has, the programs ask themselves.
isas() {
  case "$(uname -m)" in
    x86_64 | amd64) sed -n 's/^set(DQNN_ISAS_x86_64 \([a-z0-9 ]*\)).*/\1/p' interpreter_c/kernels/sources.cmake | tr ' ' ';' ;;
    aarch64 | arm64) sed -n 's/^set(DQNN_ISAS_aarch64 \([a-z0-9 ]*\)).*/\1/p' interpreter_c/kernels/sources.cmake | tr ' ' ';' ;;
    *) echo 'portable;winograd;packed' ;;
  esac
}

# run_tidy FILES-AT-ONCE OPTIONS...
run_tidy() {
  local at_once=$1
  shift
  local monocypher
  monocypher=$(PYTHON=python tools/monocypher.sh) || return 1
  configure build/tidy clang "-DDQNN_MONOCYPHER=$monocypher" "-DDQNN_ISAS=$(isas)" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON || return 1
  git ls-files 'interpreter_c/src/*.c' 'interpreter_c/link/*.c' 'interpreter_c/store/*.c' 'interpreter_c/ed25519/*.c' 'interpreter_c/kernels/**.c' ':!interpreter_c/kernels/mve' |
    xargs -P "$at_once" -n 4 clang-tidy --quiet -p build/tidy "$@" 2>&1 | grep -v 'warnings generated'
  return "${PIPESTATUS[1]}"
}

# kernels/mve as a Cortex-M55 compiles them, with clang-tidy's own arm_mve.h and the C library of the GNU toolchain. The core's assembly
# hands instructions to macros, which cannot stand in parentheses.
tidy_helium() {
  local dir=build/tidy-helium sysroot
  sysroot=$(arm-none-eabi-gcc -print-sysroot) || return 1
  mkdir -p "$dir"
  printf '%s\n' -std=c11 --target=arm-none-eabi -mcpu=cortex-m55 -mthumb -mfloat-abi=hard -isystem "${sysroot:-/usr/lib/arm-none-eabi}/include" \
    -DDQNN_HAVE_MVE=1 -DDQNN_PACKED_WEIGHTS=1 "-I$PWD/interpreter_c/include" >"$dir/compile_flags.txt"
  git ls-files 'interpreter_c/kernels/mve/*.c' |
    xargs -P "$1" -n 4 clang-tidy --quiet -p "$dir" --checks=-bugprone-macro-parentheses 2>&1 | grep -v 'warnings generated'
  return "${PIPESTATUS[1]}"
}

lint() {
  step "ruff check" ruff check .
  step "ruff format" ruff format --check .
  step "mypy" types
  step "imports" imports
  step "clang-format" bash -c "$(declare -f c_files); c_files | xargs clang-format --dry-run -Werror"
  step "clang-tidy" run_tidy "$JOBS"
  step "clang-tidy, Helium" tidy_helium "$JOBS"
}

format() {
  python tools/licence_lines.py
  ruff check --fix-only .
  ruff format .
  # One at a time: two of them might mend the same header.
  run_tidy 1 '-checks=-*,readability-braces-around-statements' --fix
  c_files | xargs clang-format -i
}

# configure_tests DIR COMPILER OPTIONS...: configures the C tests with every instruction set; all such builds share the seeds.
configure_tests() {
  local dir=$1 compiler=$2
  shift 2
  configure "$dir" "$compiler" "-DDQNN_ISAS=$(isas)" "-DDQNN_SEEDS=$PWD/build/seeds" "$@"
}

ctest_with() { # ctest_with COMPILER
  local dir=build/ctest-$1
  configure_tests "$dir" "$1" -DDQNN_TESTS=ON -DDQNN_SANITIZE=ON && cmake --build "$dir" -j "$JOBS" && ctest --test-dir "$dir" --output-on-failure -j "$JOBS"
}

# What MemorySanitizer can follow: it takes the products of VNNI with words that are masked out for values.
ctest_memory() {
  local dir=build/ctest-memory flags="-fsanitize=memory -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1"
  configure_tests "$dir" clang -DDQNN_TESTS=ON "-DCMAKE_C_FLAGS=$flags" "-DDQNN_ISAS=$(isas | sed 's/;vnni//')" &&
    cmake --build "$dir" -j "$JOBS" --target replay walk dqnn_test_seeds && ctest --test-dir "$dir" --output-on-failure -j "$JOBS" -R 'seeds|walk|golden'
}

c_tests() {
  step "C tests, gcc, sanitizers" ctest_with gcc
  step "C tests, clang, sanitizers" ctest_with clang
  step "seeds, clang, MemorySanitizer" ctest_memory
}

fuzz() {
  local dir=build/fuzz
  configure_tests "$dir" clang -DDQNN_FUZZ=ON && cmake --build "$dir" -j "$JOBS" || return 1
  tests/fuzz/run.sh "$dir" "$FUZZ_SECONDS" schema/golden/*/*.dqnn
}

# Which code of the fast kernels the seeds run, and with the corpora of `make fuzz`, as a table.
fuzz_coverage() {
  local dir=build/coverage corpora
  configure_tests "$dir" gcc -DDQNN_TESTS=ON "-DCMAKE_C_FLAGS=--coverage -O1" && cmake --build "$dir" -j "$JOBS" --target replay dqnn_test_seeds || return 1
  corpora=$(find build/fuzz/corpus-raw build/fuzz/corpus-mutate build/fuzz/corpus-structured -maxdepth 0 2>/dev/null)
  # shellcheck disable=SC2086
  python tools/fuzz_coverage.py "$dir" build/seeds $corpora
}

bench() {
  local name
  mkdir -p build/bench
  for name in larq qkeras; do
    dqnn-export "examples/digits/digits_$name.h5" -o "build/bench/digits_$name.dqnn" >/dev/null || return 1
    dqnn bench "build/bench/digits_$name.dqnn" --target cortex-m4 || return 1
  done
  dqnn bench --kernels .
}

mkdir -p build
case "${1:-all}" in
  lint) lint ;;
  mypy) step "mypy" types ;;
  imports) step "imports" imports ;;
  format) format ;;
  ctest) c_tests ;;
  fuzz) step "fuzzing" fuzz ;;
  fuzz-coverage) fuzz_coverage || FAILED+=("coverage by the seeds") ;;
  bench) bench || FAILED+=("bench") ;;
  pytest) step "pytest" pytest -n "$JOBS" ;;
  all)
    lint
    c_tests
    step "fuzzing" fuzz
    step "coverage by the seeds" fuzz_coverage
    step "pytest" env DQNN_REQUIRE_TOOLS=1 pytest -n "$JOBS" --dist loadscope
    ;;
  *)
    echo "usage: tools/check.sh all|lint|mypy|imports|ctest|fuzz|fuzz-coverage|pytest|bench|format" >&2
    exit 2
    ;;
esac
finish
