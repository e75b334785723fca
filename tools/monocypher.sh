#!/usr/bin/env bash
# Monocypher for interpreter_c/ed25519: `tools/monocypher.sh [DIR]` puts monocypher.c and .h into DIR (default build/monocypher), unless they
# are there, and prints its path. They come from PyPI, in the version that monocypher.txt names by its hash.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
target=${1:-$root/build/monocypher}

if [ ! -e "$target/monocypher.c" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "${PYTHON:-python3}" -m pip download --quiet --no-deps --no-binary :all: --require-hashes -r "$root/tools/monocypher.txt" -d "$work" >&2
  tar -xzf "$work"/pymonocypher-*.tar.gz -C "$work" --strip-components=1
  mkdir -p "$target"
  cp "$work/monocypher.h" "$work/LICENSE.txt" "$target/"
  cp "$work/monocypher.c" "$target/monocypher.c.new" && mv "$target/monocypher.c.new" "$target/monocypher.c" # last: it says that all is there
fi
cd "$target" && pwd
