"""A device on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqnn import _core
from dqnn.link import Device, DeviceInfo, ModelInfo, SlotInfo

from ..show.console import plain_table, size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def render_device(device: Device, out: Console) -> None:
    """Board, memory, kernels, line, model and slots."""
    info, model = device.info, device.model()
    for name, text in (*_facts(info), ("model", model_text(model))):
        out.print(f"{name:<8} {text}", soft_wrap=True)
    slots = device.slots()
    if slots:
        out.print(slots_table(slots))


def _facts(info: DeviceInfo) -> list[tuple[str, str]]:
    clock = f"{info.clock_hz / 1e6:g} MHz" if info.clock_hz else "no clock"
    every = len(_core.kernels())
    kernels = f"{len(info.kernels)} kernels of {every}" if len(info.kernels) < every else f"all {every} kernels"
    slots = f"; files up to {size(info.file_bytes)}" if info.file_bytes else "; its model cannot be replaced"
    line = (
        f"frames of {size(info.frame_bytes)}; {info.requests} requests since it started, {info.dropped} frames damaged"
    )
    return [
        ("board", f"{info.board}, {info.core}, {clock}"),
        ("memory", f"{size(info.memory_bytes)} for the interpreter{slots}"),
        ("runtime", f"version {info.runtime_version}, {kernels} ({', '.join(info.isas)})"),
        ("line", line),
    ]


def model_text(model: ModelInfo) -> str:
    """The model that runs, or why there is none."""
    if model.status:
        return f"none: {_core.status(model.status)[1]}"
    name = model.name or "without a name"
    return (
        f"{name}, version {model.model_version}, id {model.model_id:#010x}, {size(model.file_bytes)}; "
        f"arena {size(model.arena_bytes)}, state {size(model.state_bytes)}, {model.nodes} nodes"
    )


def slots_table(slots: list[SlotInfo]) -> Table:
    table = plain_table("slot", "state", ">bytes", ">version", ">id", ">generation", ">erased")
    for index, slot in enumerate(slots):
        name = f"{index}, runs" if slot.running else str(index)
        installed = (str(slot.model_version), f"{slot.model_id:#010x}", str(slot.generation))
        cells = installed if slot.generation else ("", "", "")
        table.add_row(name, slot.state, f"{slot.file_bytes:,}" if slot.file_bytes else "", *cells, f"{slot.wear}")
    return table
