"""dqnn._core.Interpreter used by several Python threads: nobody waits with the GIL, nothing is seen half written, and
no size is believed before it is checked."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from c import make_blobs
from c.make_blobs import F32, File, N, PoolParams, T, UnaryParams

from dqnn import _core

MAXPOOL_F32 = 75
RELU = ("Unary", UnaryParams.CreateUnaryParams, (0, 0, 0, 0.0))


def relu_file(size: int) -> bytes:
    tensors, node = [T(F32, (size,), 0), T(F32, (size,), 4 * size)], N(make_blobs.UNARY_F32, (0,), 1, params=RELU)
    return make_blobs.blob(File(tensors, [node], [(0, "x")], [(1, "y")], 8 * size))


def slow() -> _core.Interpreter:
    """An invoke of about a second: maxima over 100 x 100 cells, one by one."""
    pool = ("Pool", PoolParams.CreatePoolParams, (100, 100, 1, 1, 0, 0))
    tensors = [T(F32, (300, 300, 1), 0), T(F32, (201, 201, 1), 360_000)]
    node = N(MAXPOOL_F32, (0,), 1, params=pool)
    file = File(tensors, [node], [(0, "x")], [(1, "y")], 360_000 + 161_616 // 16 * 16 + 16)
    interpreter = _core.Interpreter(make_blobs.blob(file), ["ref"])
    interpreter.invoke()  # so that there are outputs
    return interpreter


@pytest.mark.parametrize(
    "wait",
    [
        lambda it: it.get_output(0),
        lambda it: it.set_input(0, bytes(360_000)),
        lambda it: it.invoke(),
        lambda it: it.trace(),
        lambda it: it.high_water(),
    ],
    ids=["get_output", "set_input", "invoke", "trace", "high_water"],
)
def test_who_waits_lets_python_go_on(wait: Callable[[_core.Interpreter], object]) -> None:
    """While one thread computes and another waits for it, this one still runs; a busy machine gets three chances."""
    interpreter = slow()
    assert any(runs_beside(interpreter, wait) for _ in range(3))


def runs_beside(interpreter: _core.Interpreter, wait: Callable[[_core.Interpreter], object]) -> bool:
    steps: list[str] = []

    def compute() -> None:
        interpreter.invoke()
        steps.append("computed")

    def look() -> None:
        steps.append("waiting")
        wait(interpreter)

    threads = [threading.Thread(target=target) for target in (compute, look)]
    for thread in threads:
        thread.start()
    while "waiting" not in steps:
        pass
    for _ in range(20):
        time.sleep(0.001)  # whoever has computed gets the GIL to say so
    beside = "computed" not in steps
    for thread in threads:
        thread.join()
    return beside


def test_no_run_sees_half_an_input() -> None:
    """Inputs change while other threads run the model beside them: every run has one of them, whole."""
    size = 1 << 16
    interpreter = _core.Interpreter(relu_file(size))
    values = [np.full(size, value, "<f4").tobytes() for value in (1, 2)]
    interpreter.set_input(0, values[0])
    interpreter.invoke()
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            for value in values:
                interpreter.set_input(0, value)

    changing = [threading.Thread(target=change) for _ in range(2)]
    for thread in changing:
        thread.start()
    for _ in range(200):
        assert interpreter.trace()[0] in values
        interpreter.invoke()
        assert bytes(interpreter.get_output(0)) in values
    done.set()
    for thread in changing:
        thread.join()


@pytest.mark.parametrize("count", [1 << 59, 1 << 61, (1 << 64) - 1])
def test_a_batch_whose_bytes_cannot_be_counted(count: int) -> None:
    with pytest.raises(ValueError, match=r"too large|takes"):
        _core.Interpreter(relu_file(8)).invoke_batch([b""], count, 1)


def test_more_threads_than_samples() -> None:
    values = np.arange(-12, 12, dtype="<f4")
    result = _core.Interpreter(relu_file(8)).invoke_batch([values.tobytes()], 3, 1 << 62)
    assert bytes(result[0]) == np.maximum(values, 0).tobytes()


def test_a_profile_of_no_run() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        _core.Interpreter(relu_file(8)).profile(0)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the process's memory as Linux does")
def test_a_refused_file_gets_no_memory() -> None:
    """Two gigabytes of arena in a small file that does not verify: its fault is reported, not a lack of memory."""
    file = make_blobs.floats()
    file.arena, file.nodes[3].kernel = 0x7FFFFFF0, 191
    code = (
        "import resource, sys; from dqnn import _core; blob = sys.stdin.buffer.read();"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 29),) * 2);"
        "_core.Interpreter(blob)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=make_blobs.blob(file), capture_output=True, check=False)
    assert b"BlobError" in done.stderr.splitlines()[-1]
