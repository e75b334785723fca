"""A model on a device: what it is, running it, replacing it (schema/LINK.md).

    from dqnn import link

    with link.connect("serial:/dev/ttyACM0,115200") as device:      # or tcp:HOST:PORT
        print(device.info, device.model())
        device.load(Path("model.dqnn").read_bytes())                # into the free slot, on trial
        device.confirm()

`dqnn device` does the same from the command line; `--target serial:...` runs, validates and measures files there."""

from __future__ import annotations

from .device import Device, connect
from .errors import DeviceRefused, LinkError, LinkTimeout
from .protocol import DeviceInfo, ModelInfo, NodeTime, SlotInfo
from .transport import Direct, Serial, Tcp, Transport

__all__ = [
    "Device",
    "DeviceInfo",
    "DeviceRefused",
    "Direct",
    "LinkError",
    "LinkTimeout",
    "ModelInfo",
    "NodeTime",
    "Serial",
    "SlotInfo",
    "Tcp",
    "Transport",
    "connect",
]
