"""Estimated cycles of Cortex-M code from the timing tables of the Technical Reference Manuals.

Cortex-M4 (ARM DDI 0439, tables 3-1 and 7-1): zero-wait-state memory; loads take 2 cycles, the following loads and
stores of a run 1; a load whose address comes from the instruction before waits 1; LDM/STM/PUSH/POP/VLDM/VSTM take
1 + N; a taken branch costs 1 + 2 (pipeline refill); integer division 7 (2 to 12 in the manual); a floating-point result
used by the next instruction waits 1; VMOV of two core registers takes 2; VDIV and VSQRT 14. Cortex-M0+ (DDI 0484, table
3-1, single-cycle multiplier): loads and stores 2, LDM/STM 1 + N, taken branches 2, BL 3, POP with pc 3 + N.

Limits: never checked on silicon; no flash wait states, caches, bus contention or interrupts; memory alignment is
ignored; folded IT and dual-issue effects of other cores are not modelled. The sum over executed basic blocks is exact,
the cycles of a block are an estimate."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

REGISTER = re.compile(r"\b(?:r\d+|sb|sl|fp|ip|sp|lr|pc)\b")
FLOAT_REGISTER = re.compile(r"\b([sd])(\d+)\b")
CONDITIONS = ["eq", "ne", "hs", "lo", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"]
BRANCHES = {"b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh"} | {f"b{c}" for c in CONDITIONS}
NO_RESULT = {"cmp", "cmn", "tst", "teq", "nop"}
FLOAT_ARITHMETIC = (
    "vadd",
    "vsub",
    "vmul",
    "vnmul",
    "vmla",
    "vmls",
    "vfma",
    "vfms",
    "vneg",
    "vabs",
    "vcvt",
    "vdiv",
    "vsqrt",
)
BLOCK_TRANSFERS = ("ldm", "stm", "push", "pop", "vldm", "vstm", "vpush", "vpop")
REFILL = 2  # cycles a taken branch loses on the M4
M4_DIVIDE, M4_FLOAT_DIVIDE, M4_MULTIPLY_ACCUMULATE = 7, 14, 3


@dataclass(frozen=True)
class Instruction:
    mnemonic: str  # without width suffix
    operands: str

    @property
    def destination(self) -> str:
        return self.operands.split(",")[0].strip().rstrip("!")

    @property
    def address_registers(self) -> list[str]:
        inside = re.search(r"\[(.*?)\]", self.operands)
        return REGISTER.findall(inside.group(1)) if inside else []

    @property
    def register_list(self) -> list[str]:
        inside = re.search(r"\{(.*)\}", self.operands)
        return [r.strip() for r in inside.group(1).split(",")] if inside else []

    @property
    def float_sources(self) -> set[str]:
        return _singles(self.operands.split(",")[1:]) | (
            _singles(self.operands.split(",")[:1])
            if self.mnemonic.startswith(("vstr", "vcmp", "vmla", "vmls", "vstm"))
            else set()
        )

    def is_a(self, *prefixes: str) -> bool:
        return self.mnemonic.startswith(prefixes)


def _singles(operands: Sequence[str]) -> set[str]:
    """Single-precision registers named by operands, d registers as their two halves."""
    names = set()
    for kind, number in FLOAT_REGISTER.findall(",".join(operands)):
        n = int(number)
        names |= {f"s{n}"} if kind == "s" else {f"s{2 * n}", f"s{2 * n + 1}"}
    return names


@dataclass(frozen=True)
class BlockCost:
    instructions: int
    cycles: int
    ends_in_branch: bool


Model: TypeAlias = Callable[[Sequence[Instruction]], BlockCost]


class _M4State:
    """What the previous instruction leaves for the next one."""

    def __init__(self) -> None:
        self.loaded: str | None = None  # destination of a load that the next load or store can follow without a bubble
        self.computed: str | None = None  # destination of a data-processing instruction
        self.float_result: set[str] = set()

    def step(
        self, loaded: str | None = None, computed: str | None = None, float_result: set[str] | None = None
    ) -> None:
        self.loaded, self.computed, self.float_result = loaded, computed, float_result or set()


def _m4_single_transfer(i: Instruction, state: _M4State) -> int:
    store, follows = i.is_a("str"), state.loaded is not None
    pipelined = follows and state.loaded not in i.address_registers
    cycles = 1 if pipelined or store else 2
    if not follows and state.computed in i.address_registers:
        cycles += 1
    state.step(loaded=None if store or i.operands.endswith("!") else i.destination)
    return cycles + 3 if i.destination == "pc" and not store else cycles


def _m4_block_transfer(i: Instruction, state: _M4State) -> int:
    registers = i.register_list
    waits = state.computed == i.destination and not i.is_a("push", "pop")
    state.step()
    return 1 + len(registers) + int(waits) + (REFILL if "pc" in registers else 0)


def _m4_float(i: Instruction, state: _M4State) -> int:
    waits = int(bool(state.float_result & i.float_sources))
    arithmetic = i.is_a(*FLOAT_ARITHMETIC)
    state.step(float_result=_singles([i.destination]) if arithmetic else None)
    if i.is_a("vldr", "vstr"):
        return 2 + waits
    if i.is_a("vdiv", "vsqrt"):
        return M4_FLOAT_DIVIDE + waits
    if i.is_a("vmla", "vmls", "vfma", "vfms", "vnml"):
        return M4_MULTIPLY_ACCUMULATE + waits
    two_cores = i.is_a("vmov") and len(i.operands.split(",")) > 2
    return (2 if two_cores else 1) + waits


def _m4_other(i: Instruction, state: _M4State) -> int:
    if i.is_a("ldrd", "strd"):
        cycles = 3 + int(state.computed in i.address_registers)
        state.step()
        return cycles
    if i.is_a("sdiv", "udiv"):
        state.step(computed=i.destination)
        return M4_DIVIDE
    if i.mnemonic in BRANCHES:
        state.step()
        return 1
    no_result = i.mnemonic in NO_RESULT or i.mnemonic.startswith("it")
    state.step(computed=None if no_result else i.destination)
    return 1


def cortex_m4(block: Sequence[Instruction]) -> BlockCost:
    state, cycles = _M4State(), 0
    for i in block:
        if i.is_a(*BLOCK_TRANSFERS):
            cycles += _m4_block_transfer(i, state)
        elif i.is_a("ldr", "str") and not i.is_a("ldrd", "strd", "ldrex", "strex"):
            cycles += _m4_single_transfer(i, state)
        elif i.is_a("v"):
            cycles += _m4_float(i, state)
        else:
            cycles += _m4_other(i, state)
    return BlockCost(len(block), cycles, _ends_in_branch(block))


def cortex_m0plus(block: Sequence[Instruction]) -> BlockCost:
    cycles = 0
    for i in block:
        if i.is_a(*BLOCK_TRANSFERS):
            cycles += 1 + len(i.register_list) + (1 if "pc" in i.register_list else 0)
        elif i.is_a("ldr", "str") or i.mnemonic == "bl":
            cycles += 2
        else:
            cycles += 1
    return BlockCost(len(block), cycles, _ends_in_branch(block))


def _ends_in_branch(block: Sequence[Instruction]) -> bool:
    if not block:
        return False
    last = block[-1]
    return last.mnemonic in BRANCHES or "pc" in last.register_list or (last.is_a("ldr") and last.destination == "pc")


@dataclass(frozen=True)
class Core:
    """A timing model: cycles of a block, and what a taken branch adds."""

    name: str
    block: Model
    taken: int


M4 = Core("Cortex-M4, zero wait states (estimate)", cortex_m4, REFILL)
M0PLUS = Core("Cortex-M0+, zero wait states (estimate)", cortex_m0plus, 1)
