"""One request after the other on a stream that may lose, change and repeat bytes: a request is repeated until its
answer comes, and given up when nothing has come for long."""

from __future__ import annotations

import time

from .errors import DeviceRefused, GaveUp, LinkTimeout
from .protocol import ANSWER, HEADER, Answer, Command, Receiver, encode
from .transport import Transport

PATIENCE = 5.0  # seconds without an answer after which a request is given up
FIRST_WAIT, LEAST_WAIT, LONGEST_WAIT = 0.3, 0.02, 2.0  # seconds until a repetition
SPARE = 3.0  # times the usual round trip
SMOOTHING = 0.2


class Session:
    """`repeated` counts repetitions."""

    def __init__(self, transport: Transport, patience: float = PATIENCE) -> None:
        self.transport, self.patience = transport, patience
        self.repeated = 0
        self._receiver = Receiver()
        self._sequence = time.monotonic_ns() % 256
        self._usual = FIRST_WAIT / SPARE

    def ask(
        self,
        command: Command,
        *,
        index: int = 0,
        offset: int = 0,
        data: bytes = b"",
        patience: float | None = None,
        tries: int | None = None,
    ) -> Answer:
        """The answer; LinkTimeout if none comes, GaveUp after so many tries, DeviceRefused if it says that nothing was
        done."""
        self._sequence = (self._sequence + 1) % 256
        frame = encode(HEADER.pack(command, self._sequence, index, offset) + data)
        answer = self._exchange(command, frame, self.patience if patience is None else patience, tries)
        if answer.status:
            raise DeviceRefused(
                f"{self.transport.name}: {command.name.lower()} was refused", answer.status, answer.fault
            )
        return answer

    def _exchange(self, command: Command, frame: bytes, patience: float, most_tries: int | None) -> Answer:
        begun = time.monotonic()
        rate = self.transport.bytes_per_second
        wait = max(LEAST_WAIT, SPARE * self._usual) + (0 if rate is None else 4 * len(frame) / rate)
        tries = 0
        while True:
            sent = time.monotonic()
            self.transport.write(frame)
            answer = self._wait(command, sent + min(wait, max(0.0, begun + patience - sent)))
            if answer is not None:
                if tries == 0:
                    self._usual += SMOOTHING * (time.monotonic() - sent - self._usual)
                return answer
            if time.monotonic() - begun >= patience:
                raise LinkTimeout(self._complaint(command, patience))
            tries += 1
            self.repeated += 1
            if tries == most_tries:
                raise GaveUp(self._complaint(command, time.monotonic() - begun))
            wait = min(1.5 * wait, LONGEST_WAIT)

    def _wait(self, command: Command, until: float) -> Answer | None:
        """The answer to the last request; others that come are late ones to earlier requests."""
        while True:
            data = self.transport.read(max(0.0, until - time.monotonic()))
            for content in self._receiver.take(data):
                answer = Answer.of(content)
                if answer.command == command | ANSWER and answer.sequence == self._sequence:
                    return answer
            if not data:
                return None

    def _complaint(self, command: Command, patience: float) -> str:
        noise = self._receiver.noise
        heard = f"{noise} bytes came that are no answers" if noise else "not a byte came"
        return (
            f"{self.transport.name}: no answer to {command.name.lower()} in {patience:g} s ({heard}): "
            f"{self.transport.advice}?"
        )
