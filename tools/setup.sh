#!/usr/bin/env bash
# Sets up a machine for `make demo` or `make test`: Debian/Ubuntu packages, then a Python environment.
#
#   tools/setup.sh system demo|test          install the packages whose tools are missing; does nothing when all are there
#   tools/setup.sh venv DIR TARGET           make the virtual environment DIR and install the pip target (such as `.` or `-e .[dev]`)
#
# Nothing is installed outside DIR but Debian packages, and those only through apt-get. Everything may be run again at any time.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
LOGS=build/logs

say() { printf '%s\n' "$*"; }

die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

# run_logged LABEL COMMAND...: output goes to a log; a line every few seconds tells that it is alive; the log's end is shown on failure.
run_logged() {
  local label=$1 start=$SECONDS log
  shift
  mkdir -p "$LOGS"
  log=$LOGS/$(printf '%s' "$label" | tr -cs 'a-zA-Z0-9' '-').log
  say "  $label ..."
  "$@" >"$log" 2>&1 &
  local pid=$! last=0
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.5
    if ((SECONDS - start >= last + 10)); then
      last=$((SECONDS - start))
      printf '    %4d s  %s\n' "$last" "$(tail -n 1 "$log" | tr -d '\r' | cut -c 1-100)"
    fi
  done
  if ! wait "$pid"; then
    tail -n 30 "$log" >&2
    die "$label failed (whole log: $log)"
  fi
  say "  $label: done in $((SECONDS - start)) s"
}

has() { command -v "$1" >/dev/null 2>&1; }

has_newlib() { has arm-none-eabi-gcc && [ -e "$(arm-none-eabi-gcc -print-file-name=libc_nano.a)" ]; }

has_python_headers() {
  "$PYTHON" -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null
}

has_venv() { "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; }

has_sanitizers() {
  local source=$LOGS/sanitizers.c
  has clang || return 1
  mkdir -p "$LOGS"
  echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d && n > 9 ? 0 : 0; }' >"$source"
  clang -fsanitize=fuzzer,address,undefined "$source" -o "$LOGS/sanitizers" 2>/dev/null
}

# Prints the Debian packages that are missing for a purpose; `a|b` is a where it exists, else b. Tools are looked for, not packages: a
# compiler built by hand is as good.
missing_packages() {
  has g++ || echo g++
  has cmake || echo cmake
  has ninja || echo ninja-build
  has_venv || echo python3-venv
  has_python_headers || echo python3-dev
  has arm-none-eabi-gcc || echo gcc-arm-none-eabi
  has_newlib || echo libnewlib-arm-none-eabi
  has qemu-system-arm || echo qemu-system-arm
  [ "$1" = test ] || return 0
  has clang || echo clang
  has clang-tidy || echo clang-tidy
  has clang-format || echo clang-format
  has flatc || echo flatbuffers-compiler
  [ -e /usr/include/flatbuffers/flatbuffers.h ] || echo libflatbuffers-dev
  has riscv64-unknown-elf-gcc || echo gcc-riscv64-unknown-elf
  has qemu-system-riscv32 || echo 'qemu-system-riscv|qemu-system-misc'
  has chromium || has chromium-browser || echo 'chromium|chromium-browser'
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Of `a|b` the name that apt knows.
available() {
  local name
  for name in ${1//|/ }; do
    if apt-cache show "$name" >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
  echo "${1%%|*}"
}

apt_install() {
  local packages=$*
  has apt-get || die "please install: $packages (this script knows only apt-get)"
  [ "$(id -u)" = 0 ] || has sudo || die "neither root nor sudo; please run as root: apt-get install $packages"
  # Ask for the password now, not behind a progress line.
  [ "$(id -u)" = 0 ] || sudo -v
  run_logged "apt-get update" as_root env DEBIAN_FRONTEND=noninteractive apt-get update
  packages=$(for package in $packages; do available "$package"; done | tr '\n' ' ')
  # shellcheck disable=SC2086
  run_logged "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
}

system() {
  local missing
  missing=$(missing_packages "$1" | tr '\n' ' ')
  missing=${missing% }
  if [ -n "$missing" ]; then
    say "system packages: installing $missing"
    # shellcheck disable=SC2086
    apt_install $missing
  fi
  # The sanitizers' runtime has a package of its own in Debian, named after the compiler's version.
  if [ "$1" = test ] && ! has_sanitizers; then
    local version
    version=$(clang -dumpversion | cut -d. -f1)
    say "system packages: installing libclang-rt-$version-dev"
    apt_install "libclang-rt-$version-dev"
    has_sanitizers || die "clang $version cannot link -fsanitize=fuzzer,address,undefined"
  fi
  say "system packages: all there"
}

make_venv() {
  local dir=$1
  shift
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || die "$PYTHON is older than 3.10; set PYTHON=python3.11 or newer"
  [ -x "$dir/bin/python" ] || run_logged "virtual environment $dir" "$PYTHON" -m venv "$dir"
  run_logged "pip install $* in $dir" "$dir/bin/python" -m pip install --disable-pip-version-check --no-input "$@"
}

case "${1:-}" in
  system) system "$2" ;;
  venv) shift && make_venv "$@" ;;
  *) die "usage: tools/setup.sh system demo|test, or venv DIR PIP-ARGUMENTS..." ;;
esac
