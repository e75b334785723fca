"""A device on a link."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from types import TracebackType

from .errors import GaveUp, LinkError
from .protocol import CAPTURED, OVERHEAD, PARTIAL, PROTOCOL, Answer, Command, DeviceInfo, ModelInfo, NodeTime, SlotInfo
from .session import Session
from .transport import Transport, open_transport

FLASH_SECONDS = 30.0  # erasing a large sector, checking a file, a signature
RUN_SECONDS = 120.0
START_SECONDS = 15.0
FIRST_PART, LEAST_PART = 64, 8  # bytes of data in a request: at first, and on a bad line
TRIES = 8  # of a part before it is cut in two
MAGIC, PREFIX_BYTES, PREFIX_CRC = b"DQNN", 64, struct.Struct("<60xI")

Progress = Callable[[int, int], None]  # bytes done, bytes in all


def connect(address: str, *, run_seconds: float = RUN_SECONDS) -> Device:
    """The device at `serial:PORT[,BAUD]` or `tcp:HOST:PORT`. run_seconds: how long one run may take. LinkError tells
    what to look at if there is none."""
    return Device(open_transport(address), run_seconds=run_seconds)


class Device:
    """Asks for its description at once: `info`. Stored bytes go in and out (see dqnn.Interpreter.to_stored).

    All methods raise LinkTimeout if no answer comes and DeviceRefused if the device says no, both LinkErrors."""

    def __init__(self, transport: Transport, *, run_seconds: float = RUN_SECONDS) -> None:
        self._session, self._run_seconds = Session(transport), run_seconds
        self.name = transport.name
        try:
            self.info = self.hello()
            if self.info.protocol != PROTOCOL:
                raise LinkError(f"{self.name} speaks version {self.info.protocol} of the protocol, this is {PROTOCOL}")
        except BaseException:
            transport.close()
            raise
        self._parts = _Parts(self.info.frame_bytes - OVERHEAD)

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._session.transport.close()

    @property
    def repeated(self) -> int:
        """Requests that had to be repeated so far: how bad the line is."""
        return self._session.repeated

    # ---- what there is ----

    def hello(self) -> DeviceInfo:
        """The device's description, asked for anew."""
        return DeviceInfo.of(self._session.ask(Command.HELLO).data)

    def model(self) -> ModelInfo:
        """The model that runs, or why none does."""
        return ModelInfo.of(self._session.ask(Command.MODEL).data)

    def slots(self) -> list[SlotInfo]:
        """Where models are kept; [] if the model cannot be replaced."""
        return [SlotInfo.of(self._session.ask(Command.SLOT, index=i).data) for i in range(self.info.slots)]

    def holds(self, blob: bytes) -> bool:
        """Does this file run there?"""
        model = self.model()
        return model.status == 0 and model.file_bytes == len(blob) and model.prefix_crc == _identity(blob)

    # ---- running ----

    def write_input(self, index: int, data: bytes) -> None:
        """Stored bytes of one input."""
        self._send(index, data)

    def invoke(self, runs: int = 1, *, capture: int | None = None, offset: int = 0) -> int:
        """Runs the model on the inputs that were written; ticks of the device's clock that it took, all runs together.
        capture, offset: keeps what node `capture` gives, from that byte on, for read_captured."""
        answer = self._session.ask(
            Command.INVOKE,
            index=CAPTURED if capture is None else capture,
            offset=offset,
            data=struct.pack("<I", runs),
            patience=self._run_seconds,
        )
        return int.from_bytes(answer.data, "little")

    def read_output(self, index: int) -> bytes:
        """Stored bytes of one output."""
        return self._receive(index)

    def read_captured(self) -> tuple[bytes, int]:
        """What the last invoke captured, and how many bytes the whole tensor has."""
        answer = self._session.ask(Command.READ, index=CAPTURED, data=struct.pack("<H", 0))
        return self._receive(CAPTURED, whole=False), answer.value

    def run(self, inputs: Sequence[bytes], outputs: int, runs: int = 1) -> list[bytes]:
        """One sample: all inputs in, all outputs back."""
        for index, data in enumerate(inputs):
            self.write_input(index, data)
        self.invoke(runs)
        return [self.read_output(index) for index in range(outputs)]

    def node_times(self) -> list[NodeTime]:
        """For each node, what it took in the last invoke."""
        found: list[NodeTime] = []
        size = NodeTime.LAYOUT.size
        while True:
            answer = self._in_parts(Command.NODES, len(found), max(1, self._parts.size // size), b"")
            if answer is not None:
                found += [NodeTime.of(answer.data[at : at + size]) for at in range(0, len(answer.data), size)]
                if len(found) >= answer.value or not answer.data:
                    return found

    def trace(self, inputs: Sequence[bytes], node: int) -> bytes:
        """Stored bytes of what a node gives for these inputs, in as many runs as the device's spare memory asks for."""
        found = b""
        while True:
            for index, data in enumerate(inputs):
                self.write_input(index, data)
            self.invoke(capture=node, offset=len(found))
            part, whole = self.read_captured()
            found += part
            if len(found) >= whole:
                return found
            if not part:
                raise LinkError(
                    f"{self.name} has no memory left for the {whole} bytes of node {node}: give the link more, in the "
                    "port's port_memory"
                )

    # ---- replacing the model ----

    def load(self, blob: bytes, progress: Progress | None = None) -> ModelInfo:
        """Uploads a file into the free slot, has it checked, and activates it: it runs at once, on trial. Without
        `confirm` the next start of the device goes back to the model before."""
        if self.info.file_bytes == 0:
            raise LinkError(f"{self.name} ({self.info.board}) has no slots: its model comes with its firmware")
        _identity(blob)
        if len(blob) > self.info.file_bytes:
            raise LinkError(f"the file has {len(blob):,} bytes, a slot of {self.name} takes {self.info.file_bytes:,}")
        self._session.ask(Command.BEGIN, offset=len(blob), patience=FLASH_SECONDS)
        self._upload(blob, progress or (lambda done, total: None))
        self._session.ask(Command.VERIFY, patience=FLASH_SECONDS + self._run_seconds)
        self._session.ask(Command.ACTIVATE, patience=FLASH_SECONDS)
        if not self.holds(blob):
            raise LinkError(f"{self.name} took the file and does not run it; its flash may be worn")
        return self.model()

    def confirm(self) -> None:
        """The running model stays; the device tests it once more before."""
        self._session.ask(Command.CONFIRM, patience=FLASH_SECONDS + self._run_seconds)

    def rollback(self) -> ModelInfo:
        """Back to the model before."""
        self._session.ask(Command.ROLLBACK, patience=FLASH_SECONDS)
        return self.model()

    def reset(self) -> DeviceInfo:
        """Starts the device anew and waits until it answers."""
        if not self.info.can_reset:
            raise LinkError(f"{self.name} ({self.info.board}) cannot reset itself: press its button")
        before = self.hello().requests
        self._session.ask(Command.RESET)
        while True:  # an answer may still come from before
            info = DeviceInfo.of(self._session.ask(Command.HELLO, patience=START_SECONDS).data)
            if info.requests <= before:
                self.info = info
                return info

    # ---- parts ----

    def _send(self, index: int, data: bytes) -> None:
        """All of an input."""
        at = 0
        while at < len(data):
            part = data[at : at + self._parts.size]
            if self._in_parts(Command.WRITE, index, at, part) is not None:
                at += len(part)

    def _upload(self, blob: bytes, progress: Progress) -> None:
        """All blocks. A block that was given up may have arrived: the device knows how far it is."""
        at, unit = 0, self.info.block_bytes
        while at < len(blob):
            part = blob[at : at + max(unit, self._parts.size // unit * unit)]
            if self._in_parts(Command.BLOCK, 0, at, part) is not None:
                at += len(part)
            else:
                at = self._arrived()
            progress(at, len(blob))

    def _arrived(self) -> int:
        """Bytes of the upload that is under way."""
        for slot in self.slots():
            if slot.state == PARTIAL:
                return slot.file_bytes
        raise LinkError(f"{self.name}: the upload was broken off, the device has started anew")

    def _receive(self, index: int, whole: bool = True) -> bytes:
        """All bytes of an output, or those that were captured."""
        found = b""
        while True:
            answer = self._in_parts(Command.READ, index, len(found), struct.pack("<H", self._parts.size))
            if answer is not None:
                found += answer.data
                if not answer.data or (whole and len(found) >= answer.value):
                    return found

    def _in_parts(self, command: Command, index: int, offset: int, data: bytes) -> Answer | None:
        """One part, whose size suits the line; None if it did not get through and the next is to be smaller."""
        before = self._session.repeated
        tries = None if self._parts.smallest else TRIES
        try:
            answer = self._session.ask(
                command, index=index, offset=offset, data=data, patience=FLASH_SECONDS, tries=tries
            )
        except GaveUp:
            self._parts.shrink()
            return None
        if self._session.repeated > before:
            self._parts.shrink()
        else:
            self._parts.grow()
        return answer


class _Parts:
    """How many bytes of data go into a request or an answer: doubled while all goes well, halved when something has to
    be repeated, then growing slowly."""

    def __init__(self, most: int) -> None:
        self.size, self._most, self._fast = min(most, FIRST_PART), most, True

    @property
    def smallest(self) -> bool:
        return self.size <= LEAST_PART

    def grow(self) -> None:
        self.size = min(self._most, 2 * self.size if self._fast else self.size + max(1, self.size // 8))

    def shrink(self) -> None:
        self.size, self._fast = max(LEAST_PART, self.size // 2), False


def _identity(blob: bytes) -> int:
    if len(blob) < PREFIX_BYTES or not blob.startswith(MAGIC):
        raise LinkError("not a .dqnn file (it does not begin with DQNN)")
    crc: int = PREFIX_CRC.unpack_from(blob)[0]
    return crc
