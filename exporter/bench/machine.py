"""Runs functions of a bare-metal ELF under Unicorn and counts what was executed.

Basic blocks are counted by a hook; instructions per block come from Capstone, cycles from a model of timing.py.
Instruction counts are exact, cycles an estimate: Unicorn knows nothing of them."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import capstone
import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import arm_const as arm

from .timing import BlockCost, Core, Instruction

CODE, CODE_BYTES = 0, 8 << 20
RAM, RAM_BYTES = 0x20000000, 8 << 20
HEAP = RAM + (1 << 20)
STOP = 0x0F000000  # where a called function returns to
SYSTEM = 0xE000E000
STACK_BYTES = 64 << 10
STACK_PAINT = 0xA5
COPROCESSOR_ACCESS = 0xE000ED88  # CPACR
ARGUMENTS = (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3)


@dataclass(frozen=True)
class Cost:
    """What one call executed. `by_function`: cycles (instructions if there is no timing model) by function name."""

    instructions: int
    cycles: int | None
    stack_bytes: int
    by_function: Counter[str] = field(default_factory=Counter)


class Machine:
    """Memory, symbols and counters around one ELF file."""

    def __init__(self, elf: Path, core: Core | None) -> None:
        self._core = core
        self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        for start, size in ((CODE, CODE_BYTES), (RAM, RAM_BYTES), (STOP, 0x1000), (SYSTEM, 0x1000)):
            self._uc.mem_map(start, size)
        self._disassembler = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
        self.symbols: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self._functions: list[tuple[int, int, str]] = []
        self._load(elf)
        self._uc.mem_write(COPROCESSOR_ACCESS, struct.pack("<I", 0xF << 20))
        self._uc.reg_write(arm.UC_ARM_REG_FPEXC, 1 << 30)
        self._costs: dict[tuple[int, int], BlockCost] = {}
        self._edges: Counter[tuple[int, int, int]] = Counter()
        self._previous = 0
        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)
        self._stack_top = RAM + RAM_BYTES
        self._heap = HEAP

    def _load(self, path: Path) -> None:
        with path.open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments():
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                    self._uc.mem_write(segment["p_vaddr"], segment.data())
            for symbol in elf.get_section_by_name(".symtab").iter_symbols():
                if symbol.name and not symbol.name.startswith("$") and symbol["st_shndx"] != "SHN_UNDEF":
                    self.symbols[symbol.name] = symbol["st_value"]
                    self.sizes[symbol.name] = symbol["st_size"]
                    if symbol["st_info"]["type"] == "STT_FUNC":
                        self._functions.append((symbol["st_value"] & ~1, symbol["st_size"], symbol.name))
        self._functions.sort()

    def _on_block(self, _uc: Any, address: int, size: int, _user: Any) -> None:
        self._edges[(self._previous, address, size)] += 1
        self._previous = address

    # --- memory -------------------------------------------------------------------------------------------------------

    def place(self, data: bytes, align: int = 16) -> int:
        """Copies data to fresh memory; returns its address."""
        address = (self._heap + align - 1) & -align
        self._uc.mem_write(address, data)
        self._heap = address + len(data)
        if self._heap > self._stack_top - STACK_BYTES:
            raise MemoryError("the emulated board has no memory left")
        return address

    def release(self) -> None:
        """Gives back everything that was placed."""
        self._heap = HEAP

    def read(self, address: int, count: int) -> bytes:
        return bytes(self._uc.mem_read(address, count))

    def write(self, address: int, data: bytes) -> None:
        self._uc.mem_write(address, data)

    # --- running ------------------------------------------------------------------------------------------------------

    def call(self, function: str, *arguments: int) -> Cost:
        """Calls a function with up to four words; its return value is in `result`."""
        self._edges.clear()
        self._previous = 0
        self._uc.mem_write(self._stack_top - STACK_BYTES, bytes([STACK_PAINT]) * STACK_BYTES)
        for register, value in zip(ARGUMENTS, arguments, strict=False):
            self._uc.reg_write(register, value & 0xFFFFFFFF)
        self._uc.reg_write(arm.UC_ARM_REG_SP, self._stack_top)
        self._uc.reg_write(arm.UC_ARM_REG_LR, STOP | 1)
        self._uc.emu_start(self.symbols[function] | 1, STOP)
        return self._cost()

    def call_marked(
        self, function: str, mark: str, *arguments: int, enter: Callable[[int], None] | None = None
    ) -> dict[int | None, Cost]:
        """As call, with costs apart by what `mark(context, key, _, begin)` announces; key None: everything outside.
        `enter` is told each key before its part begins, and may write to memory."""
        hooked = self.symbols[mark] & ~1
        parts: dict[int | None, Counter[tuple[int, int, int]]] = {None: self._edges}

        def switch(_uc: Any, address: int, _size: int, _user: Any) -> None:
            if address == hooked:
                key, begin = (int(self._uc.reg_read(ARGUMENTS[i])) for i in (1, 3))
                self._edges = parts.setdefault(key if begin & 1 else None, Counter())
                if begin & 1 and enter is not None:
                    enter(key)

        hook = self._uc.hook_add(unicorn.UC_HOOK_BLOCK, switch)
        self.call(function, *arguments)
        self._uc.hook_del(hook)
        costs = {}
        for key, edges in parts.items():
            self._edges = edges
            costs[key] = self._cost()
        self._edges = Counter()
        return costs

    @property
    def result(self) -> int:
        return int(self._uc.reg_read(arm.UC_ARM_REG_R0))

    def _stack_used(self) -> int:
        stack = self.read(self._stack_top - STACK_BYTES, STACK_BYTES)
        return len(stack.lstrip(bytes([STACK_PAINT])))

    # --- counting -----------------------------------------------------------------------------------------------------

    def _block(self, address: int, size: int) -> BlockCost:
        key = (address, size)
        if key not in self._costs:
            code = self.read(address, size)
            block = [
                Instruction(i.mnemonic.removesuffix(".w").removesuffix(".n"), i.op_str)
                for i in self._disassembler.disasm(code, address)
            ]
            cost = self._core.block(block) if self._core else BlockCost(len(block), 0, False)
            self._costs[key] = cost
        return self._costs[key]

    def _function_at(self, address: int) -> str:
        for start, size, name in self._functions:
            if start <= address < start + size:
                return name
        return hex(address)

    def _cost(self) -> Cost:
        instructions = cycles = 0
        ends = {a: a + size for _, a, size in self._edges}
        by_function: Counter[str] = Counter()
        for (previous, address, size), count in self._edges.items():
            block = self._block(address, size)
            spent = block.cycles
            if self._core and previous in ends:
                before = self._block(previous, ends[previous] - previous)
                if before.ends_in_branch:
                    spent += self._core.taken if ends[previous] != address else 0
                elif ends[previous] == address:  # cut at a page of the emulator: runs of loads go on behind it
                    spent = self._block(previous, address + size - previous).cycles - before.cycles
            instructions += block.instructions * count
            cycles += spent * count
            by_function[self._function_at(address)] += (spent if self._core else block.instructions) * count
        return Cost(instructions, cycles if self._core else None, self._stack_used(), by_function)
