"""Files of every release load and give the recorded bytes: with all instruction sets of this machine, with plain C, and
on boards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from levels import LEVELS, top

import dqnn
from dqnn import _core
from dqnn.exporter.blob import parse

ROOT = Path(__file__).resolve().parents[2] / "schema" / "golden"
FILES = sorted(ROOT.glob("*/*.dqnn"))
IDS = [f"{path.parent.name}-{path.stem}" for path in FILES]
RELEASED = [
    path for path in FILES if not path.parent.name.endswith("-beta")
]  # a beta's files may fall to slower variants
RELEASED_IDS = [f"{path.parent.name}-{path.stem}" for path in RELEASED]
BOARDS = ("qemu:mps2-an385", "qemu:mps2-an386")


def recorded(path: Path, prefix: str) -> list[Any]:
    with np.load(path.with_suffix(".npz")) as arrays:
        return [arrays[f"{prefix}{n}"] for n in range(sum(name.startswith(prefix) for name in arrays))]


def assert_outputs(path: Path, outputs: list[Any]) -> None:
    for number, (got, want) in enumerate(zip(outputs, recorded(path, "out"), strict=True)):
        assert got.tobytes() == want.tobytes(), f"output {number} differs"


@pytest.mark.parametrize("isas", LEVELS, ids=top)
@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_golden(path: Path, isas: list[str]) -> None:
    interpreter = dqnn.Interpreter(path, isas=isas)
    inputs = recorded(path, "in")
    results = interpreter.predict(inputs if len(inputs) > 1 else inputs[0], raw=True)
    assert_outputs(path, list(results.values()) if isinstance(results, dict) else [results])


@pytest.mark.qemu
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_golden_on_boards(path: Path, board: str) -> None:
    from dqnn.exporter.targets.target import find_target

    assert_outputs(path, find_target(board).run(path.read_bytes(), recorded(path, "in")).outputs)


OPTIONAL = "winograd"  # what files give it is the exporter's choice


def usable_variants(kernel: str) -> list[str]:
    row = next(row for row in _core.kernels() if row["name"] == kernel)
    return [isa for isa in row["variants"] if isa in _core.host_isas() and isa != OPTIONAL]


def scratch_of(blob: bytes) -> list[dict[str, int]]:
    """Of each node, what the variants that take it want."""
    interpreter, view = _core.Interpreter(blob), parse(blob)
    definitions = [(t["dims"], t["dtype"], t["scale"], t["zero_point"]) for t in interpreter.tensors()]
    return [
        _core.scratch(
            row["kernel_id"],
            [definitions[i] for i in node.inputs],
            definitions[node.output],
            [view.constants[i] for i in node.constants],
            b"" if node.params is None else node.params.to_bytes(),
        )
        for row, node in zip(interpreter.nodes(), view.nodes, strict=True)
    ]


@pytest.mark.parametrize("path", RELEASED, ids=RELEASED_IDS)
def test_golden_files_keep_their_variants(path: Path) -> None:
    """With all instruction sets and with each alone, a node of a released file runs the best variant there is: none
    wants more scratch than the file gives."""
    blob = path.read_bytes()
    taking = [set(needs) for needs in scratch_of(blob)]
    for isas in (None, *([isa] for isa in _core.host_isas())):
        for node, takes in zip(_core.Interpreter(blob, isas).nodes(), taking, strict=True):
            usable = [isa for isa in usable_variants(node["kernel"]) if isa in takes]
            allowed = [isa for isa in usable if isas is None or isa in (*isas, "ref")]
            assert node["isa"] == allowed[0], f"{node['layer']} ({node['kernel']}): {node['isa']}"


@pytest.mark.parametrize("path", RELEASED, ids=RELEASED_IDS)
def test_golden_files_give_the_scratch_of_every_variant(path: Path) -> None:
    """Also of those for other processors than this one."""
    blob = path.read_bytes()
    nodes = zip(_core.Interpreter(blob).nodes(), parse(blob).nodes, scratch_of(blob), strict=True)
    for row, node, needs in nodes:
        more = {isa: need for isa, need in needs.items() if need > node.scratch_bytes and isa != OPTIONAL}
        assert not more, f"{row['layer']} ({row['kernel']}) has {node.scratch_bytes} bytes of scratch"


def test_golden_files_use_every_kernel() -> None:
    used = {node.kernel for path in FILES for node in parse(path.read_bytes()).nodes}
    missing = {row["name"] for row in _core.kernels()} - used
    assert not missing, "add them to schema/golden/make.py before the release"


def test_golden_files_hold_raw_samples() -> None:
    ports = [port for path in FILES for port in parse(path.read_bytes()).inputs if port.sample is not None]
    assert len({port.sample for port in ports}) >= 3, "asked for with and without a zero point, and recognized"


def test_golden_files_share_memory() -> None:
    """Outputs on their first input, and inputs of a concat in its output."""
    overlaid, joined = set(), []
    for view in (parse(path.read_bytes()) for path in FILES):
        for node in view.nodes:
            offset = view.tensors[node.output].offset
            if node.kernel.startswith("concat"):
                joined += [view.tensors[i].offset - offset for i in node.inputs]
            elif node.inputs and view.tensors[node.inputs[0]].offset == offset:
                overlaid.add(node.kernel)
    assert overlaid >= {"view_f32", "unary_f32", "avgpool_f32_f32", "maxpool_f32"}
    assert joined.count(0) >= 3 and {16, 48} <= set(joined)
