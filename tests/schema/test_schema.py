"""dqnn.fbs against everything that restates it: generated Python, the C headers, the exporter's parameter structs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from dqnn import tensors
from dqnn.exporter import format as params
from dqnn.exporter.emit import writer
from schema import reflection

Require = Callable[[str], str]
TABLES = ("Model", "Node", "Port", "SelfTest")
NOT_IN_C = ("Block16",)


@pytest.fixture(scope="module")
def schema(repo: Path) -> reflection.Schema:
    """From the binary schema, so that this needs no flatc; test_flatc.py compares it with dqnn.fbs."""
    return reflection.read((repo / "schema" / "dqnn.bfbs").read_bytes())


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def c_struct(name: str) -> str:
    """`ConvParams` -> `dqnn_conv_params`; activation tensors and constants are definitions there."""
    return f"dqnn_{snake(name)}" + ("_def" if name in ("Tensor", "Constant") else "")


def c_values(require_tool: Require, repo: Path, tmp_path: Path, expressions: list[str]) -> list[int]:
    """Integer expressions over the C headers, evaluated by the C compiler."""
    lines = "\n".join(f'  printf("%lld\\n", (long long)({e}));' for e in expressions)
    source = tmp_path / "values.c"
    source.write_text(
        f'#include <stdio.h>\n#include <stddef.h>\n#include "model.h"\nint main(void) {{\n{lines}\n  return 0;\n}}\n'
    )
    include = [f"-I{repo / 'interpreter_c' / part}" for part in ("include", "src")]
    program = tmp_path / "values"
    subprocess.run([require_tool("cc"), *include, "-o", str(program), str(source)], check=True)
    output = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    return [int(line) for line in output.split()]


def test_structs_equal_c(schema: reflection.Schema, require_tool: Require, repo: Path, tmp_path: Path) -> None:
    structs = [r for r in schema.records.values() if r.is_struct and r.name not in NOT_IN_C]
    assert len(structs) == 14
    expressions, expected = [], []
    for record in structs:
        expressions.append(f"sizeof({c_struct(record.name)})")
        expected.append(record.size)
        for name, offset in record.fields.items():
            expressions.append(f"offsetof({c_struct(record.name)}, {name})")
            expected.append(offset)
    assert dict(zip(expressions, c_values(require_tool, repo, tmp_path, expressions), strict=True)) == dict(
        zip(expressions, expected, strict=True)
    )


def test_slots_equal_c(schema: reflection.Schema, require_tool: Require, repo: Path, tmp_path: Path) -> None:
    parameter_slots = {cls.SLOT for cls in params.ALL}
    expected = {}
    for table in TABLES:
        slots = schema.records[table].fields
        for name, slot in slots.items():
            # Parameter structs are named by family macros, in lower case.
            suffix = name if table == "Node" and name in parameter_slots else name.upper()
            expected[f"DQNN_{table.upper()}_{suffix}"] = slot
        expected[f"DQNN_{table.upper()}_SLOTS"] = len(slots)
    values = c_values(require_tool, repo, tmp_path, list(expected))
    assert dict(zip(expected, values, strict=True)) == expected


def test_enums_equal_c(schema: reflection.Schema, require_tool: Require, repo: Path, tmp_path: Path) -> None:
    prefixes = {
        "DType": "DQNN_",
        "Requant": "DQNN_REQUANT_",
        "UnaryKind": "DQNN_",
        "BinaryKind": "DQNN_",
        "Rounding": "DQNN_ROUNDING_",
    }
    assert set(schema.enums) == set(prefixes)
    expected = {
        prefixes[e] + name.upper(): value for e, values in schema.enums.items() for name, value in values.items()
    }
    expected["DQNN_UNARY_KINDS"] = len(schema.enums["UnaryKind"])
    expected["DQNN_BINARY_KINDS"] = len(schema.enums["BinaryKind"])
    values = c_values(require_tool, repo, tmp_path, list(expected))
    assert dict(zip(expected, values, strict=True)) == expected


def test_prefix_equals_c(require_tool: Require, repo: Path, tmp_path: Path) -> None:
    """The order of writer.PREFIX's fields is that of dqnn_prefix; versions are those of the runtime."""
    names = (
        "magic", "format_version", "runtime_version", "total_bytes", "payload_offset", "payload_crc", "arena_bytes",
        "kernels", "model_id", "model_version", "flags", "signature_offset", "prefix_crc",
    )  # fmt: skip
    expressions = [f"offsetof(dqnn_prefix, {name})" for name in names]
    expressions += ["sizeof(dqnn_prefix)", "DQNN_FORMAT_VERSION", "DQNN_RUNTIME_VERSION", "DQNN_PREFIX_BYTES"]
    expected = [0, 4, 6, 8, 12, 16, 20, 24, 48, 52, 54, 56, 60]
    expected += [64, writer.FORMAT_VERSION, params.RUNTIME_VERSION, writer.PREFIX_BYTES]
    assert c_values(require_tool, repo, tmp_path, expressions) == expected
    assert writer.PREFIX.size + 4 == writer.PREFIX_BYTES


@pytest.mark.parametrize("cls", params.ALL, ids=lambda cls: cls.__name__)
def test_parameter_structs_equal_the_schema(cls: type[params.Params], schema: reflection.Schema) -> None:
    record = schema.records[cls.__name__]
    by_offset = sorted(record.fields, key=record.fields.__getitem__)
    assert [f.name for f in fields(cls)] == by_offset
    assert cls.SLOT in schema.records["Node"].fields


def test_names_in_python_equal_the_schema(schema: reflection.Schema) -> None:
    def ordered(enum: str) -> tuple[str, ...]:
        return tuple(sorted(schema.enums[enum], key=schema.enums[enum].__getitem__))

    assert ordered("UnaryKind") == params.UNARY_KINDS
    assert ordered("BinaryKind") == params.BINARY_KINDS
    assert ordered("DType") == tensors.DTYPES
    assert ordered("Requant") == params.REQUANTS
    assert schema.identifier.encode() == writer.IDENTIFIER


def test_structs_serialise_at_their_size(schema: reflection.Schema) -> None:
    quad = (1, 2, 3, 4)
    samples: list[params.Params] = [
        params.ConvParams(3, 3),
        params.ChannelParams(),
        params.PoolParams(2, 2, 2, 2),
        params.UnaryParams(1),
        params.BinaryParams(2),
        params.ConcatParams(2),
        params.PadParams(quad, 1.0),
        params.ViewParams(quad, quad, quad, quad),
    ]
    for sample in samples:
        assert len(sample.to_bytes()) == schema.records[type(sample).__name__].size
