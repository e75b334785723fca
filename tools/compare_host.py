"""Times dqnn beside Larq Compute Engine and TFLite on this machine, one thread, in one process, interleaved.

    python tools/compare_host.py [--avx2] [FILE.tflite ...]     makes build/compare (2 GB), installs all three there,
                                                                measures, prints Markdown

QKeras (pip install dqnn[keras]) in the environment that starts it adds 8-bit networks beside TFLite's int8; so do files
of int8 models, which both engines run as they are.

Each engine runs its own conversion of the same Keras model (TFLite int8: of plain layers of the same shapes,
quantized after training); the figure is the median of single inferences, taken in
rounds that visit every engine in turn, so that a slow moment of the machine hits all of them.

--avx2 measures as on a processor without AVX-512: DQNN_ISAS says so to dqnn, and what TensorFlow's libraries have found
out about the processor (cpuinfo, which XNNPACK and Ruy ask) is changed before they ask. Larq Compute Engine's own
library has no symbols to find that by; it goes on as it is."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
from networks import ds_cnn, eight_bits, quicknet_like

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "build" / "compare"
PACKAGES = ("larq-compute-engine==0.16.0", "tensorflow-cpu==2.15.*", "larq==0.13.3", "numpy<2")
ROUNDS, REPEATS = 20, 10
MARK = "DQNN_COMPARE_CHILD"
AVX2 = "portable,winograd,packed,avx2"
# Of cpuinfo's struct cpuinfo_x86_isa in TensorFlow 2.15, from byte 21 on; names as in /proc/cpuinfo.
FIRST_FLAG = 21
FLAGS = (
    "avx", "avx_vnni", "fma", "fma4", "xop", "f16c", "avx2", "avx512f", "avx512pf", "avx512er", "avx512cd", "avx512dq",
    "avx512bw", "avx512vl", "avx512ifma", "avx512vbmi", "avx512_vbmi2", "avx512_bitalg", "avx512_vpopcntdq",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx512_vp2intersect", "avx512_4vnniw", "avx512_4fmaps",
)  # fmt: skip


@dataclass(frozen=True)
class Engine:
    """One way to run a model: bytes of its file, one inference, its output."""

    name: str
    file_bytes: int
    run: Callable[[], Any]


def engines(model: Any, x: Any) -> list[Engine]:
    """Every engine that can run the model."""
    import larq_compute_engine as lce
    import tensorflow as tf
    from larq_compute_engine.tflite.python.interpreter import Interpreter as LceInterpreter

    import dqnn

    blob = dqnn.export(model).blob
    ours = dqnn.Interpreter(blob)
    flatbuffer = lce.convert_keras_model(model)
    found = [Engine("dqnn", len(blob), lambda: ours.predict(x))]
    for name, options in {
        "Larq Compute Engine, default": {},
        "Larq Compute Engine, best options": {"use_indirect_bgemm": True, "use_xnnpack": True},
    }.items():
        interpreter = LceInterpreter(flatbuffer, num_threads=1, **options)
        found.append(Engine(name, len(flatbuffer), partial(interpreter.predict, x)))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    lite = tf.lite.Interpreter(model_content=content, num_threads=1)
    lite.allocate_tensors()
    found.append(Engine("TFLite with XNNPACK, f32", len(content), lambda: run_lite(lite, x)))
    return found


def hide_avx512() -> None:
    """From the libraries of TensorFlow, which have to be loaded and must not have run a model."""
    import tensorflow as tf

    tf.lite.Interpreter  # noqa: B018  loads the second of them
    root = Path(tf.__file__).parent
    wrapper = root / "lite" / "python" / "interpreter_wrapper" / "_pywrap_tensorflow_interpreter_wrapper.so"
    here = re.search(r"^flags.*", Path("/proc/cpuinfo").read_text(encoding="ascii"), re.M)
    known = [int(here is not None and name in here[0].split()) for name in FLAGS]
    for library in (root / "libtensorflow_cc.so.2", wrapper):
        symbols = subprocess.run(["nm", library], capture_output=True, text=True, check=True).stdout
        places = {
            name: int(at, 16) for at, name in re.findall(r"^(\w+) \w (cpuinfo_(?:initialize|isa))$", symbols, re.M)
        }
        maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        base = next(int(line.partition("-")[0], 16) for line in maps if library.name in line)
        ctypes.CFUNCTYPE(ctypes.c_bool)(base + places["cpuinfo_initialize"])()
        flags = (ctypes.c_uint8 * len(FLAGS)).from_address(base + places["cpuinfo_isa"] + FIRST_FLAG)
        if list(flags) != known:
            raise click.ClickException(f"{library.name} keeps its flags in another order: not TensorFlow 2.15")
        for i, name in enumerate(FLAGS):
            flags[i] = flags[i] and not name.startswith(("avx512", "avx_vnni"))


def run_lite(interpreter: Any, x: Any) -> Any:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def plain_layer(layer: Any) -> Any:
    """A QKeras layer's counterpart among Keras' own layers; others as they are."""
    import tensorflow as tf

    layers, kind = tf.keras.layers, type(layer).__name__
    if kind == "QActivation":
        relu = str(layer.get_config()["activation"]).startswith("quantized_relu")
        return layers.Activation("relu" if relu else "linear")
    if kind not in ("QConv2D", "QDepthwiseConv2D", "QDense"):
        return layer.__class__.from_config(layer.get_config())
    own = ("filters", "units", "kernel_size", "strides", "padding", "use_bias")
    return getattr(layers, kind[1:])(**{k: v for k, v in layer.get_config().items() if k in own})


def write_eight_bit_models() -> None:
    """The 8-bit networks of networks.py and their plain counterparts, as files for the child."""
    import tensorflow as tf

    for build in (ds_cnn, eight_bits):
        model = build()
        model.save(HOME / f"{model.name}.h5")
        tf.keras.models.clone_model(model, clone_function=plain_layer).save(HOME / f"{model.name}_plain.h5")


def eight_bit_engines(name: str) -> list[Engine]:
    """dqnn and TFLite, each with its own conversion of the network, both on stored 8-bit inputs."""
    import numpy as np
    import tensorflow as tf

    import dqnn

    plain = tf.keras.models.load_model(HOME / f"{name}_plain.h5")
    shape, rng = (1, *plain.input_shape[1:]), np.random.default_rng(1)
    converter = tf.lite.TFLiteConverter.from_keras_model(plain)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rng.uniform(-1, 1, shape).astype(np.float32)] for _ in range(50))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    return stored_engines(dqnn.export(HOME / f"{name}.h5").blob, converter.convert())


def file_engines(path: Path) -> list[Engine]:
    """dqnn and TFLite on the same file of an int8 model."""
    import dqnn

    return stored_engines(dqnn.export(path).blob, path.read_bytes())


def stored_engines(blob: bytes, content: bytes) -> list[Engine]:
    """One inference sets an input as it is stored, invokes, and gets the output."""
    import numpy as np
    import tensorflow as tf

    import dqnn

    ours, resolvers = dqnn.Interpreter(blob), tf.lite.experimental.OpResolverType
    engines = []
    for label, kernels in {
        "TFLite int8 with XNNPACK": resolvers.AUTO,
        "TFLite int8, its own kernels": resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    }.items():
        lite = tf.lite.Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kernels)
        lite.allocate_tensors()
        port, rng = lite.get_input_details()[0], np.random.default_rng(1)
        x = rng.integers(-128, 128, port["shape"], dtype=np.int8).astype(port["dtype"])
        engines.append(Engine(label, len(content), partial(run_lite, lite, x)))
    return [Engine("dqnn", len(blob), partial(run_stored, ours, x.reshape(ours.inputs[0].shape))), *engines]


def run_stored(interpreter: Any, x: Any) -> Any:
    interpreter.set_input(0, x, raw=True)
    interpreter.invoke()
    return interpreter.get_output(0, raw=True)


def median_times(candidates: list[Engine]) -> dict[str, float]:
    """Milliseconds per inference by engine."""
    times: dict[str, list[float]] = {engine.name: [] for engine in candidates}
    for engine in candidates:
        engine.run()
    for _ in range(ROUNDS):
        for engine in candidates:
            for _ in range(REPEATS):
                start = time.perf_counter()
                engine.run()
                times[engine.name].append(1e3 * (time.perf_counter() - start))
    return {name: sorted(values)[len(values) // 2] for name, values in times.items()}


def report(name: str, candidates: list[Engine], reference: Any = None) -> None:
    """A Markdown table for one model; `reference`: what Keras gives."""
    import numpy as np

    medians = median_times(candidates)
    click.echo(f"\n### {name}\n\n| engine | file | ms | against dqnn | largest difference to Keras |")
    click.echo("|---|---|---|---|---|")
    for engine in candidates:
        ratio = medians[engine.name] / medians["dqnn"]
        far = "-" if reference is None else f"{np.abs(np.asarray(engine.run()) - reference).max():.1e}"
        click.echo(f"| {engine.name} | {engine.file_bytes:,} B | {medians[engine.name]:.3f} | {ratio:.1f} | {far} |")


def report_float(name: str, model: Any) -> None:
    import numpy as np

    x = np.random.default_rng(1).uniform(-1, 1, (1, *model.input_shape[1:])).astype(np.float32)
    report(name, engines(model, x), np.asarray(model(x, training=False)))


def measure(files: Iterable[Path]) -> None:
    import larq  # noqa: F401  registers its layers with Keras
    import tensorflow as tf

    report_float("Larq digits network", tf.keras.models.load_model(ROOT / "examples" / "digits" / "digits_larq.h5"))
    report_float("QuickNet-like, 64 px", quicknet_like())
    for title, name in {"DS-CNN, 8 bits": "ds_cnn", "CNN 32x32x3, 8 bits": "eight_bits"}.items():
        if (HOME / f"{name}.h5").exists():
            report(title, eight_bit_engines(name))
    for path in files:
        report(path.name, file_engines(path))


@click.command(help="Time dqnn beside Larq Compute Engine and TFLite on this machine; FILES: int8 .tflite models.")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path))
@click.option("--avx2", is_flag=True, help="As on a processor without AVX-512 (all but Larq Compute Engine).")
def main(files: tuple[Path, ...], avx2: bool) -> None:
    if os.environ.get(MARK):
        if avx2:
            hide_avx512()
        measure(files)
        return
    python = HOME / "bin" / "python"
    if not (HOME / ".installed").exists():
        click.echo(f"making {HOME.relative_to(ROOT)} and installing {', '.join(PACKAGES)} (2 GB, minutes)")
        venv.create(HOME, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        (HOME / ".installed").touch()
    if importlib.util.find_spec("qkeras"):
        write_eight_bit_models()
    own_build = f"--config-settings=build-dir={ROOT / 'build' / 'compare-wheel'}"
    subprocess.run([python, "-m", "pip", "install", "-q", own_build, str(ROOT)], check=True)
    environment = {**os.environ, MARK: "1", "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    environment.pop("TF_USE_LEGACY_KERAS", None)  # set by importing QKeras; the child has no tf_keras
    if avx2:
        environment["DQNN_ISAS"] = AVX2
    options = ["--avx2"] if avx2 else []
    sys.exit(subprocess.run([python, __file__, *options, *files], env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
