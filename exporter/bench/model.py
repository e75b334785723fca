"""Whole models: what each node of a .dqnn file executes on an emulated core.

The interpreter and all kernels are compiled for the target and called directly, without a port: dqnn_init and
dqnn_invoke under Unicorn, with a profile hook whose entry separates the nodes. Output bytes are compared with the
host's in the same run."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ..blob import parse
from ..ir.types import S1
from .build import Target, compile_sources, kernel_sources, runtime_sources
from .cost import ModelCost, NodeCost, Samples, macs_of, random_input, random_samples
from .machine import Cost, Machine

DRIVER = """
#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
static dqnn_interpreter *interpreter;
__attribute__((noinline)) void dqnn_bench_mark(void *context, uint32_t node, uint16_t kernel, bool begin) {
  __asm__ volatile("" : : "r"(context), "r"(node), "r"(kernel), "r"(begin));
}
uint32_t dqnn_bench_init(void *memory, size_t bytes, const void *blob, size_t size) {
  const dqnn_options options = {
      .kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count, .profile = dqnn_bench_mark,
      .segments = &dqnn_fed_strips};
  return (uint32_t)dqnn_init(&interpreter, memory, bytes, blob, size, &options, NULL);
}
uint32_t dqnn_bench_invoke(const void *rows, uint32_t count) {
  return rows == NULL || dqnn_feed_rows(interpreter, rows, count) == DQNN_OK ? (uint32_t)dqnn_invoke(interpreter) : ~0u;
}
void *dqnn_bench_port(uint32_t index, uint32_t output) {
  dqnn_tensor tensor;
  dqnn_status found = output ? dqnn_output(interpreter, index, &tensor) : dqnn_input(interpreter, index, &tensor);
  return found == DQNN_OK ? tensor.data : NULL;
}
const char *dqnn_bench_isa(uint32_t node) {
  dqnn_node_info info;
  return dqnn_node(interpreter, node, &info) == DQNN_OK ? dqnn_isa_name(info.isa) : "unknown";
}
uint32_t dqnn_bench_sizes(const void *blob, size_t size, uint32_t sizes[3]) {
  dqnn_requirements needs;
  dqnn_status status = dqnn_requirements_of(blob, size, &needs);
  sizes[0] = needs.memory_bytes;
  sizes[1] = needs.arena_bytes;
  sizes[2] = needs.state_bytes;
  return (uint32_t)status;
}
"""
ENTRIES = tuple(f"dqnn_bench_{name}" for name in ("mark", "init", "invoke", "port", "isa", "sizes"))


class ModelError(Exception):
    """The emulated interpreter refused the file or disagrees with the host."""


def _host_outputs(blob: bytes, inputs: Sequence[bytes]) -> list[bytes]:
    """Stored output bytes of the host's interpreter."""
    from dqnn import _core

    interpreter = _core.Interpreter(blob)
    for i, data in enumerate(inputs):
        interpreter.set_input(i, data)
    interpreter.invoke()
    return [bytes(interpreter.get_output(i)) for i in range(len(parse(blob).outputs))]


