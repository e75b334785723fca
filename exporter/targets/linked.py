"""A device on a link (schema/LINK.md): a board at a serial port, `dqnn serve` or an emulator behind a TCP port.

It runs the model that it holds: a file that is another is refused, `dqnn device load` puts it there."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from dqnn.interpreter import Interpreter
from dqnn.link import Device, LinkError, ModelInfo, connect
from dqnn.tensors import TensorInfo

from .boards import TargetError
from .runner import Array, Result, Stats

SCHEMES = ("serial:", "tcp:")
FORMS = ("serial:PORT[,BAUD]", "tcp:HOST:PORT")
CONNECT_HINT = "the device runs {running}, not this file: dqnn device load FILE --target {name}"

Tick = Callable[[int], None]  # is told how many samples are done


@contextmanager
def explained() -> Iterator[None]:
    """What goes wrong on the link, as errors of a target."""
    try:
        yield
    except LinkError as error:
        raise TargetError(str(error)) from error


@contextmanager
def connected(address: str) -> Iterator[Device]:
    """The device at an address, for a while."""
    with explained(), connect(address) as device:
        yield device


class LinkRunner:
    """Runs files on a device. It is connected at the first use, and until nobody needs the runner any more."""

    def __init__(self, address: str) -> None:
        self.name = address
        self._device: Device | None = None

    @property
    def device(self) -> Device:
        if self._device is None:
            with explained():
                self._device = connect(self.name)
            weakref.finalize(self, self._device.close)
        return self._device

    def run(self, blob: bytes, inputs: Sequence[Array], tick: Tick | None = None) -> Result:
        with explained():
            model = self.expect(blob)
            samples, infos = len(inputs[0]) if inputs else 0, Interpreter(blob).outputs
            parts: list[list[bytes]] = []
            for index, sample in enumerate(_samples(inputs)):
                parts.append(self.device.run(sample, len(infos)))
                if tick is not None:
                    tick(index + 1)
            outputs = [_batch([part[i] for part in parts], info) for i, info in enumerate(infos)]
        return Result(outputs, Stats(samples, model.arena_bytes, model.state_bytes, model.memory_bytes))

    def trace(self, blob: bytes, inputs: Sequence[Array], tick: Tick | None = None) -> list[Array]:
        """Stored values of every node's output, samples first."""
        with explained():
            model = self.expect(blob)
            nodes: list[list[bytes]] = [[] for _ in range(model.nodes)]
            for index, sample in enumerate(_samples(inputs)):
                for node in range(model.nodes):
                    nodes[node].append(self.device.trace(sample, node))
                if tick is not None:
                    tick(index + 1)
        return [_batch(values, info) for values, info in zip(nodes, node_infos(blob), strict=True)]

    def ticks(self, blob: bytes, inputs: Sequence[bytes], runs: int) -> tuple[list[float], float, list[bytes]]:
        """Of the device's clock, mean of the runs: per node, and of a whole invoke; and the outputs."""
        with explained():
            model = self.expect(blob)
            if not self.device.info.clock_hz or not model.timed:
                lacks = (
                    "no clock" if not self.device.info.clock_hz else "no memory left to time the nodes of this model"
                )
                raise TargetError(f"{self.name} has {lacks}")
            times, total = [0.0] * model.nodes, 0.0
            rounds, each = (1, runs) if model.keeps_inputs else (runs, 1)
            for _ in range(rounds):
                for index, data in enumerate(inputs):
                    self.device.write_input(index, data)
                total += self.device.invoke(each)
                times = [time + node.ticks for time, node in zip(times, self.device.node_times(), strict=True)]
            outputs = [self.device.read_output(index) for index in range(model.outputs)]
        return [time / runs for time in times], total / runs, outputs

    def expect(self, blob: bytes) -> ModelInfo:
        """The model there, which must be this file."""
        with explained():
            model = self.device.model()
            if not self.device.holds(blob):
                running = (model.name or "a model without a name") if model.status == 0 else "no model"
                raise TargetError(CONNECT_HINT.format(running=running, name=self.name))
        return model


def node_infos(blob: bytes) -> list[TensorInfo]:
    """What each node of a file gives."""
    return [value.tensor for value in Interpreter(blob).trace()]


def _samples(inputs: Sequence[Array]) -> Iterator[list[bytes]]:
    for index in range(len(inputs[0]) if inputs else 0):
        yield [np.ascontiguousarray(array[index]).tobytes() for array in inputs]


def _batch(samples: Sequence[bytes], info: TensorInfo) -> Array:
    stored: Array = np.frombuffer(b"".join(samples), info.stored_dtype)
    return stored.reshape(len(samples), *info.stored_shape)
