"""dqnn.Interpreter on small files: values in and out, and a clear ValueError for everything else."""

from __future__ import annotations

import ctypes
import pickle
import re
import signal
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from c import make_blobs
from c.make_blobs import F32, S1, S8, BinaryParams, File, N, T

import dqnn
from dqnn import BlobError, Interpreter, pack_s1, unpack_s1
from dqnn._core import requirements

INF = float("inf")
BINARY_S8, MULTIPLY = 71, 2


def product_file() -> File:
    """One s1 and one f32 input, multiplied: f32, and quantized to s8 with scale 0.5 and zero point 3."""
    full = ("Binary", BinaryParams.CreateBinaryParams, (MULTIPLY, 0, 0, -INF, INF))
    codes = ("Binary", BinaryParams.CreateBinaryParams, (MULTIPLY, 0, 0, -128.0, 127.0))
    return File(
        tensors=[T(S1, (2, 35), 0), T(F32, (2, 35), 16), T(F32, (2, 35), 304), T(S8, (2, 35), 592, 0.5, 3)],
        nodes=[
            N(make_blobs.BINARY_F32, (0, 1), 2, layer="product", params=full),
            N(BINARY_S8, (0, 1), 3, (0,), layer="quantized", params=codes),
        ],
        inputs=[(0, "signs"), (1, "values")],
        outputs=[(2, "product"), (3, "quantized")],
        arena=672,
        constants=[np.float32(2).tobytes()],
    )


@pytest.fixture(scope="module")
def product() -> Interpreter:
    return Interpreter(make_blobs.blob(product_file()))


@pytest.fixture(scope="module")
def bits() -> Interpreter:
    """s8 (5, 5, 35) in, s1 (2, 2, 35) out."""
    return Interpreter(make_blobs.blob(make_blobs.bits()))


def samples(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.choice([-1.0, 1.0], (count, 2, 35)), rng.normal(0, 20, (count, 2, 35)).astype(np.float32)


# --- what it tells ----------------------------------------------------------------------------------------------------


def test_ports(product: Interpreter) -> None:
    assert [str(info) for info in product.inputs] == ["'signs' s1 (2, 35)", "'values' f32 (2, 35)"]
    quantized = product.outputs[1]
    assert (quantized.name, quantized.shape, quantized.dtype) == ("quantized", (2, 35), "s8")
    assert (quantized.scale, quantized.zero_point, quantized.bytes) == (0.5, 3, 70)
    assert product.inputs[0].stored_shape == (2, 2)
    with pytest.raises(AttributeError):
        quantized.scale = 1.0  # type: ignore[misc]


def test_sizes(product: Interpreter) -> None:
    assert product.arena_bytes == 672
    assert product.memory_bytes == product.arena_bytes + product.state_bytes
    assert product.file_bytes == len(make_blobs.blob(product_file()))
    assert product.model_id == 0x1234 and product.model_version == 7
    assert "product" in repr(product) and "672" not in repr(product)


def test_nodes(product: Interpreter) -> None:
    assert [(n.layer, n.kernel, n.inputs, n.output) for n in product.nodes] == [
        ("product", "binary_f32", (0, 1), 2),
        ("quantized", "binary_s8", (0, 1), 3),
    ]


# --- values -----------------------------------------------------------------------------------------------------------


def test_one_sample(product: Interpreter) -> None:
    signs, values = (array[0] for array in samples(1))
    product.set_input("signs", signs)
    product.set_input(1, values)
    product.invoke()
    exact = (signs * values).astype(np.float32)
    np.testing.assert_array_equal(product.get_output("product"), exact)
    np.testing.assert_array_equal(product.get_output(0), product.get_output(0, raw=True))
    codes = np.clip(np.rint(exact * np.float32(2)) + 3, -128, 127).astype(np.int8)
    np.testing.assert_array_equal(product.get_output(1, raw=True), codes)
    np.testing.assert_array_equal(product.get_output(1), (codes.astype(np.float32) - 3) * np.float32(0.5))


def test_inputs_keep_their_values() -> None:
    interpreter = Interpreter(make_blobs.blob(make_blobs.floats()))  # overwrites its input in place
    interpreter.set_input(0, np.linspace(-1, 1, 8))
    interpreter.invoke()
    first = interpreter.get_output(0)
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_output(0), first)


