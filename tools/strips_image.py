"""Makes docs/strips.svg anew: which rows of which tensors are in memory while a segment of three convolutions works, as
the planner plans it and the interpreter runs it.

    python tools/strips_image.py            write the picture
    python tools/strips_image.py --check    exit 1 if the picture is not what would be written"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

import click
import numpy as np

import dqnn
from dqnn.exporter.analyze.analysis import AnalysisReport
from dqnn.exporter.analyze.charts import rows_charts
from dqnn.exporter.ir import ops
from dqnn.exporter.ir.graph import Graph, Node, Port
from dqnn.exporter.ir.infer import infer_type
from dqnn.exporter.ir.types import S8, TensorType
from dqnn.exporter.show.plots import COLORS, FAINT, Lane, Step, outline

ROOT = Path(__file__).resolve().parent.parent
IMAGE = ROOT / "docs" / "strips.svg"
LEFT, WIDTH, HIGH, GAP, TOP = 168, 520, 76, 16, 18  # of labels, of the calls; of a lane, between two, above
SOFT, INK = "#5b6570", "#1b1f24"
NAMES = ("input, whole", "conv 3x3", "conv 3x3", "conv 3x3, stride 2")
NOTES = {  # lane -> text and its place in parts of the lane
    0: (("in memory", 0.03, 0.55, "#fff"), ("read for the last time", 0.62, 0.35, INK)),
    1: (("a strip of rows moves down the map", 0.36, 0.25, INK),),
    3: (("not made yet", 0.06, 0.75, INK), ("in memory", 0.80, 0.30, "#fff")),
}


def segment() -> AnalysisReport:
    rng, types = np.random.default_rng(0), {"x": TensorType((32, 32, 4), S8(1 / 16))}
    nodes: list[Node] = []

    def add(op: ops.Op) -> str:
        name, source = f"v{len(nodes)}", list(types)[-1]
        types[name] = infer_type(op, [types[source]])
        nodes.append(Node(op, (source,), name, (name,)))
        return name

    last = "x"
    for stride in (1, 1, 2):
        channels = types[last].shape[-1]
        codes = rng.integers(-128, 128, (16, 3, 3, channels)).astype(np.int8)
        weights = ops.Weights("s8", codes, np.asarray(2.0**-9))
        add(ops.Conv2D(weights, stride=(stride, stride), padding=((1, 1), (1, 1))))
        last = add(ops.Quantize(S8(1 / 16)))
    ports = {name: Port(name) for name in ("x", last)}
    graph = Graph("strips", ("x",), (last,), tuple(nodes), types, ports)
    return dqnn.analyze(dqnn.export(graph, rows="least").blob)


def lane(number: int, one: Lane, calls: int) -> str:
    """Rows in memory, what is gone or not there yet, and what is to be said of them."""
    top = TOP + number * (HIGH + GAP)
    color = COLORS["s1" if 0 < number < 3 else "s8"]

    def area(steps: tuple[Step, ...]) -> str:
        corners = (
            f"{LEFT + WIDTH * x / calls:.4g} {top + HIGH * y / one.height:.4g}" for x, y in outline(steps, calls)
        )
        return f"M{' '.join(corners)}Z"

    gone = tuple((x, 0, first) for x, first, _ in one.steps)
    texts = [text(LEFT - 12, top + HIGH / 2 - 3, NAMES[number], "end", INK)]
    texts.append(text(LEFT - 12, top + HIGH / 2 + 13, one.note, "end", SOFT))
    texts += [text(LEFT + WIDTH * x, top + HIGH * y, note, "start", ink) for note, x, y, ink in NOTES.get(number, ())]
    return "\n".join(
        (
            f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HIGH}" fill="none" stroke="#d8dee4"/>',
            f'<path d="{area(gone)}" fill="{color}" opacity="{FAINT}"/>',
            f'<path d="{area(one.steps)}" fill="{color}"/>',
            *texts,
        )
    )


def text(x: float, y: float, words: str, anchor: str, ink: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{ink}">{escape(words)}</text>'


def picture() -> str:
    (chart,) = rows_charts(segment())
    height = TOP + len(chart.lanes) * (HIGH + GAP) + 12
    size = f'width="{LEFT + WIDTH + 12}" height="{height}" viewBox="0 0 {LEFT + WIDTH + 12} {height}"'
    about = "Rows in memory over time: a whole input dies row by row, strips move down their maps, the output grows"
    lanes = [lane(number, one, chart.calls) for number, one in enumerate(chart.lanes)]
    axis = text(LEFT + WIDTH, height - 8, f"time: {chart.calls} calls of kernels", "end", SOFT)
    rows = text(LEFT, TOP - 5, "rows of each map, the first above", "start", SOFT)
    style = 'font-family="system-ui, sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {style}>\n<title>{about}</title>'
    return "\n".join((head, '<rect width="100%" height="100%" fill="#fff"/>', rows, *lanes, axis, "</svg>\n"))


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the picture is out of date.")
def main(check: bool) -> None:
    found = picture()
    if check:
        sys.exit(IMAGE.read_text() != found)
    IMAGE.write_text(found)
    click.echo(f"{IMAGE.relative_to(ROOT)}: {len(found):,} B")


if __name__ == "__main__":
    main()
