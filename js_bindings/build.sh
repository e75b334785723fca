#!/usr/bin/env bash
# Makes dqnn.wasm beside the package's files. The same sources and compiler give the same bytes, wherever the tree lies.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${DQNN_WASM_BUILD:-$here/../build/wasm}
for tool in cmake ninja clang wasm-ld; do
  command -v "$tool" >/dev/null || {
    echo "build.sh needs $tool (Debian: cmake, ninja-build, clang, lld)" >&2
    exit 1
  }
done
mkdir -p "$build"
# One at a time: tests may ask for it from several processes.
exec 9>"$build/lock"
flock 9
{
  cmake -S "$here" -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$here/../interpreter_c/cmake/wasm32.cmake" -DCMAKE_BUILD_TYPE=Release &&
    cmake --build "$build"
} >"$build/log" 2>&1 || {
  cat "$build/log" >&2
  exit 1
}
cmp -s "$build/dqnn.wasm" "$here/dqnn.wasm" || cp "$build/dqnn.wasm" "$here/dqnn.wasm"
cmp -s "$here/../LICENSE" "$here/LICENSE" || cp "$here/../LICENSE" "$here/LICENSE"
