#!/usr/bin/env bash
# Sets up a machine for `make demo` or `make test`: Debian/Ubuntu packages, then a Python environment.
#
#   tools/setup.sh system demo|test      install the packages whose tools are missing; does nothing when all are there
#   tools/setup.sh venv demo|test        make .venv (the package as users have it) or .venv-test (editable, with all tools)
#
# Nothing is installed outside these directories but Debian packages, and those only through apt-get. Everything may be run again at any time.
# Python packages come through uv, because Larq asks for numpy 1, which Python 3.13 and TensorFlow 2.21 do not have: pyproject.toml
# corrects that, and pip has no such thing.
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

# leave_out DIR NAME REASON: what does not exist for this machine, for tests/conftest.py to skip by name.
leave_out() {
  say "  left out: tests that need $2: $3"
  printf '%s: %s\n' "$2" "$3" >>"$1/left-out"
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
  has flatc || echo flatbuffers-compiler
  [ -e /usr/include/flatbuffers/flatbuffers.h ] || echo libflatbuffers-dev
  has aarch64-linux-gnu-gcc || echo gcc-aarch64-linux-gnu
  [ -e /usr/aarch64-linux-gnu/lib/crti.o ] || echo libc6-dev-arm64-cross
  has qemu-aarch64 || echo qemu-user
  has riscv64-unknown-elf-gcc || echo gcc-riscv64-unknown-elf
  has qemu-system-riscv32 || echo 'qemu-system-riscv|qemu-system-misc'
  has wasm-ld || echo lld
  has node || echo nodejs
  has npm || echo npm
  has tsc || echo node-typescript
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
  local package name packages=()
  has apt-get || die "please install: $* (this script knows only apt-get)"
  [ "$(id -u)" = 0 ] || has sudo || die "neither root nor sudo; please run as root: apt-get install $*"
  # Ask for the password now, not behind a progress line.
  [ "$(id -u)" = 0 ] || sudo -v
  run_logged "apt-get update" as_root env DEBIAN_FRONTEND=noninteractive apt-get update
  for package in "$@"; do
    name=$(available "$package")
    # Ubuntu's package is a script that asks for the snap.
    if apt-cache show "$name" 2>/dev/null | grep -q '^Version: .*snap'; then
      leave_out build "$name" "this distribution has it only as a snap"
    else
      packages+=("$name")
    fi
  done
  run_logged "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"
}

system() {
  local missing
  if [ "$1" = test ]; then rm -f build/left-out; fi
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

# uv does not read pip's configuration, where a machine behind a mirror names its index, proxy and certificates.
as_pip_is_configured() { # as_pip_is_configured PYTHON
  local key value
  while IFS='=' read -r key value; do
    value=${value#\'} value=${value%\'}
    case $key in
      *.index-url) : "${UV_DEFAULT_INDEX:=$value}" ;;
      *.trusted-host) : "${UV_INSECURE_HOST:=$value}" ;;
      *.cert) : "${SSL_CERT_FILE:=$value}" ;;
      *.proxy) : "${ALL_PROXY:=$value}" ;;
    esac
  done < <("$1" -m pip config list)
  : "${UV_HTTP_TIMEOUT:=180}"
  for key in UV_DEFAULT_INDEX UV_INSECURE_HOST SSL_CERT_FILE ALL_PROXY UV_HTTP_TIMEOUT; do
    [ -z "${!key:-}" ] || export "${key?}"
  done
}

empty_venv() { # empty_venv DIR: an environment with uv alone
  local dir=$1
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || die "$PYTHON is older than 3.10; set PYTHON=python3.11 or newer"
  [ -x "$dir/bin/python" ] || run_logged "virtual environment $dir" "$PYTHON" -m venv "$dir"
  [ -x "$dir/bin/uv" ] || run_logged "uv in $dir" "$dir/bin/python" -m pip install --disable-pip-version-check --no-input 'uv>=0.5'
  as_pip_is_configured "$dir/bin/python"
}

uv_install() { # uv_install DIR ARGUMENTS...
  local dir=$1
  shift
  run_logged "uv pip install $* in $dir" "$dir/bin/uv" pip install --python "$dir/bin/python" --compile-bytecode --reinstall-package dqnn "$@"
}

# TensorFlow comes later than each Python, and not to every processor.
has_tensorflow() {
  local log=$LOGS/tensorflow.log
  mkdir -p "$LOGS"
  .venv-test/bin/uv pip compile --quiet --python .venv-test/bin/python --no-deps --only-binary :all: --extra keras pyproject.toml \
    >"$log" 2>&1 && return
  grep -q 'No solution found' "$log" || die "cannot ask for TensorFlow: $(tail -n 5 "$log")"
  return 1
}

make_venv() {
  local extras=keras,dev
  if [ "$1" = demo ]; then
    empty_venv .venv
    uv_install .venv '.[pad]'
    return
  fi
  empty_venv .venv-test
  rm -f .venv-test/left-out
  if ! has_tensorflow; then
    extras=dev
    leave_out .venv-test tf "no TensorFlow for $("$PYTHON" -c 'import platform as p; print("Python", p.python_version(), "on", p.machine())')"
  fi
  uv_install .venv-test -e ".[$extras]"
}

case "${1:-}" in
  system) system "$2" ;;
  venv) make_venv "$2" ;;
  *) die "usage: tools/setup.sh system|venv demo|test" ;;
esac
