"""Bar charts, memory maps and trade-offs as data, and drawn as PNG, SVG or PDF for papers, with matplotlib
(`pip install 'dqnn[plot]'`).

Colors are names: a format of numbers (s1, s8, f32), or other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import DqnnError
from ..files import write_atomically

COLORS = {"s1": "#0b7285", "s8": "#e8590c", "f32": "#5f3dc4", "other": "#868e96"}  # those of analyze/templates
PEAK, SOFT = "#e03131", "#5b6570"
SUFFIXES = (".png", ".svg", ".pdf")
IN_DIRECTORY = (".png", ".svg")
WIDTH, ROW, LANE = 6.4, 0.26, 0.42  # inches
DPI = 200
LABEL = 30  # characters of a label before it is cut
STYLE = {
    "font.size": 8, "axes.titlesize": 9, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": SOFT, "axes.linewidth": 0.6,
    "xtick.color": SOFT, "ytick.left": False, "svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "dqnn",
}  # fmt: skip


class PlotError(DqnnError):
    """Charts that cannot be drawn: matplotlib is missing, or the name says no format."""


# --- what is shown ----------------------------------------------------------------------------------------------------

Step: TypeAlias = tuple[float, int, int]  # from x on, what lies between two places along y


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    text: str
    color: str


@dataclass(frozen=True)
class BarChart:
    """Horizontal bars. `key` names the chart in file names."""

    key: str
    title: str
    bars: tuple[Bar, ...]
    least: float = 0.0  # value of a full bar at least

    def share(self, bar: Bar) -> float:
        """Length of a bar, 0 to 1."""
        return bar.value / (max(self.least, *(other.value for other in self.bars)) or 1.0)


@dataclass(frozen=True)
class Area:
    """Bytes of the arena in use from node `first` to node `last`. `steps`, where not all of them are all the time: from
    x on (in nodes) those from an address to another."""

    first: int
    last: int
    offset: int
    size: int
    color: str
    title: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class MemoryMap:
    """Tensors and scratch by node and address; `peak` is the node with the largest live set."""

    nodes: int
    arena: int
    areas: tuple[Area, ...]
    peak: int
    peak_bytes: int
    key = "memory"

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Color and meaning of the kinds there are."""
        there = {area.color for area in self.areas}
        return [(kind, "scratch" if kind == "other" else kind) for kind in COLORS if kind in there]


@dataclass(frozen=True)
class Lane:
    """The rows of a tensor: those that `steps` has are in memory from a call on."""

    label: str
    note: str
    height: int
    color: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class RowsChart:
    """Which rows of which tensors are in memory while a segment makes its calls."""

    key: str
    title: str
    calls: int
    lanes: tuple[Lane, ...]


@dataclass(frozen=True)
class Dot:
    """`on_front`: no other dot of the chart beats it; `marked`: it is told of in other charts beside this one, too."""

    x: float
    y: float
    label: str
    on_front: bool
    marked: bool


@dataclass(frozen=True)
class Scatter:
    """What is paid along x against what is got along y, with the front of the two."""

    key: str
    title: str
    x_label: str
    y_label: str
    dots: tuple[Dot, ...]


Chart: TypeAlias = BarChart | MemoryMap | RowsChart | Scatter


def color_of(kind: str) -> str:
    return kind if kind in COLORS else "other"


def outline(steps: Sequence[Step], end: float) -> list[tuple[float, float]]:
    """Corners of what steps draw up to `end`: along its upper side and back along the lower."""
    sides: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    for (x, *places), (until, *_) in pairwise([*steps, (end, 0, 0)]):
        for side, y in zip(sides, places, strict=True):
            if side and side[-1][1] == y:
                side.pop()
            else:
                side.append((x, y))
            side.append((until, y))
    return [*sides[0], *reversed(sides[1])]


# --- drawing ----------------------------------------------------------------------------------------------------------


def draw(charts: Sequence[Chart], path: Path, title: str) -> list[Path]:
    """All charts one above the other in a file, or each as PNG and SVG in a directory. Returns what was written."""
    check_place(path)
    if path.suffix and not path.is_dir():
        _draw(charts, path, title)
        return [path]
    _make(path)
    written = []
    for chart in charts:
        for suffix in IN_DIRECTORY:
            written.append(path / f"{chart.key}{suffix}")
            _draw([chart], written[-1], "")
    return written