def test_raw_inputs_equal_real_ones(product: Interpreter, bits: Interpreter) -> None:
    signs, values = samples(5)
    real = product.predict({"signs": signs, "values": values})
    raw = product.predict([pack_s1(signs), values], raw=True)
    assert isinstance(real, dict) and isinstance(raw, dict)
    np.testing.assert_array_equal(real["product"], raw["product"])
    assert raw["quantized"].dtype == np.int8

    codes = np.random.default_rng(1).integers(-128, 128, (4, 5, 5, 35), dtype=np.int8)
    packed = bits.predict(codes, raw=True)
    assert isinstance(packed, np.ndarray) and packed.shape == (4, 2, 2, 2) and packed.dtype == np.uint32
    reals = (codes.astype(np.float32) + 3) * np.float32(0.5)  # scale 0.5, zero point -3
    for batch in (reals, [reals], {"image": reals}, list(reals)):
        np.testing.assert_array_equal(bits.predict(batch), unpack_s1(packed, 35))
    np.testing.assert_array_equal(bits.predict([reals[0]]), unpack_s1(packed[:1], 35))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8, np.bool_])
def test_any_numbers(product: Interpreter, dtype: type) -> None:
    values = np.random.default_rng(2).integers(0, 2, (3, 2, 35)).astype(dtype)
    signs = np.ones((3, 2, 35))
    result = product.predict([signs, values])
    assert isinstance(result, dict)
    np.testing.assert_array_equal(result["product"], values.astype(np.float32))


def test_layout_of_the_arrays_does_not_matter(product: Interpreter) -> None:
    signs, values = samples(6)
    expected = product.predict([signs, values])
    reversed_axes = [np.ascontiguousarray(a.transpose(2, 1, 0)).transpose(2, 1, 0) for a in (signs, values)]
    assert not reversed_axes[1].flags.c_contiguous
    got = product.predict(reversed_axes)
    assert isinstance(expected, dict) and isinstance(got, dict)
    np.testing.assert_array_equal(expected["product"], got["product"])
    read_only = values.copy()
    read_only.setflags(write=False)
    product.predict([signs.tolist(), read_only])


