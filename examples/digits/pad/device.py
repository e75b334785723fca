"""What the pad knows of its device, and asks it: one request at a time. This machine is a device like any other: the
same C code behind the same protocol, without a wire."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqnn import Interpreter, link
from dqnn.exporter.blob import NotAModelError, parse
from dqnn.exporter.device.serving import ServedDevice

SIDE, CLASSES = 28, 10
HALF, ONE = 128.0, 1.0  # of a pixel, as the models were trained: pixel / 128 - 1


class PadError(Exception):
    """A model that knows no digits, or one that the device does not hold."""


@dataclass(frozen=True)
class Model:
    """A file, and what the page shows of it."""

    blob: bytes
    interpreter: Interpreter
    name: str
    layers: tuple[str, ...]

    @classmethod
    def of(cls, blob: bytes) -> Model:
        """PadError if it is not a model for this page."""
        try:
            view, interpreter = parse(blob), Interpreter(blob)
        except (NotAModelError, ValueError) as error:
            raise PadError(f"this file is no model: {error}") from error
        inputs, outputs = ([tuple(info.shape) for info in side] for side in (interpreter.inputs, interpreter.outputs))
        if inputs != [(SIDE, SIDE, 1)] or outputs != [(CLASSES,)]:
            name = view.name or "this one"
            raise PadError(f"the pad needs a model of {SIDE}x{SIDE}x1 -> {CLASSES}; {name} is {inputs} -> {outputs}")
        return cls(blob, interpreter, view.name or "unnamed", tuple(view.names))


class Pad:
    """`models` are those that this program has the files of; a device does not give them back."""

    def __init__(self, blob: bytes, target: str, *, load: bool = False) -> None:
        self.target, self.uploaded = target, 1.0
        self._lock = threading.Lock()
        self._models = [Model.of(blob)]
        self._open: link.Device | None = _on_this_machine(blob) if target == "host" else None
        with self._device() as device:
            if not device.holds(blob):
                running = device.model().name or "no model"
                if not load:
                    raise PadError(f"{target} runs {running}, not this file: --load uploads it")
                self._upload(device, self._models[0])

    @contextmanager
    def _device(self) -> Iterator[link.Device]:
        """For one request; after trouble on the line the next request connects anew."""
        with self._lock:
            try:
                if self._open is None:
                    self._open = link.connect(self.target)
                yield self._open
            except link.DeviceRefused:
                raise
            except link.LinkError:
                if self._open is not None:
                    self._open.close()
                self._open = None
                raise

    def state(self) -> dict[str, Any]:
        with self._device() as device:
            return self._state(device)

    def classify(self, pixels: bytes) -> dict[str, Any]:
        """Probabilities of the ten digits, and milliseconds of each layer."""
        with self._device() as device:
            model = self._running(device)
            image = np.frombuffer(pixels, np.uint8).reshape(1, SIDE, SIDE, 1)
            (stored,) = model.interpreter.to_stored(image.astype(np.float32) / np.float32(HALF) - np.float32(ONE))
            device.write_input(0, stored.tobytes())
            ticks, hz = device.invoke(), device.info.clock_hz
            (info,) = model.interpreter.outputs
            output = np.frombuffer(device.read_output(0), info.stored_dtype).reshape(1, *info.stored_shape)
            scores = np.asarray(model.interpreter.from_stored([output]), np.float64)[0]
            times = [node.ticks for node in device.node_times()] if device.model().timed else []
            return {
                "probabilities": probabilities(scores).tolist(),
                "milliseconds": 1000 * ticks / hz if hz else None,
                "layers": [1000 * time / hz for time in times] if hz else [],
            }

    def load(self, blob: bytes) -> dict[str, Any]:
        """Another model, on trial."""
        model = Model.of(blob)
        with self._device() as device:
            self._upload(device, model)
            return self._state(device)

    def confirm(self) -> dict[str, Any]:
        with self._device() as device:
            device.confirm()
            return self._state(device)

    def rollback(self) -> dict[str, Any]:
        with self._device() as device:
            device.rollback()
            return self._state(device)

    def _upload(self, device: link.Device, model: Model) -> None:
        def progress(done: int, total: int) -> None:
            self.uploaded = done / total

        self.uploaded = 0.0
        try:
            if _slot(device) == "on trial":
                device.confirm()  # what is used is kept; an upload needs the other slot
            device.load(model.blob, progress)
            self._models = [known for known in self._models if known.blob != model.blob] + [model]
        finally:
            self.uploaded = 1.0

    def _running(self, device: link.Device) -> Model:
        for model in reversed(self._models):
            if device.holds(model.blob):
                return model
        raise PadError(f"{self.target} runs {device.model().name or 'a model'}, whose file is not here: upload it")

    def _state(self, device: link.Device) -> dict[str, Any]:
        info, model = device.info, self._running(device)
        return {
            "target": self.target,
            "board": info.board,
            "core": info.core,
            "clock_hz": info.clock_hz,
            "model": model.name,
            "file_bytes": len(model.blob),
            "arena_bytes": device.model().arena_bytes,
            "slot": _slot(device),
            "layers": list(model.layers),
        }


def _slot(device: link.Device) -> str:
    """State of the slot that the running model is in."""
    running = [slot.state for slot in device.slots() if slot.running]
    return running[0] if running else "factory"


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """As they are, or by softmax if the model ends before it."""
    if scores.min() >= 0 and abs(scores.sum() - 1) < 1e-3:
        return scores
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def _on_this_machine(blob: bytes) -> link.Device:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.dqnn"
        path.write_bytes(blob)
        served = ServedDevice(path, None, None)
    return link.Device(link.Direct(served.feed))
