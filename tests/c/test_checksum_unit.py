"""The code for STM32's CRC unit on docs/firmware.md, compiled for a Cortex-M4 and run against a model of the unit that
follows ST's reference manuals: a register of 32 bits, the polynomial 0x04C11DB7, highest bit first, with the reversals
that later kinds of the unit can be told to do."""

from __future__ import annotations

import io
import random
import re
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from unicorn import UC_ARCH_ARM, UC_MODE_MCLASS, UC_MODE_THUMB, Uc
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_SP,
    UC_CPU_ARM_CORTEX_M4,
)

UNIT, CODE, RAM, END = 0x40023000, 0x10000, 0x20000000, 0x1F000
DR, CR = 0, 8
RESET, REV_IN_WORDS, REV_OUT = 1, 3 << 5, 1 << 7
CORE = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
BIT_REVERSAL = 'uint32_t reversed(uint32_t w) { __asm__("rbit %0, %1" : "=r"(w) : "r"(w)); return w; }\n'


def reversed_bits(word: int) -> int:
    return int(f"{word:032b}"[::-1], 2)


class Unit:
    """Registers DR and CR. `turns`: whether this kind has REV_IN and REV_OUT."""

    def __init__(self, turns: bool) -> None:
        self.turns, self.value, self.control = turns, 0, 0

    def write(self, offset: int, word: int) -> None:
        if offset == CR:
            self.control = word & ~RESET if self.turns else 0
            self.value = 0xFFFFFFFF if word & RESET else self.value
            return
        assert offset == DR and self.control & REV_IN_WORDS in (0, REV_IN_WORDS)
        self.value ^= reversed_bits(word) if self.control & REV_IN_WORDS else word
        for _ in range(32):
            self.value = (self.value << 1 ^ (0x04C11DB7 if self.value >> 31 else 0)) & 0xFFFFFFFF

    def read(self, offset: int) -> int:
        assert offset == DR
        return reversed_bits(self.value) if self.control & REV_OUT else self.value


@pytest.fixture(scope="module")
def snippet(repo: Path) -> str:
    page = (repo / "docs" / "firmware.md").read_text(encoding="utf-8")
    (code,) = [code for code in re.findall(r"^```c\n(.*?)^```", page, re.M | re.S) if "checksum_by_unit" in code]
    assert "`CRC_CR = 1 | 3u << 5 | 1u << 7`" in page
    return str(code)


def build(repo: Path, folder: Path, code: str, compiler: str) -> bytes:
    """An ELF whose entry is checksum_by_unit."""
    (folder / "unit.c").write_text(code + BIT_REVERSAL)
    c = repo / "interpreter_c"
    link = ["-nostdlib", f"-Wl,-e,checksum_by_unit,-Ttext={CODE:#x}"]
    sources = [folder / "unit.c", c / "src" / "checksum.c"]
    words = [compiler, *CORE, "-O2", "-std=gnu11", f"-I{c / 'include'}", *sources, *link, "-o", folder / "unit.elf"]
    subprocess.run(words, check=True)
    return (folder / "unit.elf").read_bytes()


@pytest.mark.parametrize("later", [False, True], ids=["F1, F2, F4, L1", "later"])
def test_the_unit_gives_the_checksum(
    later: bool, repo: Path, tmp_path: Path, snippet: str, require_tool: Callable[[str], str]
) -> None:
    code = snippet
    if later:
        code = code.replace("CRC_CR = 1;", "CRC_CR = 1 | 3u << 5 | 1u << 7;")
        code = code.replace("reversed(word[i])", "word[i]").replace("reversed(CRC_DR)", "CRC_DR")
    image = ELFFile(io.BytesIO(build(repo, tmp_path, code, require_tool("arm-none-eabi-gcc"))))
    machine, unit = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS), Unit(later)
    machine.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M4)
    machine.mem_map(0x10000, 0x10000)
    machine.mem_map(RAM, 0x10000)
    for segment in image.iter_segments("PT_LOAD"):
        machine.mem_write(segment["p_vaddr"], segment.data())
    machine.mmio_map(
        UNIT, 0x1000, lambda _uc, at, _size, _data: unit.read(at), None,
        lambda _uc, at, _size, value, _data: unit.write(at, value), None,
    )  # fmt: skip
    dice = random.Random(1)
    for size in (4, 8, 64, 1000, 1002, 4096):
        data = dice.randbytes(size)
        machine.mem_write(RAM, data)
        for register, value in ((UC_ARM_REG_R1, RAM), (UC_ARM_REG_R2, size), (UC_ARM_REG_SP, RAM + 0x10000)):
            machine.reg_write(register, value)
        machine.reg_write(UC_ARM_REG_LR, END | 1)
        machine.emu_start(image["e_entry"] | 1, END)
        assert machine.reg_read(UC_ARM_REG_R0) == zlib.crc32(data), size
