"""A process as a stand-in for a board: the same C code for link and store, behind a TCP port.

Its slots are memory that behaves like flash; kept in a file, they survive the process. One connection at a time, as a
UART has one other end: a second one is closed at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dqnn import _core
from dqnn.interpreter import Interpreter

from ..blob import NotAModelError, read_bytes
from ..files import write_atomically
from ..targets.boards import TargetError

ERASE_BYTES, PROGRAM_BYTES = 4096, 8
LEAST_SLOT_BYTES = 1 << 18
FRAME_BYTES = 2048
SPARE_BYTES = 1 << 20  # memory beside the model's own: for copies of inputs, times and traces of it and the next
READ_BYTES = 65536
LOCAL = "127.0.0.1"

Told = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Place:
        """`:PORT` (this machine alone) or `HOST:PORT`; port 0 takes a free one."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or int(port) >= 2**16:
            raise TargetError(f"{text!r} is no place to listen at; accepted: :PORT for this machine alone, HOST:PORT")
        return cls(host.strip("[]") or LOCAL, int(port))


class ServedDevice:
    """A device whose flash may be kept in a file."""

    def __init__(self, model: Path | None, flash: Path | None, memory_bytes: int | None) -> None:
        blob = None if model is None else read_bytes(model)
        self._flash, self._kept = flash, b""
        need = 0
        if blob is not None:
            try:
                need = Interpreter(blob).memory_bytes
            except _core.BlobError as error:
                raise NotAModelError(f"{model}: {error}") from error
        slot = max(LEAST_SLOT_BYTES, _up(2 * len(blob or b""), ERASE_BYTES))
        memory = need + SPARE_BYTES if memory_bytes is None else _up(memory_bytes, 16)
        self.device = _core.Device(blob, slot, ERASE_BYTES, PROGRAM_BYTES, memory, FRAME_BYTES, "host", "dqnn serve")
        if flash is not None and flash.exists():
            self._load(read_bytes(flash), flash)

    def _load(self, image: bytes, path: Path) -> None:
        try:
            self.device.set_flash(image)
        except ValueError:
            size = len(self.device.flash())
            raise TargetError(
                f"{path} has {len(image):,} bytes, the slots beside this model {size:,}: give another file"
            ) from None
        self._kept = image

    def feed(self, data: bytes) -> bytes:
        answers = self.device.feed(data)
        if self._flash is not None:
            image = self.device.flash()
            if image != self._kept:
                write_atomically(self._flash, image)
                self._kept = image
        return answers


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


async def serve(device: ServedDevice, place: Place, tell: Told) -> None:
    """Until it is cancelled. `tell` is given a line about the port, connections, and what ends them."""
    busy = asyncio.Lock()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = "{}:{}".format(*writer.get_extra_info("peername")[:2])
        if busy.locked():
            tell(f"{peer} sent away: another program is connected")
            writer.close()
            return
        async with busy:
            tell(f"{peer} connected")
            try:
                while data := await reader.read(READ_BYTES):
                    writer.write(await asyncio.to_thread(device.feed, data))
                    await writer.drain()
            except ConnectionError:
                pass
            finally:
                writer.close()
            tell(f"{peer} gone")

    try:
        server = await asyncio.start_server(talk, place.host, place.port)
    except OSError as error:
        raise TargetError(f"cannot listen at {place.host}:{place.port}: {error.strerror or error}") from None
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        tell(f"tcp:{host}:{port} (Ctrl-C ends it)")
        await server.serve_forever()