def test_infinity_saturates(product: Interpreter) -> None:
    values = np.full((1, 2, 35), np.inf)
    result = product.predict([np.ones((1, 2, 35)), values], raw=False)
    assert isinstance(result, dict)
    assert np.isinf(result["product"]).all() and (result["quantized"] == (127 - 3) * 0.5).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_threads_and_chunks(product: Interpreter, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    signs, values = samples(37)
    expected = product.predict([signs, values])
    monkeypatch.setattr("dqnn.interpreter.CHUNK_BYTES", 4096)
    got = product.predict([signs, values], threads=threads)
    assert isinstance(expected, dict) and isinstance(got, dict)
    for name in expected:
        np.testing.assert_array_equal(expected[name], got[name])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux shows them")
def test_several_threads_without_the_gil(product: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a batch runs on three threads, Python goes on in a fourth."""

    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    monkeypatch.setattr("dqnn.interpreter.CHUNK_BYTES", 1 << 30)
    before, most = threads(), 0
    signs, values = samples(50_000)
    caller = threading.Thread(target=product.predict, args=([signs, values],), kwargs={"threads": 3})
    caller.start()
    while caller.is_alive():
        most = max(most, threads())
    assert most >= before + 3


def test_empty_batch(product: Interpreter) -> None:
    result = product.predict([np.empty((0, 2, 35)), np.empty((0, 2, 35))])
    assert isinstance(result, dict) and result["product"].shape == (0, 2, 35)


def test_shared_by_threads(product: Interpreter) -> None:
    signs, values = samples(50)
    expected = product.predict([signs, values])
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(product.predict([signs, values]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and isinstance(expected, dict)
    for result in results:
        assert isinstance(result, dict)
        np.testing.assert_array_equal(result["product"], expected["product"])


def test_pickle(product: Interpreter) -> None:
    copy = pickle.loads(pickle.dumps(product))
    assert copy.inputs == product.inputs and repr(copy) == repr(product)


def test_instruction_sets_give_equal_results(digits: Path) -> None:
    blob = dqnn.export(digits / "digits_larq.h5").blob
    x = np.load(digits / "digits_test.npz")["x"][:4]
    reference = Interpreter(blob, isas=["ref"])
    assert {node.isa for node in reference.nodes} == {"ref"}
    np.testing.assert_array_equal(reference.predict(x), Interpreter(blob).predict(x))
    with pytest.raises(ValueError, match="no instruction set of this machine is named nonsense; accepted: ref"):
        Interpreter(blob, isas=["nonsense"])


# --- looking inside ---------------------------------------------------------------------------------------------------


def test_trace_and_profile() -> None:
    interpreter = Interpreter(make_blobs.blob(make_blobs.floats()))
    interpreter.set_input("x", np.linspace(-1, 1, 8))
    steps = interpreter.trace()
    assert [step.node.layer for step in steps] == ["relu", "softmax", "add", "prelu,last"]
    np.testing.assert_array_equal(steps[0].value, np.maximum(np.linspace(-1, 1, 8, dtype=np.float32), 0))
    interpreter.invoke()
    np.testing.assert_array_equal(steps[-1].value, interpreter.get_output(0))
    times = interpreter.profile(3)
    assert [t.node for t in times] == interpreter.nodes and all(t.seconds >= 0 for t in times)
    assert 0 < interpreter.high_water() <= interpreter.arena_bytes
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        interpreter.profile(0)


# --- refusals ---------------------------------------------------------------------------------------------------------


def refuses(words: str) -> object:
    return pytest.raises(ValueError, match=re.escape(words))


def test_wrong_ports(product: Interpreter) -> None:
    with refuses("no input is named 'x'; the model has 'signs' s1 (2, 35) (index 0), 'values' f32 (2, 35) (index 1)"):
        product.set_input("x", 0)
    with refuses("no input has index 2"):
        product.set_input(2, 0)
    with refuses("no output has index -1"):
        product.get_output(-1)


def test_wrong_shapes(product: Interpreter) -> None:
    with refuses("input 'signs' s1 (2, 35) expects shape (2, 35), got (35, 2)"):
        product.set_input(0, np.zeros((35, 2)))
    with refuses("one sample has no batch dimension, predict() takes batches"):
        product.set_input(0, np.zeros((4, 2, 35)))
    with refuses("expects shape (batch, 2, 35), got (2, 35); for one sample add a batch dimension: x[None]"):
        product.predict([np.zeros((2, 35)), np.zeros((2, 35))])
    with refuses("expects shape (batch, 2, 2), got (1, 2, 35)"):
        product.predict([np.zeros((1, 2, 35), np.uint32), np.zeros((1, 2, 35))], raw=True)
    with refuses("the same number of samples, got {'signs': 1, 'values': 2}"):
        product.predict([np.zeros((1, 2, 35)), np.zeros((2, 2, 35))])


def test_wrong_numbers(product: Interpreter) -> None:
    values = np.zeros((2, 35))
    values[1, 7] = np.nan
    for index in (0, 1):
        with refuses("cannot take NaN (found at (1, 7))"):
            product.set_input(index, values)
    with refuses("takes numbers, got an array of"):
        product.set_input(1, np.full((2, 35), "1"))
    with refuses("takes numbers, got an array of complex128"):
        product.set_input(1, values * 1j)
    with refuses("with raw=True takes uint32 stored values, got int64"):
        product.set_input(0, np.zeros((2, 2), np.int64), raw=True)
    with refuses("bits 3 to 31 of a row's last word must be 0"):
        product.set_input(0, np.full((2, 2), 8, np.uint32), raw=True)


def test_wrong_batches(product: Interpreter, bits: Interpreter) -> None:
    signs, values = samples(1)
    with refuses("missing ['values'], unknown ['value']"):
        product.predict({"signs": signs, "value": values})
    with refuses("this model has 2 inputs: give predict a dict with ['signs', 'values'], or a list in this order"):
        product.predict(signs)
    with refuses("threads must be a whole number from 1 on, got 0"):
        bits.predict(np.zeros((1, 5, 5, 35)), threads=0)


def test_nothing_set() -> None:
    """Inputs that were never set are zero bytes, in every way to run."""
    interpreter = Interpreter(make_blobs.blob(make_blobs.floats()))
    with pytest.raises(RuntimeError, match="invoke\\(\\) has not run yet"):
        interpreter.get_output(0)
    interpreter.invoke()
    untouched = interpreter.get_output(0)
    zeros = interpreter.predict(np.zeros((1, *interpreter.inputs[0].shape)))
    np.testing.assert_array_equal(untouched, zeros[interpreter.outputs[0].name][0])
    assert len(interpreter.trace()) == len(interpreter.nodes)
    assert interpreter.profile(1) and interpreter.high_water() > 0


def test_one_input_set() -> None:
    """The other one is zeros, whatever ran in between."""
    interpreter = Interpreter(make_blobs.blob(product_file()))
    _, (values,) = samples(1)
    interpreter.set_input("values", values)
    for _ in range(2):
        interpreter.invoke()
        np.testing.assert_array_equal(interpreter.get_output("product"), values)  # a zero bit is +1


def test_bad_files(tmp_path: Path) -> None:
    blob = make_blobs.blob(make_blobs.floats())
    path = tmp_path / "model.dqnn"
    path.write_bytes(blob[:-1])
    with pytest.raises(BlobError, match=re.escape(str(path))) as caught:
        Interpreter(path)
    assert caught.value.status == "truncated" and caught.value.node is None
    for data, status in ((b"", "truncated"), (b"PK" + blob[2:], "magic"), (blob[:-1] + b"?", "checksum")):
        with pytest.raises(BlobError) as caught:
            Interpreter(data)
        assert caught.value.status == status
    with pytest.raises(FileNotFoundError):
        Interpreter(tmp_path / "none.dqnn")
    with refuses("takes the path of a .dqnn file or its bytes, got int"):
        Interpreter(3)  # type: ignore[arg-type]


def test_refused_kernel_names_its_node() -> None:
    file = make_blobs.floats()
    file.constants = [b"123"]
    with pytest.raises(BlobError, match="constant_bytes") as caught:
        Interpreter(make_blobs.blob(file))
    error = caught.value
    assert (error.status, error.node, error.kernel, error.check) == (
        "kernel_constant",
        3,
        "prelu_f32",
        "constant_bytes",
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_interrupt(digits: Path) -> None:
    """Ctrl-C ends a long batch at once, and the interpreter is usable afterwards."""
    interpreter = Interpreter(dqnn.export(digits / "digits_larq.h5").blob, isas=["ref"])
    x = np.zeros((20000, 28, 28, 1), np.float32)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            interpreter.predict(x, threads=2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert interpreter.predict(x[:1]).shape == (1, 10)


def test_names_of_any_bytes() -> None:
    blob = make_blobs.blob(make_blobs.floats()).replace(b"relu\0", b"\xff\x80 \n\0").replace(b"x\0\0\0", b"\xfe\0\0\0")
    payload = blob[64:]
    prefix = blob[:16] + zlib.crc32(payload).to_bytes(4, "little") + blob[20:60]
    interpreter = Interpreter(prefix + zlib.crc32(prefix).to_bytes(4, "little") + payload)
    assert interpreter.inputs[0].name == "\N{REPLACEMENT CHARACTER}"
    assert interpreter.nodes[0].layer == "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} \n"


def test_state_is_a_pointer_per_node(digits: Path) -> None:
    """What the interpreter needs beside the arena, by its own account: under 32 bytes a node, even on this machine,
    whose pointers are twice as long as a microcontroller's."""
    few = requirements(make_blobs.blob(product_file()))
    for name in ("larq", "qkeras"):
        needs = requirements(dqnn.export(digits / f"digits_{name}.h5").blob)
        assert needs["memory_bytes"] == needs["arena_bytes"] + needs["state_bytes"]
        assert needs["state_bytes"] < 32 * needs["nodes"]
        per_node = (needs["state_bytes"] - few["state_bytes"]) / (needs["nodes"] - few["nodes"])
        assert per_node == ctypes.sizeof(ctypes.c_void_p)