class EmulatedModel:
    """A file loaded on an emulated core."""

    def __init__(self, blob: bytes, target: Target, optimize: str = "-O2") -> None:
        self.blob, self.target = blob, target
        self.view = parse(blob)
        with tempfile.TemporaryDirectory(prefix="dqnn-bench-") as directory:
            elf = Path(directory) / "model.elf"
            elf.write_bytes(_firmware(target, optimize))
            self.machine = Machine(elf, target.core)
        data, sizes = self.machine.place(blob), self.machine.place(bytes(12))
        self._accepted(self.machine.call("dqnn_bench_sizes", data, len(blob), sizes))
        memory, self.arena_bytes, self.state_bytes = struct.unpack("<3I", self.machine.read(sizes, 12))
        inputs = [self.view.tensors[port.tensor] for port in self.view.inputs]
        self.rows = next(((self.machine.place(bytes(t.type.nbytes)), t.type.shape[0]) for t in inputs if t.rows), None)
        where = self.machine.place(bytes(memory))
        self.init_cost = self._accepted(self.machine.call("dqnn_bench_init", where, memory, data, len(blob)))

    def _accepted(self, cost: Cost) -> Cost:
        if self.machine.result:
            raise ModelError(f"the interpreter on {self.target.name} refuses the file: status {self.machine.result:#x}")
        return cost

    def _port(self, index: int, output: bool) -> int:
        self.machine.call("dqnn_bench_port", index, int(output))
        return self.machine.result

    def run(
        self, inputs: Sequence[bytes], enter: Callable[[int], None] | None = None
    ) -> tuple[list[bytes], dict[int | None, Cost]]:
        """Output bytes and costs by node; None holds the interpreter's own."""
        for i, data in enumerate(inputs):
            self.machine.write(self.rows[0] if self.rows else self._port(i, False), data)
        costs = self.machine.call_marked("dqnn_bench_invoke", "dqnn_bench_mark", *(self.rows or (0, 0)), enter=enter)
        tensors = [self.view.tensors[port.tensor].type for port in self.view.outputs]
        return [self.machine.read(self._port(i, True), t.nbytes) for i, t in enumerate(tensors)], costs

    def balanced(self, inputs: Sequence[bytes], seed: int) -> int | None:
        """Cycles (instructions without a timing model) with fresh random bits as every 1-bit input of every node; None
        where no node has one."""
        tensors, rng = self.view.tensors, np.random.default_rng(seed)
        if not any(isinstance(tensors[i].type.fmt, S1) for node in self.view.nodes for i in node.inputs):
            return None
        arena = self._port(0, False) - tensors[self.view.inputs[0].tensor].offset

        def enter(node: int) -> None:
            for index in self.view.nodes[node].inputs:
                if isinstance(tensors[index].type.fmt, S1):
                    self.machine.write(arena + tensors[index].offset, random_input(tensors[index].stored, rng))

        return _whole(self.run(inputs, enter)[1])

    def isa(self, node: int) -> str:
        """Instruction set of the variant that runs a node."""
        self.machine.call("dqnn_bench_isa", node)
        return self.machine.read(self.machine.result, 32).split(b"\0")[0].decode()


@cache
def _firmware(target: Target, optimize: str) -> bytes:
    """The same for every model: compiled once in a process."""
    with tempfile.TemporaryDirectory(prefix="dqnn-bench-") as directory:
        return build_model_firmware(target, Path(directory), optimize).read_bytes()


def build_model_firmware(target: Target, directory: Path, optimize: str) -> Path:
    driver = directory / "driver.c"
    driver.write_text(DRIVER)
    sources = [driver, *runtime_sources(), *kernel_sources()]
    return compile_sources(target, sources, directory / "model.elf", optimize, keep=ENTRIES)


def bench_model(
    blob: bytes,
    target: Target,
    optimize: str = "-O2",
    samples: Samples | None = None,
    seed: int = 1,
) -> ModelCost:
    """Runs a file on samples, or once on random inputs. Instructions are exact, cycles an estimate; both depend on the
    data."""
    model = EmulatedModel(blob, target, optimize)
    given = samples or random_samples(model.view)
    runs, equal = [], True
    for inputs in given.stored:
        outputs, costs = model.run(inputs)
        equal = equal and outputs == _host_outputs(blob, inputs)
        runs.append(costs)
    totals = [_whole(costs) for costs in runs]
    parts = {key: [costs[key] for costs in runs] for key in runs[0]}
    return ModelCost(
        target=target.name,
        timing=target.core.name if target.core else None,
        nodes=tuple(_node_cost(model, i, parts[i]) for i in range(len(model.view.nodes))),
        instructions=_mean([sum(cost.instructions for cost in costs.values()) for costs in runs]),
        cycles=_mean(totals) if target.core else None,
        init_instructions=model.init_cost.instructions,
        arena_bytes=model.arena_bytes,
        state_bytes=model.state_bytes,
        file_bytes=len(blob),
        stack_bytes=max(cost.stack_bytes for costs in runs for cost in costs.values()),
        equal_to_host=equal,
        inputs=given.source,
        samples=len(given.stored),
        least=min(totals),
        most=max(totals),
        balanced=model.balanced(given.stored[0], seed),
    )


def _mean(values: Sequence[int]) -> int:
    return round(sum(values) / len(values))


def _whole(costs: Mapping[int | None, Cost]) -> int:
    """Cycles where there is a timing model, else instructions."""
    return sum(cost.instructions if cost.cycles is None else cost.cycles for cost in costs.values())


def _node_cost(model: EmulatedModel, index: int, costs: Sequence[Cost]) -> NodeCost:
    node = model.view.nodes[index]
    cycles = [cost.cycles for cost in costs if cost.cycles is not None]
    return NodeCost(
        ", ".join(node.layers),
        node.kernel,
        model.isa(index),
        macs_of(model.view, node),
        _mean([cost.instructions for cost in costs]),
        _mean(cycles) if cycles else None,
    )
