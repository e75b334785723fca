"""Byte streams to a device: a serial port, a TCP connection, a device in this process."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Protocol

from .errors import LinkError

BAUD = 115200
SERIAL, TCP = "serial:", "tcp:"
CONNECT_SECONDS = 5.0
MOST_READ = 65536


class Transport(Protocol):
    """`read` gives what has come within some seconds, b"" for nothing. `advice` says what to look at when nothing
    comes; `bytes_per_second` is None where a transfer takes no time worth waiting for."""

    name: str
    advice: str
    bytes_per_second: float | None

    def write(self, data: bytes) -> None: ...

    def read(self, seconds: float) -> bytes: ...

    def close(self) -> None: ...


def open_transport(address: str) -> Transport:
    """`serial:PORT[,BAUD]` or `tcp:HOST:PORT`; LinkError for anything else, or what cannot be opened."""
    if address.startswith(SERIAL):
        port, _, baud = address.removeprefix(SERIAL).partition(",")
        if port and (not baud or baud.isdecimal()):
            return Serial(port, int(baud or BAUD))
    elif address.startswith(TCP):
        host, _, number = address.removeprefix(TCP).rpartition(":")
        if number.isdecimal() and 0 < int(number) < 2**16:
            return Tcp(host.strip("[]") or "localhost", int(number))
    raise LinkError(f"{address!r} is no address of a device; accepted: serial:PORT[,BAUD], tcp:HOST:PORT")


class Serial:
    """A serial port (pyserial)."""

    def __init__(self, port: str, baud: int = BAUD) -> None:
        self.name = f"{SERIAL}{port},{baud}"
        self.bytes_per_second: float | None = baud / 10
        self.advice = (
            f"is {port} the board's port (`python -m serial.tools.list_ports` lists them), is {baud} its baud rate, "
            "are RX and TX crossed, and does its firmware call dqnn_link_poll"
        )
        try:
            import serial
        except ImportError:
            raise LinkError("serial ports need pyserial: pip install 'dqnn[serial]'") from None
        self._failure: type[Exception] = serial.SerialException
        try:
            self._port: Any = serial.serial_for_url(port, baudrate=baud, exclusive=True)
        except (serial.SerialException, ValueError) as error:
            raise LinkError(
                f"cannot open {port}: {error}; is the board plugged in, does another program hold the port, may you "
                "read and write it (on Linux: group dialout)?"
            ) from None

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
            self._port.flush()
        except self._failure as error:
            raise LinkError(f"{self.name}: {error}") from None

    def read(self, seconds: float) -> bytes:
        try:
            self._port.timeout = seconds
            data: bytes = self._port.read(max(1, self._port.in_waiting))
        except (self._failure, OSError) as error:
            raise LinkError(f"{self.name}: {error}; was the board unplugged?") from None
        return data

    def close(self) -> None:
        self._port.close()


class Tcp:
    """A TCP connection: to `dqnn serve`, to an emulator's UART, to a board with a network or behind a serial server."""

    def __init__(self, host: str, port: int) -> None:
        self.name = f"{TCP}{host}:{port}"
        self.bytes_per_second: float | None = None
        self.advice = "is the other side of this port a dqnn device, and is no other program connected to it"
        try:
            self._socket = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise LinkError(
                f"cannot connect to {host}:{port}: {error.strerror or error}; does something listen there "
                "(dqnn serve MODEL --tcp :PORT, or an emulator)?"
            ) from None

    def write(self, data: bytes) -> None:
        try:
            self._socket.settimeout(CONNECT_SECONDS)
            self._socket.sendall(data)
        except OSError as error:
            raise LinkError(f"{self.name}: {error.strerror or error}") from None

    def read(self, seconds: float) -> bytes:
        try:
            self._socket.settimeout(max(seconds, 1e-3))
            data = self._socket.recv(MOST_READ)
        except TimeoutError:
            return b""
        except ConnectionError:
            data = b""
        except OSError as error:
            raise LinkError(f"{self.name}: {error.strerror or error}") from None
        if not data:
            raise LinkError(f"{self.name}: the other side closed the connection; is another program using the device?")
        return data

    def close(self) -> None:
        self._socket.close()


class Direct:
    """A device in this process: `feed` takes what is sent and gives what it answers (dqnn._core.Device.feed)."""

    def __init__(self, feed: Callable[[bytes], bytes], name: str = "direct") -> None:
        self.name, self.advice = name, "it is in this process"
        self.bytes_per_second: float | None = None
        self._feed, self._answers = feed, b""

    def write(self, data: bytes) -> None:
        self._answers += self._feed(data)

    def read(self, seconds: float) -> bytes:
        answers, self._answers = self._answers, b""
        return answers

    def close(self) -> None:
        pass