def draw_one(chart: Chart, path: Path) -> None:
    """One chart in a file."""
    check_place(path, directories=False)
    _draw([chart], path, "")


def check_place(path: Path, *, directories: bool = True) -> None:
    """What can be known before the work: a known format, a place to write to, matplotlib."""
    directory = directories and (path.is_dir() or not path.suffix)
    if not directory and path.suffix.lower() not in SUFFIXES:
        accepted = f"{', '.join(SUFFIXES)}{', or a directory' if directories else ''}"
        raise PlotError(f"{path} does not end with a format that can be drawn; accepted: {accepted}")
    if not path.parent.is_dir():
        raise PlotError(f"{path.parent} is no directory; make it first")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise PlotError("charts need matplotlib: pip install 'dqnn[plot]'") from None


def _make(directory: Path) -> None:
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise PlotError(f"{directory}: {error.strerror}") from error


def _draw(charts: Sequence[Chart], path: Path, title: str) -> None:
    from io import BytesIO

    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawers: dict[type, Callable[..., None]] = {
        BarChart: _bars,
        MemoryMap: _memory,
        RowsChart: _rows,
        Scatter: _scatter,
    }
    heights = [_height(chart) for chart in charts]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, sum(heights) + (0.3 if title else 0)), layout="constrained")
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(title, fontsize=11, x=0.01, ha="left")
        rows = figure.subplots(len(charts), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, chart in zip(rows, charts, strict=True):
            drawers[type(chart)](axes, chart)
        figure.draw_without_rendering()
        for axes, chart in zip(rows, charts, strict=True):
            if isinstance(chart, Scatter):
                _name_dots(axes, chart)
        content = BytesIO()
        metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower(), {})
        figure.savefig(content, format=path.suffix[1:].lower(), dpi=DPI, metadata=metadata)
    write_atomically(path, content.getvalue())


def _height(chart: Chart) -> float:
    if isinstance(chart, BarChart):
        return ROW * len(chart.bars) + 0.5
    if isinstance(chart, RowsChart):
        return LANE * len(chart.lanes) + 0.6
    return 2.6


def _bars(axes: Any, chart: BarChart) -> None:
    places = range(len(chart.bars))
    shares = [chart.share(bar) for bar in chart.bars]
    axes.barh(places, shares, height=0.62, color=[COLORS[bar.color] for bar in chart.bars])
    axes.set_yticks(places, [_cut(bar.label) for bar in chart.bars])
    for place, share, bar in zip(places, shares, chart.bars, strict=True):
        axes.text(share + 0.01, place, bar.text, va="center", color=SOFT, fontsize=7)
    axes.set(xlim=(0, 1.3), ylim=(len(chart.bars) - 0.5, -0.5), title=chart.title)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _cut(text: str) -> str:
    return text if len(text) <= LABEL else text[: LABEL - 1] + "\u2026"


FAINT = 0.3  # of what is kept free, or was read for the last time


