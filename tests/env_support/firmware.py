"""A Cortex-M4 firmware of the example that all recipes share (env_support/example), whoever compiled it: what starts
it, how it is linked and run in QEMU, and what it must print."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

import dqnn

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "env_support" / "example"
CORE = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
EXAMPLE_SOURCES = [EXAMPLE / name for name in ("digits.c", "model.c", "kernels.c")]
BOARD = "mps2-an386"

# Prints the digit and the bits of every score.
MAIN = """
#include <stdio.h>
#include <string.h>
#include "digits.h"
#include "picture.h"
int main(void) {
  float scores[MODEL_OUTPUT0_ELEMENTS];
  printf("digit %d", digits_classify(picture, scores));
  for (int i = 0; i < MODEL_OUTPUT0_ELEMENTS; i++) {
    unsigned long bits = 0;
    memcpy(&bits, &scores[i], 4);
    printf(" %08lx", bits);
  }
  printf("\\n");
  return 0;
}
"""
# Vectors, the FPU on, and C's world: QEMU has loaded .data and cleared the rest.
START = """
#include <stdint.h>
#include <stdlib.h>
extern int main(void);
extern void initialise_monitor_handles(void);
void start(void);
void _init(void);
void _fini(void);
void _init(void) {}
void _fini(void) {}
void start(void) {
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
  __asm__ volatile("dsb\\n isb");
  initialise_monitor_handles();
  exit(main());
}
static void crashed(void) { _Exit(99); }
__attribute__((section(".vectors"), used)) void *const vectors[16] = {
  (void *)0x20400000, start, crashed, crashed, crashed, crashed, crashed};
"""
LINK = [
    "-nostartfiles", "--specs=rdimon.specs", "-Wl,--gc-sections,-u,vectors,-e,start",
    "-Wl,--section-start=.vectors=0,-Ttext=0x400,-Tbss=0x20000000", "-Wl,--no-warn-rwx-segments",
]  # fmt: skip


def call(words: Sequence[str | Path], cwd: Path | None = None) -> str:
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def expected() -> str:
    """What MAIN prints with the host's bytes."""
    text = (EXAMPLE / "picture.h").read_text(encoding="utf-8")
    rows = re.findall(r'"([ 1-9]{28})"', text, re.MULTILINE)
    assert len(rows) == 28
    ink = np.float32([[0 if mark == " " else int(mark) for mark in row] for row in rows])
    interpreter = dqnn.Interpreter(ROOT / "schema" / "golden" / "0.1.0" / "digits_larq.dqnn")
    (scores,) = interpreter.predict((ink / np.float32(4.5) - np.float32(1))[None, :, :, None])
    bits = " ".join(f"{word:08x}" for word in np.asarray(scores, np.float32).view(np.uint32))
    return f"digit {scores.argmax()} {bits}\n"


def compile_all(
    folder: Path, sources: Iterable[Path], options: Sequence[str], compiler: str, jobs: int = 2
) -> list[Path]:
    """Objects of sources that may share names, compiled by make, which runs two at once."""
    folder.mkdir(parents=True, exist_ok=True)
    rules, objects = [], []
    for number, source in enumerate(sources):
        objects.append(folder / f"{number}_{source.stem}.o")
        rules.append(f"{objects[-1].name}: {source}\n\t{compiler} {' '.join(options)} -c $< -o $@\n")
    names = " ".join(path.name for path in objects)
    (folder / "Makefile").write_text(f"all: {names}\n" + "\n".join(rules))
    call(["make", "-s", f"-j{jobs}", "-C", folder])
    return objects


def link(folder: Path, parts: Sequence[str | Path], compiler: str, main: str = MAIN) -> Path:
    """parts: objects and archives with the library, the example and their headers' options for MAIN."""
    (folder / "start.c").write_text(START)
    (folder / "main.c").write_text(main)
    elf = folder / "firmware.elf"
    own = ["-O1", f"-I{EXAMPLE}", folder / "start.c", folder / "main.c"]
    call([compiler, *CORE, *own, *parts, *LINK, "-o", elf])
    return elf


def run(elf: Path, emulator: str) -> str:
    words = [emulator, "-machine", BOARD, "-display", "none", "-monitor", "none", "-serial", "null", "-kernel", elf]
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    done = subprocess.run([*words, *semihosting], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done
    return done.stdout + done.stderr
