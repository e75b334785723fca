"""Devices for the tests: in this process, behind a line that damages bytes, behind a socket."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dqnn import _core

SLOT, ERASE, PROGRAM, MEMORY, FRAME = 1 << 16, 4096, 8, 1 << 16, 1024


def board(factory: bytes | None, *, memory: int = MEMORY, frame: int = FRAME, slot: int = SLOT) -> _core.Device:
    return _core.Device(factory, slot, ERASE, PROGRAM, memory, frame, "host", "test board")


class Noise:
    """Loses, changes or doubles each byte with some probability; counts how many."""

    def __init__(self, seed: int, rate: float = 1 / 50) -> None:
        self.random, self.rate, self.damaged = random.Random(seed), rate, 0

    def __call__(self, data: bytes) -> bytes:
        sent = bytearray()
        for byte in data:
            kind = self.random.randrange(3) if self.random.random() < self.rate else None
            self.damaged += kind is not None
            if kind == 1:
                sent.append(byte ^ 1 << self.random.randrange(8))
            elif kind == 2:
                sent += bytes([byte, byte])
            elif kind is None:
                sent.append(byte)
        return bytes(sent)

    def around(self, feed: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        return lambda data: self(feed(self(data)))


@contextmanager
def served(feed: Callable[[bytes], bytes]) -> Iterator[int]:
    """A TCP port with a device behind it, for one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()
        listener.settimeout(0.1)

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(0.1)
                    _talk(connection, feed, stop)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _talk(connection: socket.socket, feed: Callable[[bytes], bytes], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            data = connection.recv(65536)
        except TimeoutError:
            continue
        if not data:
            return
        connection.sendall(feed(data))