def _memory(axes: Any, chart: MemoryMap) -> None:
    from matplotlib.patches import Polygon, Rectangle

    least = chart.arena / 130  # what is smaller would not be seen
    for area in chart.areas:
        place, width = (area.first + 0.03, area.offset), area.last - area.first + 0.94
        color = COLORS[area.color]
        alpha = FAINT if area.steps else 1.0
        box = Rectangle(
            place, width, max(area.size, least), facecolor=color, edgecolor="white", linewidth=0.4, alpha=alpha
        )
        axes.add_patch(box)
        if area.steps:
            axes.add_patch(Polygon(outline(area.steps, area.last + 1), facecolor=color, linewidth=0))
    axes.add_patch(
        Rectangle((chart.peak, 0), 1, chart.arena, fill=False, edgecolor=PEAK, linestyle="--", linewidth=1.2)
    )
    every = max(1, -(-chart.nodes // 24))
    axes.set_xticks([i + 0.5 for i in range(0, chart.nodes, every)], [str(i) for i in range(0, chart.nodes, every)])
    axes.set_yticks([0, chart.arena / 2, chart.arena], [f"{int(y):,}" for y in (0, chart.arena / 2, chart.arena)])
    axes.set(xlim=(0, chart.nodes), ylim=(chart.arena, 0), xlabel="node", ylabel="address in the arena")
    axes.set_title(f"Memory over time: at most {chart.peak_bytes:,} B live, at node {chart.peak}")
    patches = [Rectangle((0, 0), 1, 1, color=COLORS[kind]) for kind, _ in chart.legend]
    names = [name for _, name in chart.legend]
    axes.legend(patches, names, loc="lower right", frameon=False, ncols=len(names), handlelength=1)


def _rows(axes: Any, chart: RowsChart) -> None:
    """Each lane is one high, with a gap of a quarter."""
    from matplotlib.patches import Polygon, Rectangle

    for place, lane in enumerate(chart.lanes):
        corners = [(x, place + 0.75 * y / lane.height) for x, y in outline(lane.steps, chart.calls)]
        axes.add_patch(
            Rectangle((0, place), chart.calls, 0.75, facecolor=COLORS["other"], alpha=FAINT / 3, linewidth=0)
        )
        axes.add_patch(Polygon(corners, facecolor=COLORS[lane.color], linewidth=0))
        axes.text(1.02 * chart.calls, place + 0.375, lane.note, va="center", color=SOFT, fontsize=7)
    axes.set_yticks([place + 0.375 for place in range(len(chart.lanes))], [_cut(lane.label) for lane in chart.lanes])
    axes.set(xlim=(0, 1.3 * chart.calls), ylim=(len(chart.lanes), 0), title=chart.title, xlabel="calls of kernels")
    axes.set_xticks([0, chart.calls])


FEW = 12  # dots that all get a name; of more, those that nothing beats
WIDE_RATIO = 8  # of the largest to the smallest x; beyond, the axis is logarithmic


def _scatter(axes: Any, chart: Scatter) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    least, most = min(dot.x for dot in chart.dots), max(dot.x for dot in chart.dots)
    if least > 0 and most / least > WIDE_RATIO:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    front = sorted((dot for dot in chart.dots if dot.on_front), key=lambda dot: dot.x)
    axes.step([dot.x for dot in front], [dot.y for dot in front], where="post", color=COLORS["s1"], linewidth=0.8)
    for kind, dots in _kinds(chart.dots):
        axes.scatter([dot.x for dot in dots], [dot.y for dot in dots], s=22, zorder=3, label=kind, **MARKS[kind])
    axes.margins(x=0.12, y=0.18)
    axes.set(xlabel=chart.x_label, ylabel=chart.y_label, title=chart.title)
    axes.legend(loc="best", frameon=False, fontsize=7)


PLACES = ((5, 3, "left"), (5, -8, "left"), (-5, 3, "right"), (-5, -8, "right"), (0, 9, "center"), (0, -14, "center"))


def _name_dots(axes: Any, chart: Scatter) -> None:
    """Names beside dots where nothing is yet; the figure's layout is known by now."""
    from matplotlib.transforms import Bbox

    few = len(chart.dots) <= FEW
    at = axes.transData.transform
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in at([(dot.x, dot.y) for dot in chart.dots])]
    front = sorted((dot for dot in chart.dots if dot.on_front), key=lambda dot: dot.x)
    for one, two in pairwise(front):  # a step of the line
        corner = (two.x, one.y)
        taken += [Bbox(at([(one.x, one.y), corner])), Bbox(at([corner, (two.x, two.y)]))]
    for dot in sorted(chart.dots, key=lambda dot: (not dot.on_front, dot.x)):
        if not (few or dot.on_front or dot.marked):
            continue
        text = axes.annotate(
            _cut(dot.label), (dot.x, dot.y), (0, 0), textcoords="offset points", fontsize=6, color=SOFT, in_layout=False
        )
        for x, y, side in PLACES:
            text.set_position((x, y))
            text.set_horizontalalignment(side)
            if not any(text.get_window_extent().overlaps(box) for box in taken):
                break
        taken.append(text.get_window_extent())


FRONT, ELSEWHERE, BEATEN = "Pareto front", "on the front of all figures", "beaten"
MARKS = {
    FRONT: {"color": COLORS["s1"]},
    ELSEWHERE: {"facecolor": "white", "edgecolor": COLORS["s1"]},
    BEATEN: {"color": COLORS["other"]},
}


def _kinds(dots: Sequence[Dot]) -> list[tuple[str, list[Dot]]]:
    """The dots of each kind that there is."""
    kinds = [FRONT if dot.on_front else ELSEWHERE if dot.marked else BEATEN for dot in dots]
    found = [(kind, [dot for dot, k in zip(dots, kinds, strict=True) if k == kind]) for kind in MARKS]
    return [(kind, some) for kind, some in found if some]
