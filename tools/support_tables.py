"""Writes docs/support.md: what is supported, from the tables the program itself runs on.

    python tools/support_tables.py            write the page
    python tools/support_tables.py --check    exit 1 if the page is not what would be written

Sources: interpreter_c/include/dqnn/kernels.def, the layer registry of the front ends, the published rows of the
tests."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dqnn import _core
from dqnn.exporter import frontends
from dqnn.exporter.frontends.keras import registry
from dqnn.exporter.frontends.onnx import registry as onnx
from dqnn.exporter.frontends.onnx.reader import NEWEST_OPSET, OLDEST_OPSET
from dqnn.exporter.frontends.tflite.registry import refused_operators
from dqnn.exporter.frontends.tflite.registry import support_table as operator_table
from dqnn.exporter.targets.kernels_def import variants

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "support.md"
FORMATS = ("s1", "s8", "f32")

if TYPE_CHECKING:
    from dqnn._core import KernelRow

sys.path.insert(0, str(ROOT / "tests" / "models"))
from published import CONV, DENSE, Row  # noqa: E402


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table."""
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def row_kernel(row: Row) -> str:
    """The kernel that computes a published row."""
    return f"`conv_{row.input}_{row.weights}_{row.output}`"


def row_test(row: Row, test: str) -> str:
    if row.bias == "s32":
        return f"`tests/models/test_tflite_rows.py`, `test_rows.py::{test}[{row.name}-...]`"
    return f"`tests/models/test_rows.py::{test}[{row.name}-...]`"


def published_rows() -> Iterator[str]:
    """Published row -> kernel -> test."""
    yield "## Published combinations\n"
    yield "The rows of ST Edge AI's documentation (dense D1-D19, convolution C1-C8). Dense is a 1x1 convolution."
    yield "The bias is optional everywhere, and batch normalization always folds in. Binary pairs with few outputs take"
    yield "`convh_...`, the horizontal layout.\n"
    for rows, test in ((DENSE, "test_dense_row"), (CONV, "test_conv_row")):
        header = ("row", "input", "weights", "output", "bias", "kernel", "test")
        yield from table(header, (row_cells(row, test) for row in rows))


def row_cells(row: Row, test: str) -> tuple[str, ...]:
    formats = [fmt + (" DoReFa" if row.dorefa else "") for fmt in (row.input, row.weights)]
    return (row.name, *formats, row.output, row.bias, row_kernel(row), row_test(row, test))


def kernel_grid(kernels: Sequence[KernelRow]) -> Iterator[str]:
    """Every kernel with its variants, by family."""
    yield "## Kernels\n"
    yield "Every row of `interpreter_c/include/dqnn/kernels.def`. Variants give the same bytes; a runtime takes"
    yield "the best one that its core has when it loads a file.\n"
    optimized = {kernel["name"]: [v for v in declared(kernel["name"]) if v != "ref"] for kernel in kernels}
    rows = [
        (
            f"`{kernel['name']}`",
            *(str(kernel["id"]), kernel["input"], kernel["weights"], kernel["output"]),
            ", ".join(optimized[kernel["name"]]) or "-",
        )
        for kernel in kernels
    ]
    yield from table(("kernel", "id", "input", "weights", "output", "optimized variants besides ref"), rows)


def declared(name: str) -> list[str]:
    """Variants that kernels.def declares for a kernel on any target."""
    return [variant.isa for variant in variants() if variant.kernel == name]


