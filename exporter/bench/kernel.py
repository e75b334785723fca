"""One kernel by shape: compiled for a target, run under emulation, its bytes compared with the host's reference. On a
board that QEMU emulates, as the only node of a file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from dqnn import _core

from ..emit import kernel_table
from ..targets.target import Target as Place
from .build import TARGETS, Objects, Target, compile_objects, kernel_sources, link, runtime_sources
from .call import Call, run_on_machine
from .cases import Elements, Layer, make_row_call
from .grid import Row
from .host import blob_of
from .machine import Machine
from .measure import measure_model

ISA = "portable"


class VariantError(Exception):
    """A core is not built with the variant of a kernel that a row names."""


@dataclass(frozen=True)
class KernelCost:
    name: str
    kernel: str
    target: str
    timing: str | None
    optimize: str
    macs: int
    instructions: int
    cycles: int | None
    scratch_bytes: int
    stack_bytes: int
    code_bytes: int | None
    equal_to_reference: bool
    by_function: dict[str, float]  # share of cycles, or of instructions where cycles are not estimated
    goal: float | None = None
    peer: str = ""

    @property
    def instructions_per_mac(self) -> float:
        return self.instructions / self.macs

    @property
    def cycles_per_mac(self) -> float | None:
        return None if self.cycles is None else self.cycles / self.macs


def planned(call: Call, isa: str = ISA) -> Call:
    """The call with the scratch that plan() asks for, or for `winograd` as much as it can make something of."""
    inputs = [source for source, _ in call.inputs]
    found = kernel_table.plan(call.packed, inputs, call.output).scratch
    if isa == "winograd":
        ((found, _), *_) = kernel_table.winograd_choices(call.packed, inputs, call.output)
    return replace(call, scratch_bytes=found)


def reference(call: Call) -> bytes:
    """Output bytes of the reference kernel on this machine."""
    defs = [kernel_table.tensor_def(source) for source, _ in call.inputs]
    number = kernel_table.ids()[call.packed.kernel]
    output = kernel_table.tensor_def(call.output)
    return bytes(
        _core.run_kernel(
            number,
            "ref",
            [data for _, data in call.inputs],
            defs,
            output,
            list(call.packed.constants),
            call.packed.params_bytes,
        )
    )


def function_of(call: Call, isa: str = ISA) -> str:
    """The C function of a variant, of the reference if the kernel has no such variant."""
    variants = next(row["variants"] for row in _core.kernels() if row["name"] == call.packed.kernel)
    return f"dqnn_run_{call.packed.kernel}_{isa if isa in variants else 'ref'}"


@lru_cache(maxsize=2)
def _objects(target: Target, optimize: str) -> Objects:
    """Compiled once for all rows of a run."""
    return compile_objects(target, [*kernel_sources(), *runtime_sources()], optimize)


def machine_of(target: Target, optimize: str = "-O2") -> Machine:
    """A core with all kernels, for many calls."""
    with tempfile.TemporaryDirectory(prefix="dqnn-bench-") as directory:
        elf = link(target, _objects(target, optimize), Path(directory) / "kernels.elf", keep=("dqnn_all_kernels",))
        return Machine(elf, target.core)


def bench_layer(
    layer: Layer | Elements, target: Target, optimize: str = "-O2", isa: str = ISA, seed: int = 1, name: str = ""
) -> KernelCost:
    call = planned(make_row_call(layer, seed), isa)
    function = function_of(call, isa)
    with tempfile.TemporaryDirectory(prefix="dqnn-bench-") as directory:
        elf = link(target, _objects(target, optimize), Path(directory) / "kernel.elf", keep=(function,))
        machine = Machine(elf, target.core)
    if function not in machine.symbols:
        raise VariantError(f"{target.name} has no {isa} variant of {call.packed.kernel}")
    output, cost = run_on_machine(machine, function, call)
    total = sum(cost.by_function.values())
    return KernelCost(
        name=name or str(layer),
        kernel=call.packed.kernel,
        target=target.name,
        timing=target.core.name if target.core else None,
        optimize=optimize,
        macs=layer.macs,
        instructions=cost.instructions,
        cycles=cost.cycles,
        scratch_bytes=call.scratch_bytes,
        stack_bytes=cost.stack_bytes,
        code_bytes=sum(size for symbol, size in machine.sizes.items() if not symbol.startswith("dqnn_bench")),
        equal_to_reference=output == reference(call),
        by_function={f: round(c / total, 4) for f, c in cost.by_function.most_common(8)},
    )


def bench_row(row: Row, optimize: str = "-O2", target: Target | None = None) -> KernelCost:
    """A row of the grid, on its own target unless another is given."""
    where = target or TARGETS[row.target]
    return replace(bench_layer(row.layer, where, optimize, row.isa, name=row.name), goal=row.goal, peer=row.peer)


def bench_board_row(row: Row, place: Place) -> KernelCost:
    """Instructions of the best variant that the board's firmware has, whatever the row names."""
    call = planned(make_row_call(row.layer))
    cost = measure_model(blob_of(row.layer)[0], place)
    (node,) = cost.nodes
    return KernelCost(
        name=row.name, kernel=node.kernel, target=f"{cost.target} ({node.isa})", timing=None, optimize="-O2",
        macs=row.layer.macs, instructions=node.instructions or 0, cycles=None, scratch_bytes=call.scratch_bytes,
        stack_bytes=cost.stack_bytes or 0, code_bytes=None, equal_to_reference=cost.equal_to_host, by_function={},
    )  # fmt: skip
