"""One kernel by shape: compiled for a target, run under emulation, its bytes compared with the host's reference."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from ..emit import kernel_table
from .build import TARGETS, Target, compile_sources, kernel_sources
from .call import Call, run_on_machine
from .cases import Layer, Row, make_layer_call
from .machine import Machine

ISA = "portable"


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
    code_bytes: int
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


def planned(call: Call) -> Call:
    """The call with the scratch that plan() asks for."""
    found = kernel_table.plan(call.packed, [call.input], call.output)
    return replace(call, scratch_bytes=found.scratch)


def reference(call: Call) -> bytes:
    """Output bytes of the reference kernel on this machine."""
    from dqnn import _core

    defs = [kernel_table.tensor_def(call.input)]
    number = kernel_table.ids()[call.packed.kernel]
    output = kernel_table.tensor_def(call.output)
    return bytes(
        _core.run_kernel(
            number, "ref", [call.data], defs, output, list(call.packed.constants), call.packed.params_bytes
        )
    )


def bench_layer(
    layer: Layer, target: Target, optimize: str = "-O2", isa: str = ISA, seed: int = 1, name: str = ""
) -> KernelCost:
    call = planned(make_layer_call(layer, seed))
    function = f"dqnn_run_{call.packed.kernel}_{isa}"
    with tempfile.TemporaryDirectory(prefix="dqnn-bench-") as directory:
        sources = [*kernel_sources(), Path("src/numerics.c"), Path("src/registry.c")]
        runtime = [
            Path("src") / f"{part}.c"
            for part in ("checksum", "host", "verify", "reader", "flatbuffer", "interpreter", "names")
        ]
        elf = compile_sources(target, [*sources, *runtime], Path(directory) / "kernel.elf", optimize, keep=(function,))
        machine = Machine(elf, target.core)
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
    return replace(bench_layer(row.layer, where, optimize, name=row.name), goal=row.goal, peer=row.peer)
