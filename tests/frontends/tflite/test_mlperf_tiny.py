"""The reference models of MLPerf Tiny, where `DQNN_MLPERF_TINY` says (a folder with the files, or a checkout of
mlcommons/tiny): equal to the reference kernels, exported in a moment and in little memory, without TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = os.environ.get("DQNN_MLPERF_TINY", "")
INT8 = ("kws_ref_model.tflite", "ad01_int8.tflite", "pretrainedResnet_quant.tflite", "vww_96_int8.tflite")
FLOAT = ("ad01_fp32.tflite", "pretrainedResnet.tflite", "vww_96_float.tflite")
MOST_SECONDS, MOST_MIB = 1.5, 300


def path_of(name: str) -> Path:
    """The file, or its test is skipped by name."""
    found = sorted(Path(FOLDER).rglob(name)) if FOLDER else []
    if not found:
        pytest.skip(f"{name} is not in DQNN_MLPERF_TINY={FOLDER}")
    return found[0]


@pytest.mark.tf
@pytest.mark.parametrize("name", INT8)
def test_equals_the_reference_kernels(name: str) -> None:
    from frontends.tflite import oracle

    content = path_of(name).read_bytes()
    oracle.check(content, 200, 1)
    oracle.check(content, 50, 2, plausible=True)


@pytest.mark.tf
@pytest.mark.parametrize("name", FLOAT)
def test_floats_within_their_rounding(name: str) -> None:
    from frontends.tflite import oracle

    oracle.check(path_of(name).read_bytes(), 10, 3, plausible=True)


def test_dynamic_range_is_refused_by_name() -> None:
    from dqnn.exporter.errors import ExportError
    from dqnn.exporter.frontends import load

    with pytest.raises(ExportError, match="dynamic range") as caught:
        load(path_of("kws_ref_model_float32.tflite"))
    named = {problem.layer for problem in caught.value.problems}
    assert len(named) == len(caught.value.problems) == 5 and "functional_1/activation_8/Relu" in named


# The peak is that of this program: ru_maxrss would remember the process that started it.
EXPORT = """
import re, sys, time
import dqnn
dqnn.export(sys.argv[1])
assert "tensorflow" not in sys.modules
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print(time.process_time(), int(peak[1]) / 1024)
"""


@pytest.mark.parametrize("name", (*INT8, *FLOAT))
def test_export_is_quick_and_small(name: str) -> None:
    """Of the whole process: the processor's time, so that a busy machine does not decide."""
    command = [sys.executable, "-c", EXPORT, str(path_of(name))]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, mebibytes = map(float, run.stdout.split())
    assert seconds < MOST_SECONDS and mebibytes < MOST_MIB, f"{seconds:.2f} s, {mebibytes:.0f} MiB"