def layers() -> Iterator[str]:
    """Layer x library -> supported forms and limits."""
    yield "## Layers\n"
    yield "Between a convolution and a sign, whatever rises or falls folds into the thresholds. Between a convolution"
    yield "and an 8-bit quantizer, batch norms, scales and clips that are the same in every channel fold; behind other"
    yield "functions (PReLU, tanh, a ReLU in front of a batch norm) the value is f32, and `--explain` says so.\n"
    titles = {
        "keras": "Keras",
        "keras.ops": "Keras 3 operations on tensors",
        "larq": "Larq",
        "qkeras": "QKeras 0.9, its GitHub repository of 2025, qkeras-v3",
        "tensorflow_model_optimization": "TensorFlow Model Optimization Toolkit",
    }
    supports = registry.support_table()
    for library, title in titles.items():
        yield f"### {title}\n"
        mine = [support for support in supports if support.library == library]
        if library == "keras.ops":
            yield (
                ", ".join(f"`{name}`" for support in mine for name in support.classes)
                + ": as the layer or TensorFlow function of that name.\n"
            )
            continue
        rows = (
            (", ".join(f"`{name}`" for name in s.classes), s.forms or "all", "; ".join(s.limits) or "-") for s in mine
        )
        yield from table(("layers", "supported", "limits"), rows)
    yield "### Refused, with what to do instead\n"
    refused: dict[str, list[str]] = {}
    for name, advice in registry.refused_classes().items():
        refused.setdefault(advice, []).append(f"`{name}`")
    yield from table(("layers", "instead"), ((", ".join(names), advice) for advice, names in refused.items()))


def operators() -> Iterator[str]:
    """TensorFlow Lite's operators."""
    yield "## TensorFlow Lite operators\n"
    yield "int8 gives the values of the reference kernels, bit for bit. What else holds for `.tflite` files:"
    yield "[tflite.md](tflite.md).\n"
    rows = (
        (", ".join(f"`{name}`" for name in row.operators), row.forms or "int8, float32", "; ".join(row.limits) or "-")
        for row in operator_table()
    )
    yield from table(("operators", "supported", "limits"), rows)
    refused: dict[str, list[str]] = {}
    for name, advice in refused_operators().items():
        refused.setdefault(advice, []).append(f"`{name}`")
    yield from table(("refused", "instead"), ((", ".join(names), advice) for advice, names in refused.items()))


def onnx_operators() -> Iterator[str]:
    """Operator of ONNX -> supported forms and limits."""
    yield "## ONNX\n"
    yield f"Opsets {OLDEST_OPSET} to {NEWEST_OPSET}. Behind the batch axis, which stays in front, sizes are fixed."
    yield "What is constant is computed at export, the arithmetic of shapes too. How quantized files are read:"
    yield "[ONNX models](onnx.md).\n"
    supports = onnx.support_table()
    for domain, title in onnx.DOMAIN_TITLES.items():
        yield f"### {title}\n"
        mine = [support for support in supports if support.domain == domain]
        rows = (
            (", ".join(f"`{name}`" for name in s.operators), s.forms or "all", "; ".join(s.limits) or "-") for s in mine
        )
        yield from table(("operators", "supported", "limits"), rows)
    yield "### Operators that are refused, with what to do instead\n"
    refused: dict[str, list[str]] = {}
    for (_, name), advice in onnx.refused_operators().items():
        refused.setdefault(advice, []).append(f"`{name}`")
    yield from table(("operators", "instead"), ((", ".join(names), advice) for advice, names in refused.items()))


def page() -> str:
    """The whole page."""
    assert frontends.__doc__ is not None  # importing the package registers every handler
    lines = [
        "# What is supported\n",
        "Formats: s1 = +1 or -1 in one bit, s8 = affine 8-bit, f32 = float.\n",
        *layers(),
        *operators(),
        *onnx_operators(),
        "# For maintainers\n",
        "Made by `python tools/support_tables.py` from the kernel table, the layer registry and the published rows; CI",
        "checks that it is fresh.\n",
        *published_rows(),
        *kernel_grid(_core.kernels()),
    ]
    return "\n".join(lines).rstrip() + "\n"


@click.command(help="Write docs/support.md from the program's own tables.")
@click.option("--check", is_flag=True, help="Only compare; exit 1 if the page is stale.")
def main(check: bool) -> None:
    text = page()
    if not check:
        PAGE.write_text(text)
        click.echo(f"{PAGE.relative_to(ROOT)}: {len(text.splitlines())} lines")
    elif not PAGE.exists() or PAGE.read_text() != text:
        raise SystemExit("docs/support.md is stale: run python tools/support_tables.py")


if __name__ == "__main__":
    main()
