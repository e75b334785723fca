"""What the check of a signature costs on a Cortex-M4: `python tests/signing/cost.py FILE`, a signed .dqnn file with its
key in keys.h beside it. Code and constants that the linker keeps; instructions and stack of a check in emulation."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from unicorn import UC_ARCH_ARM, UC_HOOK_CODE, UC_MODE_MCLASS, UC_MODE_THUMB, Uc
from unicorn.arm_const import UC_ARM_REG_LR, UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_SP

ROOT = Path(__file__).resolve().parents[2]
C = ROOT / "interpreter_c"
CORE = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
CODE, MEMORY, MEMORY_BYTES, STACK, END = 0x10000, 0x20000000, 0x400000, 0x203F0000, 0xFF000
ENTRY = """#include "keys.h"
int entry(const char *file, size_t bytes) {
  return dqnn_ed25519_signature(&dqnn_keys, file, bytes, file + bytes, DQNN_ED25519_SIGNATURE_BYTES);
}
"""


@dataclass(frozen=True)
class Cost:
    accepted: bool
    code_bytes: int
    instructions: int
    stack_bytes: int


def build(optimize: str, keys: Path, monocypher: Path, folder: Path) -> Path:
    entry, elf = folder / "entry.c", folder / "check.elf"
    entry.write_text(ENTRY, encoding="utf-8")
    options = [optimize, "-std=c11", "-ffunction-sections", "-fdata-sections"]
    include = [f"-I{C / 'include'}", f"-I{keys.parent}", f"-isystem{monocypher}"]
    link = ["-nostartfiles", "-specs=nano.specs", f"-Wl,--gc-sections,-e,entry,-Ttext={CODE:#x},--no-warn-rwx-segments"]
    sources = [entry, *sorted((C / "ed25519").glob("*.c")), monocypher / "monocypher.c"]
    subprocess.run(["arm-none-eabi-gcc", *CORE, *options, *include, *link, *sources, "-o", elf], check=True)
    return elf


def measure(elf: Path, blob: bytes) -> Cost:
    """Checks the signature at the end of a file."""
    machine, count, lowest = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS), 0, STACK
    machine.mem_map(0, 0x100000)
    machine.mem_map(MEMORY, MEMORY_BYTES)
    with elf.open("rb") as file:
        image = ELFFile(file)
        for segment in image.iter_segments("PT_LOAD"):
            machine.mem_write(segment["p_vaddr"], segment.data())
        (entry,) = image.get_section_by_name(".symtab").get_symbol_by_name("entry")
    machine.mem_write(MEMORY, blob)

    def on_instruction(*_: object) -> None:
        nonlocal count, lowest
        count += 1
        if count % 5 == 0:  # often enough: functions are longer
            lowest = min(lowest, machine.reg_read(UC_ARM_REG_SP))

    machine.hook_add(UC_HOOK_CODE, on_instruction)
    for register, value in (
        (UC_ARM_REG_R0, MEMORY), (UC_ARM_REG_R1, len(blob) - 64), (UC_ARM_REG_SP, STACK), (UC_ARM_REG_LR, END | 1),
    ):  # fmt: skip
        machine.reg_write(register, value)
    machine.emu_start(entry["st_value"] | 1, END)
    sizes = subprocess.run(["arm-none-eabi-size", "-A", elf], capture_output=True, text=True, check=True).stdout
    code = sum(int(size) for size in re.findall(r"^\.(?:text|rodata)\S*\s+(\d+)", sizes, re.MULTILINE))
    return Cost(machine.reg_read(UC_ARM_REG_R0) & 0xFF == 1, code, count, STACK - lowest)


if __name__ == "__main__":
    path = Path(sys.argv[1]).resolve()
    for level in ("-Os", "-O2"):
        with tempfile.TemporaryDirectory() as temporary:
            made = build(level, path.with_name("keys.h"), ROOT / "build" / "monocypher", Path(temporary))
            cost = measure(made, path.read_bytes())
        print(f"cortex-m4 {level}, {path.stat().st_size:,} bytes: {cost}")
