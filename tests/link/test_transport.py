"""Ways to a device: real sockets, a pseudo-terminal as serial port; what is said when there is no way."""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from link.wires import board, served

from dqnn import link
from dqnn.link.session import Session
from dqnn.link.transport import Direct, Serial, Tcp, open_transport


@pytest.fixture(scope="module")
def blob(repo: Path) -> bytes:
    return (repo / "schema" / "golden" / "0.1.0" / "digits_larq.dqnn").read_bytes()


@contextmanager
def on_a_terminal(feed: object) -> Iterator[str]:
    """A pseudo-terminal whose other end is a device: what a USB serial port is to a program."""
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            if select.select([ours], [], [], 0.05)[0]:
                answers = feed(os.read(ours, 4096))  # type: ignore[operator]
                while answers:
                    answers = answers[os.write(ours, answers) :]

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(theirs)
    finally:
        stop.set()
        thread.join()
        os.close(ours)
        os.close(theirs)


def check(device: link.Device, repo: Path, blob: bytes) -> None:
    data = np.load(repo / "schema" / "golden" / "0.1.0" / "digits_larq.npz")
    assert device.holds(blob)
    assert device.run([data["in0"][0].tobytes()], 1) == [data["out0"][0].tobytes()]


def test_tcp(repo: Path, blob: bytes) -> None:
    machine = board(blob)
    with served(machine.feed) as port:
        for _ in range(2):  # one after the other
            with link.connect(f"tcp:127.0.0.1:{port}") as device:
                assert device.name == f"tcp:127.0.0.1:{port}"
                check(device, repo, blob)
        with link.connect(f"tcp::{port}") as device:
            assert device.info.board == "test board"


def test_serial(repo: Path, blob: bytes) -> None:
    with on_a_terminal(board(blob).feed) as name, link.connect(f"serial:{name},921600") as device:
        check(device, repo, blob)


@pytest.mark.parametrize(
    "address", ["serial:", "serial:/dev/x,fast", "tcp:", "tcp:host", "tcp:host:0", "tcp:h:99999", "usb:1"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(
        link.LinkError, match=r"is no address of a device; accepted: serial:PORT\[,BAUD\], tcp:HOST:PORT"
    ):
        open_transport(address)


def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(link.LinkError, match=r"cannot open .*gone.*; is the board plugged in"):
        Serial(str(tmp_path / "gone"))


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(link.LinkError, match=r"cannot connect to .*refused; does something listen there \(dqnn serve"):
        Tcp("127.0.0.1", port)


def test_pyserial_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(link.LinkError, match=r"pip install 'dqnn\[serial\]'"):
        Serial("/dev/ttyACM0")


def test_silence_and_noise_are_told_apart() -> None:
    with pytest.raises(link.LinkTimeout, match=r"no answer to hello in 0.2 s \(not a byte came\): it is in this"):
        Session(Direct(lambda data: b""), patience=0.2).ask(link.protocol.Command.HELLO)
    with pytest.raises(link.LinkTimeout, match=r"\d+ bytes came that are no answers"):
        Session(Direct(lambda data: b"boot message\r\n\0"), patience=0.2).ask(link.protocol.Command.HELLO)


def test_the_advice_of_a_serial_port() -> None:
    with (
        on_a_terminal(lambda data: b"") as name,
        pytest.raises(link.LinkTimeout, match="is 115200 its baud rate, are RX and TX crossed"),
    ):
        Session(Serial(name), patience=0.3).ask(link.protocol.Command.HELLO)


def test_a_connection_that_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        threading.Thread(target=hang_up).start()
        with pytest.raises(link.LinkError, match=r"closed the connection|reset by peer|[Bb]roken pipe"):
            link.connect(f"tcp:127.0.0.1:{server.getsockname()[1]}")
