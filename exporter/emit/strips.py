"""Which nodes run for some rows at a time (SPEC.md section 5), so that the arena falls below whole maps.

A segment is a run of nodes that works in steps of some rows; what is written and read inside it alone is a strip. How
many rows a strip needs follows from a timetable: after step t, tensor x has (step * t + lag) // rate rows, where
rate is the number of rows of the segment's finest tensor for one of x, and lag is the least with which all its readers
find their windows. Strips hold what lies between the first row that a reader still wants and the last that was made.
A tensor that enters dies row by row while one that leaves grows: the latter may begin so far below the former (the
distance) that its rows never meet living ones. An input that is fed is a strip, too: of the segment that begins at node
0, which is then sure to be one.

The search: for every run of nodes and some steps, the largest live set and the cycles that the calls add; the smallest
possible peak by dynamic programming over the boundaries; then the cheapest plans for several peaks above it. Each is
played through by the rule of SPEC.md, which gives the calls and distances as they will be, and placed. What comes close
to the best is then worked at, node by node and strip by strip, and placed again. `check` is apart from all that: it
follows the rule byte by byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .memory import ALIGNMENT, MemoryPlan, MemoryPlanError, Problem, Segment, Step, align, place_segments

STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512, 1024)  # rows of the finest tensor per step
FEW = 2  # of these tell how small the arena can be, and which of the others are worth a look
MOST_NODES = 32  # of a segment: segments.h
MOST_ENTERING = 8
MOST_CANDIDATES = 24  # nodes of the segments that are looked at
MOST_ROWS = 2**16 - 1
PEAKS = (1.0, 1.05, 1.12, 1.2, 1.35, 1.5, 1.75, 2.0)  # of the smallest possible, for which plans are made
WEIGHTS = (0, 1, 10, 100)  # of a byte of distance against a cycle
MOVED = 0.7  # cycles for a byte that moves to its strip's beginning
CALL = 1900  # cycles of a call beside its kernel's: MLPerf Tiny's ResNet-8 and visual wake words, Cortex-M4
PLACED = 4  # plans that are placed with care
NEAR = 1.1  # times the arena that is looked for: plans that may be worked at until they reach it
CHEAPEST = 2  # of them that are
TRIES, CALLS = 200, 200_000  # changes of such a plan that are looked at, unless calls are so many that it takes long


QUAD = 4  # pixels that sums of products are taken of at a time


@dataclass(frozen=True)
class Walk:
    """How a node walks along axis 0; about what a pixel takes, and a call besides, in cycles. `width`: pixels of a row;
    `quads`: a call takes as long as for whole quads of them."""

    window: int
    stride: int
    pad: int
    pixel: float
    start: float
    width: int
    quads: bool = False

    def cycles(self, rows: int) -> float:
        """An estimate for a call that makes some rows."""
        pixels = rows * self.width
        return self.pixel * (pixels + (-pixels % QUAD if self.quads else 0)) + self.start


@dataclass(frozen=True)
class Rows:
    """A memory problem with what is known of its rows. Nodes are in execution order; `walks` is None for nodes that
    run once, `plain` says of each input that it is the tensor that was written, not another name of its bytes."""

    problem: Problem
    heights: tuple[int, ...]  # by buffer
    walks: tuple[Walk | None, ...]
    plain: tuple[tuple[bool, ...], ...]
    fed: int | None = None  # the input of which memory is to hold a strip

    def row_bytes(self, buffer: int) -> int:
        return self.problem.sizes[buffer] // self.heights[buffer]

    @cached_property
    def producer(self) -> dict[int, int]:
        return {step.output: node for node, step in enumerate(self.problem.steps)}

    @cached_property
    def readers(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {buffer: [] for buffer in range(len(self.problem.sizes))}
        for node, step in enumerate(self.problem.steps):
            for buffer in dict.fromkeys(step.inputs):
                found[buffer].append(node)
        return found

    @cached_property
    def lives(self) -> list[tuple[int, int]]:
        """Of each buffer, the node that writes it (-1: input) and the last that needs it (their number: output)."""
        end = len(self.problem.steps)
        last = [max(self.readers[b], default=self.producer.get(b, -1)) for b in range(len(self.problem.sizes))]
        for buffer in self.problem.outputs:
            last[buffer] = end
        return [(self.producer.get(buffer, -1), last[buffer]) for buffer in range(len(self.problem.sizes))]

    @cached_property
    def cycles(self) -> float:
        return sum(w.cycles(self.heights[s.output]) for w, s in zip(self.walks, self.problem.steps, strict=True) if w)


# --- one segment ------------------------------------------------------------------------------------------------------


class _Impossible(Exception):
    """These nodes cannot be a segment."""


@dataclass(frozen=True)
class _Edges:
    """Which output each reader of a source makes (a row of the timetable), how it walks, the source's height; where the
    readers of each source begin."""

    outputs: NDArray[np.int64]
    strides: NDArray[np.int64]
    pads: NDArray[np.int64]
    heights: NDArray[np.int64]
    begins: NDArray[np.int64]


class _Run:
    """Nodes i..j-1, whatever the step: what enters, leaves, stays inside, and the lags."""

    def __init__(self, rows: Rows, i: int, j: int) -> None:
        self.rows, self.i, self.j = rows, i, j
        steps = rows.problem.steps[i:j]
        self.outputs = [step.output for step in steps]
        made = set(self.outputs)
        self.readers: dict[int, list[int]] = {}
        for node, step in enumerate(steps, start=i):
            for buffer, plain in zip(step.inputs, rows.plain[node], strict=True):
                if buffer in made and not plain:
                    raise _Impossible
                if node not in self.readers.setdefault(buffer, []):
                    self.readers[buffer].append(node)
        self.fed = [b for b in self.readers if b == rows.fed]
        if self.fed and (i > 0 or rows.lives[self.fed[0]][1] >= j or not all(map(all, self._reading()))):
            raise _Impossible
        self.entering = [b for b in self.readers if b not in made and b not in self.fed]
        self.leaving = [b for b in self.outputs if rows.lives[b][1] >= j or b not in self.readers]
        self.inner = [b for b in self.outputs if b not in self.leaving]
        if len(self.entering) > MOST_ENTERING:
            raise _Impossible
        self.rates = self._rates()
        self.lags: dict[int, int] = {}
        for buffer in (*reversed(self.outputs), *self.entering, *self.fed):
            self.lags[buffer] = self._lag(buffer)

    def _reading(self) -> Iterator[tuple[bool, ...]]:
        """Which inputs are plain, of the nodes that read what is fed."""
        steps, plain = self.rows.problem.steps, self.rows.plain
        return (plain[node] for node in range(self.i, self.j) if self.rows.fed in steps[node].inputs)

    def walk(self, node: int) -> Walk:
        walk = self.rows.walks[node]
        assert walk is not None
        return walk

    def output(self, node: int) -> int:
        return self.rows.problem.steps[node].output

    def _rates(self) -> dict[int, int]:
        """Rows of the finest tensor for a row of each: the strides between them."""
        known = {self.rows.problem.steps[self.i].inputs[0]: 1.0}
        edges = [(b, self.output(n), self.walk(n).stride) for b, readers in self.readers.items() for n in readers]
        for _ in edges:
            before = len(known)
            for source, target, stride in edges:
                if source in known:
                    known.setdefault(target, known[source] * stride)
                elif target in known:
                    known[source] = known[target] / stride
            if len(known) == before:
                break
        if any(b not in known for b in {*self.readers, *self.outputs}):
            raise _Impossible
        finest = min(known.values())
        rates = {buffer: round(rate / finest) for buffer, rate in known.items()}
        if any(rates[target] != rates[source] * stride for source, target, stride in edges):
            raise _Impossible
        return rates

    def _lag(self, buffer: int) -> int:
        walks = ((self.lags[self.output(n)], self.walk(n)) for n in self.readers.get(buffer, ()))
        lags = [lag + self.rates[buffer] * (w.window - w.stride - w.pad) for lag, w in walks]
        return max([*lags, *([0] if buffer in self.leaving or not lags else [])])

    @cached_property
    def growing(self) -> list[int]:
        """What has more rows from step to step."""
        return [*self.outputs, *self.fed]

    @cached_property
    def sources(self) -> list[int]:
        """What is read."""
        return list(self.readers)

    def _column(self, values: Sequence[int]) -> NDArray[np.int64]:
        return np.array(values, np.int64)[:, np.newaxis]

    @cached_property
    def heights(self) -> NDArray[np.int64]:
        return self._column([self.rows.heights[b] for b in self.growing])

    @cached_property
    def rates_of(self) -> NDArray[np.int64]:
        return self._column([self.rates[b] for b in self.growing])

    @cached_property
    def lags_of(self) -> NDArray[np.int64]:
        return self._column([self.lags[b] for b in self.growing])

    @cached_property
    def edges(self) -> _Edges:
        pairs = [(buffer, node) for buffer in self.sources for node in self.readers[buffer]]
        sizes = [len(self.readers[buffer]) for buffer in self.sources]
        return _Edges(
            np.array([node - self.i for _, node in pairs]),
            self._column([self.walk(node).stride for _, node in pairs]),
            self._column([self.walk(node).pad for _, node in pairs]),
            self._column([self.rows.heights[buffer] for buffer, _ in pairs]),
            np.cumsum([0, *sizes[:-1]]),
        )

    @cached_property
    def widths(self) -> NDArray[np.int64]:
        return self._column([self.walk(node).width for node in range(self.i, self.j)])

    @cached_property
    def costs(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Cycles that a call of each node begins with, and those of a pixel that it makes for the sake of a quad; what
        all nodes together take so when each runs once."""
        walks = [self.walk(node) for node in range(self.i, self.j)]
        starts = np.array([walk.start for walk in walks])
        pixels = np.array([walk.pixel * walk.quads for walk in walks])
        rest = -(self.heights[: self.j - self.i] * self.widths) % QUAD
        return starts, pixels, float(starts.sum() + rest[:, 0] @ pixels)

    @cached_property
    def passing(self) -> int:
        """Bytes of what lives through the segment and is not read in it."""
        lives, sizes = self.rows.lives, self.rows.problem.sizes
        through = (b for b, (first, last) in enumerate(lives) if first < self.i and last >= self.j)
        return sum(align(sizes[b]) for b in through if b not in self.readers)

    @cached_property
    def scratch(self) -> int:
        return max(align(step.scratch) for step in self.rows.problem.steps[self.i : self.j])

    def bytes_of(self, buffers: Sequence[int]) -> int:
        return sum(align(self.rows.problem.sizes[b]) for b in buffers)


@dataclass
class _Candidate:
    """A segment with its step: rows of its strips, most rows of each node's calls."""

    run: _Run
    strips: dict[int, int]
    most: dict[int, int]
    pairs: dict[tuple[int, int], int]  # (entering, leaving) -> distance
    extra: float  # cycles
    peak: int = 0
    distance: int = 0  # of the pair that the peak counts on

    @property
    def i(self) -> int:
        return self.run.i

    @property
    def j(self) -> int:
        return self.run.j


def _candidate(run: _Run, step: int) -> _Candidate:
    """All tensors of the timetable at once: a row of an array each, a column for each step."""
    rows, growing, sources = run.rows, run.growing, run.sources
    ends = run.heights * run.rates_of - run.lags_of
    first_step = min(0, int((-(run.lags_of // step) - 1).min()))
    last_step = int((-(-ends // step)).max())
    times = step * np.arange(first_step, last_step + 1)
    made = np.minimum(np.maximum((times + run.lags_of) // run.rates_of, 0), run.heights)
    wanted = _wanted(run, made)
    strips = {}
    at = {buffer: row for row, buffer in enumerate(growing)}
    read = {buffer: row for row, buffer in enumerate(sources)}
    kept = [b for b in (*run.inner, *run.fed) if b in read]
    mine, theirs = [at[b] for b in kept], [read[b] for b in kept]
    needed = (made[mine, 1:] - wanted[theirs, :-1]).max(axis=1, initial=0)
    for buffer, count in zip(kept, needed.tolist(), strict=True):
        height = rows.heights[buffer]
        if count < height or buffer in run.fed:
            strips[buffer] = min(count, height)
    parts = made[: len(run.outputs), 1:] - made[: len(run.outputs), :-1]
    starts, quad_pixels, whole = run.costs
    rest = -(parts * run.widths) % QUAD
    extra = float(np.count_nonzero(parts, axis=1) @ (starts + CALL) + rest.sum(axis=1) @ quad_pixels) - whole
    moves = wanted[theirs, 1:] > wanted[theirs, :-1]
    moved = ((made[mine, 1:] - wanted[theirs, 1:]).clip(0) * moves).sum(axis=1)
    extra += MOVED * sum(n * rows.row_bytes(b) for b, n in zip(kept, moved.tolist(), strict=True) if b in strips)
    most = {run.i + k: min(MOST_ROWS, count) for k, count in enumerate(parts.max(axis=1).tolist())}
    pairs = {(x, y): _distance(run, made[at[y]], wanted[read[x]], x, y) for x, y in _pairs(run)}
    result = _Candidate(run, strips, most, pairs, extra)
    _count(result)
    return result


def _wanted(run: _Run, made: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first row of each source that is read again, after each step."""
    e = run.edges
    outputs = made[e.outputs]
    firsts = np.minimum(np.maximum(outputs * e.strides - e.pads, 0), e.heights)
    firsts = np.where(outputs == run.heights[e.outputs], e.heights, firsts)
    earliest: NDArray[np.int64] = np.minimum.reduceat(firsts, e.begins)
    return earliest


def _pairs(run: _Run) -> Iterator[tuple[int, int]]:
    """Entering tensors that die in the segment, and what leaves it."""
    for entering in run.entering:
        if run.rows.lives[entering][1] < run.j:
            yield from ((entering, leaving) for leaving in run.leaving)


def _distance(run: _Run, made: NDArray[np.int64], wanted: NDArray[np.int64], entering: int, leaving: int) -> int:
    written = made[1:] * run.rows.row_bytes(leaving)
    living = wanted[:-1] * run.rows.row_bytes(entering)
    return align(max(0, int((written - living)[made[1:] > made[:-1]].max())))


def _count(candidate: _Candidate) -> None:
    """The largest live set while the segment runs: one pair may meet."""
    run = candidate.run
    sizes = run.rows.problem.sizes
    strips = sum(align(count * run.rows.row_bytes(b)) for b, count in candidate.strips.items())
    whole = [b for b in run.inner if b not in candidate.strips]
    base = run.passing + run.scratch + strips + run.bytes_of([*whole, *run.entering, *run.leaving])
    candidate.peak = base
    for (x, y), distance in candidate.pairs.items():
        apart = align(sizes[x]) + align(sizes[y])
        peak = base - apart + max(align(sizes[y]), distance + align(sizes[x]))
        if peak < candidate.peak:
            candidate.peak, candidate.distance = peak, distance


# --- the rule of SPEC.md, in rows -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """After a call of a node: the first row of each buffer that is still read, and how many rows were made of it."""

    node: int
    wanted: Mapping[int, int]
    made: Mapping[int, int]


@dataclass
class _Played:
    """What the rule makes of a candidate."""

    calls: list[tuple[int, int]] = field(default_factory=list)  # node, rows
    moved: int = 0  # bytes
    pairs: dict[tuple[int, int], int] = field(default_factory=dict)
    aligned: bool = True
    whole: bool = True


def _play(candidate: _Candidate, moments: list[Moment] | None = None) -> _Played:
    """`moments`, if given, gets one for each call."""
    run, heights = candidate.run, candidate.run.rows.heights
    made = {b: heights[b] for b in run.entering} | dict.fromkeys((*run.outputs, *run.fed), 0)
    played = _Played(pairs=dict.fromkeys(candidate.pairs, 0))

    def wanted(buffer: int) -> int:
        firsts = [heights[buffer]]
        for node in run.readers.get(buffer, ()):
            walk, output = run.walk(node), run.output(node)
            if made[output] < heights[output]:
                firsts.append(max(0, made[output] * walk.stride - walk.pad))
        return min(firsts)

    def held(buffer: int) -> int:
        return min(wanted(buffer), made[buffer]) if buffer in candidate.strips else 0

    moved = True
    while moved:
        moved = False
        for node in range(run.i, run.j):
            walk, output = run.walk(node), run.output(node)
            start = made[output]
            end = min(heights[output], start + candidate.most[node])
            if output in candidate.strips:
                end = min(end, held(output) + candidate.strips[output])
            inputs = run.rows.problem.steps[node].inputs
            for buffer in inputs:
                if made[buffer] < heights[buffer]:
                    end = min(end, max(0, (made[buffer] + walk.pad - walk.window) // walk.stride + 1))
            if end <= start:
                continue
            moved = True
            for (x, y), distance in played.pairs.items():
                if y == output:
                    meets = end * run.rows.row_bytes(y) - wanted(x) * run.rows.row_bytes(x)
                    played.pairs[x, y] = max(distance, align(max(0, meets)))
            places = [(start - held(output)) * run.rows.row_bytes(output)]
            top = max(0, start * walk.stride - walk.pad)
            places += [(top - held(b)) * run.rows.row_bytes(b) for b in inputs]
            played.aligned &= all(place % ALIGNMENT == 0 for place in places)
            played.calls.append((node, end - start))
            before = {b: held(b) for b in {*inputs, output} & candidate.strips.keys()}
            made[output] = end
            for buffer, first in before.items():
                if held(buffer) > first:
                    played.moved += (made[buffer] - held(buffer)) * run.rows.row_bytes(buffer)
            if moments is not None:
                moments.append(Moment(node, {b: wanted(b) for b in made}, dict(made)))
        for buffer in run.fed if not moved else ():
            room = min(held(buffer) + candidate.strips[buffer], heights[buffer]) - made[buffer]
            made[buffer] += room
            moved = room > 0
    played.whole = all(made[b] == heights[b] for b in made)
    return played


def moments(rows: Rows, begin: int, most: Sequence[int], strips: Mapping[int, int]) -> list[Moment]:
    """What happens in the segment that begins at a node, whose nodes make up to `most` rows at a time: call by call.
    Nothing for what can be no segment."""
    end = begin + len(most)
    if end > len(rows.walks) or any(rows.walks[node] is None for node in range(begin, end)):
        return []
    found: list[Moment] = []
    try:
        run = _Run(rows, begin, end)
        _play(_Candidate(run, dict(strips), dict(enumerate(most, start=begin)), {}, 0.0), found)
    except _Impossible:
        return []
    return found


# --- the search -------------------------------------------------------------------------------------------------------


@dataclass
class _Whole:
    """A node that runs once."""

    i: int
    peak: int
    extra: float = 0.0
    distance: int = 0

    @property
    def j(self) -> int:
        return self.i + 1


Choice = _Whole | _Candidate


def _whole(rows: Rows, node: int) -> _Whole:
    step, sizes = rows.problem.steps[node], rows.problem.sizes
    used = dict.fromkeys((*step.inputs, step.output))
    live = [b for b, (first, last) in enumerate(rows.lives) if first < node and last > node and b not in used]
    peak = sum(align(sizes[b]) for b in (*live, *used)) + align(step.scratch)
    host = step.inputs[0] if step.inputs else -1
    dies = {b for b in step.inputs if rows.lives[b][1] == node}
    if host in dies and step.inputs.count(host) == 1 and not step.parts:
        shared = min(sizes[host], sizes[step.output])
        peak -= min(align(sizes[host]), align(sizes[step.output])) if shared <= step.overlap else 0
    if step.parts:
        peak -= sum(align(sizes[b]) for b in dies)
    return _Whole(node, peak)


class _Search:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.count = len(rows.problem.steps)
        self.whole = [_whole(rows, node) for node in range(self.count)]
        self.ending: list[list[Choice]] = [[] for _ in range(self.count + 1)]
        floor = max((w.peak for w, walk in zip(self.whole, rows.walks, strict=True) if walk is None), default=0)
        ceiling = max(w.peak for w in self.whole)
        for choice in self.whole[rows.fed is not None :]:
            self.ending[choice.j].append(choice)
        runs = [run for i in range(self.count) for run in self._from(i, floor, ceiling)]
        few = [self._steps(run, STEPS[:FEW], 2**63 if run.fed else ceiling) for run in runs]
        limit = min(2**63 if rows.fed is not None else ceiling, int(PEAKS[-1] * self.least_peak()) + 1)
        for run, found in zip(runs, few, strict=True):
            if found:
                self._steps(run, STEPS[FEW:], limit)

    def _steps(self, run: _Run, steps: Sequence[int], limit: int) -> bool:
        """The run with these steps, as long as its live sets stay below the limit; whether they all did."""
        most = max(self.rows.heights[b] * rate for b, rate in run.rates.items())
        for step in steps:
            candidate = _candidate(run, step) if step < most else None
            if candidate is None or candidate.peak >= limit:
                return False
            self.ending[run.j].append(candidate)
        return True

    def _from(self, i: int, floor: int, ceiling: int) -> Iterator[_Run]:
        """What could be a segment that begins at node i; those whose nodes all take no more than what runs whole anyway
        gain nothing."""
        worth = fed = i == 0 and self.rows.fed is not None
        for j in range(i + 1, min(self.count, i + MOST_CANDIDATES) + 1):
            if self.rows.walks[j - 1] is None:
                break
            worth |= self.whole[j - 1].peak > floor
            if not worth:
                continue
            try:
                run = _Run(self.rows, i, j)
            except _Impossible:
                continue
            if fed and not run.fed:
                continue
            if run.passing + max(run.bytes_of(run.entering), run.bytes_of(run.leaving)) >= ceiling and not fed:
                continue
            yield run

    def least_peak(self) -> int:
        least = [0] + [2**63] * self.count
        for j in range(1, self.count + 1):
            least[j] = min((max(least[choice.i], choice.peak) for choice in self.ending[j]), default=2**63)
        return least[-1]

    def cheapest(self, limit: int, weight: float) -> tuple[Choice, ...]:
        """The plan with the fewest added cycles whose live sets stay within the limit."""
        best: list[tuple[float, Choice | None]] = [(0.0, None)]
        for j in range(1, self.count + 1):
            found: tuple[float, Choice | None] = (float("inf"), None)
            for choice in self.ending[j]:
                if choice.peak <= limit:
                    cost = best[choice.i][0] + choice.extra + weight * choice.distance
                    cost += 0.001 * isinstance(choice, _Candidate)
                    if cost < found[0]:
                        found = (cost, choice)
            best.append(found)
        plan: list[Choice] = []
        j = self.count
        while j:
            last = best[j][1]
            if last is None:
                return ()
            plan.append(last)
            j = last.i
        return tuple(reversed(plan))

    def plans(self) -> list[tuple[Choice, ...]]:
        """Candidates for the arena, each once."""
        least, found = self.least_peak(), {}
        for peak in PEAKS:
            for weight in WEIGHTS:
                plan = self.cheapest(int(peak * least), weight)
                found[tuple(id(choice) for choice in plan)] = plan
        return [plan for plan in found.values() if any(isinstance(choice, _Candidate) for choice in plan)]


# --- the plan ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StripPlan:
    """A placed plan: `extra` is the estimate of what its calls add, in parts of the whole."""

    memory: MemoryPlan
    extra: float
    choices: tuple[Choice, ...] = field(default=(), repr=False, compare=False)


def plan_strips(rows: Rows, whole: MemoryPlan, *, slack: float, arena: int | None = None) -> StripPlan | None:
    """The smallest arena for at most `slack` more cycles, or, with `arena`, the fewest cycles that reach it. None if
    nodes that run once (`whole`, whose order is that of `rows`) do as well. An input that is fed costs what it costs if
    nothing stays within `slack`; None then if it cannot be."""
    return choose(rows, drafts_of(rows), whole.arena, slack=slack, arena=arena)


def drafts_of(rows: Rows) -> list[StripPlan]:
    """Plans to choose from, quickly placed."""
    return [draft for plan in _Search(rows).plans() if (draft := _draft(rows, plan)) is not None]


def choose(
    rows: Rows, found: Sequence[StripPlan], whole: int, *, slack: float, arena: int | None = None
) -> StripPlan | None:
    """The best of the drafts as `plan_strips` has it, placed with care, where nodes that run once take `whole`."""
    drafts = [draft for draft in found if draft.extra <= slack]
    if rows.fed is not None and not drafts:
        drafts = sorted(found, key=lambda draft: draft.extra)[:1]
    drafts.sort(key=lambda draft: (draft.memory.arena, draft.extra))
    placed = [_placed(rows, draft) for draft in drafts[:PLACED]]
    if placed:
        placed += _refined(rows, placed, drafts, slack, arena)
    if arena is not None:
        placed += [draft for draft in drafts if draft.memory.arena <= arena]
        placed = [draft for draft in placed if draft.memory.arena <= arena] or placed
        placed.sort(key=lambda draft: draft.extra if draft.memory.arena <= arena else draft.memory.arena)
    else:
        placed.sort(key=lambda draft: (draft.memory.arena, draft.extra))
    if not placed or (placed[0].memory.arena >= whole and rows.fed is None):
        return None
    check(rows, placed[0].memory)
    return placed[0]


def _draft(rows: Rows, plan: Sequence[Choice]) -> StripPlan | None:
    """The plan as the rule plays it, quickly placed; None if rows would lie where no call can take them."""
    segments, extra = [], 0.0
    for choice in plan:
        if isinstance(choice, _Whole):
            continue
        played = _play(choice)
        if not played.aligned or not played.whole:
            return None
        run = choice.run
        segments.append(
            Segment(
                choice.i,
                tuple(choice.most[node] for node in range(choice.i, choice.j)),
                choice.strips,
                {b: count * rows.row_bytes(b) for b, count in choice.strips.items()},
                played.pairs,
            )
        )
        extra += _added(run, played)
    order = range(len(rows.problem.steps))
    memory = place_segments(rows.problem, order, segments, careful=False)
    return StripPlan(memory, extra / max(1.0, rows.cycles), tuple(plan))


def _added(run: _Run, played: _Played) -> float:
    """Cycles that the calls add to those of nodes that run once."""
    extra = sum(run.walk(node).cycles(count) for node, count in played.calls)
    extra -= sum(run.walk(node).cycles(run.rows.heights[run.output(node)]) for node in range(run.i, run.j))
    return extra + CALL * len(played.calls) + MOVED * played.moved


def _placed(rows: Rows, draft: StripPlan) -> StripPlan:
    order, segments = draft.memory.order, draft.memory.segments
    careful = place_segments(rows.problem, order, segments, careful=True)
    return replace(draft, memory=careful) if careful.arena < draft.memory.arena else draft


# --- plans that are worked at -----------------------------------------------------------------------------------------


def _refined(
    rows: Rows, placed: Sequence[StripPlan], drafts: Sequence[StripPlan], slack: float, arena: int | None
) -> list[StripPlan]:
    """From the best plan, and from the cheapest that come close: what becomes of them when nodes and strips get other
    rows, one at a time."""
    best = min(placed, key=lambda draft: (draft.memory.arena, draft.extra))
    target = best.memory.arena if arena is None else arena
    close = sorted((d for d in drafts if d.memory.arena <= NEAR * NEAR * target), key=lambda draft: draft.extra)
    near = (draft for draft in (_placed(rows, draft) for draft in close) if draft.memory.arena <= NEAR * target)
    found = []
    for start in (best, *islice(near, CHEAPEST)):
        if start is best or start.choices != best.choices:
            draft = _draft(rows, _Work(rows, slack, arena).better(start.choices))
            if draft is not None and draft.extra <= max(slack, start.extra):
                found.append(_placed(rows, draft))
    return found


class _Work:
    """Changes of a plan, valued by its largest live set and by its cycles: first what the arena may take if that is
    given, or else the smallest; then the fewest cycles."""

    def __init__(self, rows: Rows, slack: float, arena: int | None) -> None:
        self.rows, self.slack, self.arena = rows, slack, arena
        self.known: dict[tuple[object, ...], tuple[int, float] | None] = {}
        self.calls = 0  # that were played

    def better(self, plan: Sequence[Choice]) -> list[Choice]:
        best, value = list(plan), self._value(plan)
        while value is not None and len(self.known) < TRIES:
            trials = [(self._value(trial), trial) for trial in self._changed(best)]
            valued = [(found, trial) for found, trial in trials if found is not None and found < value]
            if not valued:
                break
            value, best = min(valued, key=lambda pair: pair[0])
        return best

    def _value(self, plan: Sequence[Choice]) -> tuple[int, float] | None:
        peak, extra = 0, 0.0
        for choice in plan:
            found = (choice.peak, 0.0) if isinstance(choice, _Whole) else self._of(choice)
            if found is None:
                return None
            peak, extra = max(peak, found[0]), extra + found[1]
        share = extra / max(1.0, self.rows.cycles)
        if self.arena is not None:
            return max(0, peak - self.arena), share
        return (peak, share) if share <= self.slack or self.rows.fed is not None else None

    def _of(self, choice: _Candidate) -> tuple[int, float] | None:
        """Largest live set and added cycles of a segment; None if it cannot be."""
        key = (choice.i, choice.j, *choice.most.values(), *choice.strips.items())
        if key not in self.known:
            played = _play(choice)
            self.calls += len(played.calls)
            self.known[key] = None
            if played.aligned and played.whole:
                actual = replace(choice, pairs=played.pairs, distance=0)
                _count(actual)
                self.known[key] = (actual.peak, _added(choice.run, played))
        return self.known[key]

    def _changed(self, plan: Sequence[Choice]) -> Iterator[list[Choice]]:
        for at, choice in enumerate(plan):
            for other in self._others(choice) if isinstance(choice, _Candidate) else ():
                if self.calls > CALLS:
                    return
                yield [*plan[:at], other, *plan[at + 1 :]]

    def _others(self, choice: _Candidate) -> Iterator[_Candidate]:
        """One node makes more or fewer rows at a time, with room for more; or a strip is one row longer or shorter."""
        run = choice.run
        for node, most in choice.most.items():
            output = run.output(node)
            height, strip = self.rows.heights[output], choice.strips.get(output, 0)
            for rows in {most - 1, most + 1, 2 * most} - {0, most}:
                if rows > height:
                    continue
                other = replace(choice, most={**choice.most, node: rows})
                yield other
                if strip and rows > most:
                    yield replace(other, strips={**choice.strips, output: min(height, strip + rows - most)})
        for buffer, strip in choice.strips.items():
            for rows in {strip - 1, min(strip + 1, self.rows.heights[buffer])} - {0, strip}:
                yield replace(choice, strips={**choice.strips, buffer: rows})


# --- the checker ------------------------------------------------------------------------------------------------------


def check(rows: Rows, plan: MemoryPlan) -> None:
    """Follows the rule of SPEC.md section 5 on bytes that remember which row of which buffer they hold: raises
    MemoryPlanError unless every call finds the rows of its windows where it looks for them, and nothing outside the
    arena is touched."""
    _Checker(rows, plan).run()


class _Checker:
    def __init__(self, rows: Rows, plan: MemoryPlan) -> None:
        self.rows, self.plan, self.problem = rows, plan, rows.problem
        self.memory = np.full(plan.arena, -1, np.int64)
        self.bases = np.cumsum([0, *rows.heights])  # row y of buffer b is number bases[b] + y
        self.strips = {b: count for s in plan.segments for b, count in s.strips.items()}

    def _place(self, buffer: int, first: int, count: int, held: int = 0, alignment: int = ALIGNMENT) -> slice:
        width = self.rows.row_bytes(buffer)
        start = self.plan.offsets[buffer] + (first - held) * width
        end = start + count * width
        room = self.strips.get(buffer, self.rows.heights[buffer]) * width
        if start % alignment or first < held or end > min(self.plan.offsets[buffer] + room, self.plan.arena):
            raise MemoryPlanError(f"rows {first} to {first + count} of buffer {buffer} lie outside of its place")
        return slice(start, end)

    def _numbers(self, buffer: int, first: int, count: int) -> NDArray[np.int64]:
        return np.repeat(self.bases[buffer] + np.arange(first, first + count), self.rows.row_bytes(buffer))

    def write(self, buffer: int, first: int, count: int, held: int = 0) -> None:
        self.memory[self._place(buffer, first, count, held)] = self._numbers(buffer, first, count)

    def feed(self, buffer: int, first: int, count: int, held: int) -> None:
        """Of rows that no kernel writes, only the first of a window lies at a multiple of 16."""
        self.memory[self._place(buffer, first, count, held, 1)] = self._numbers(buffer, first, count)

    def read(self, buffer: int, first: int, count: int, what: str, held: int = 0) -> None:
        found = self.memory[self._place(buffer, first, count, held)]
        if not np.array_equal(found, self._numbers(buffer, first, count)):
            raise MemoryPlanError(f"{what} does not find rows {first} to {first + count} of buffer {buffer}")

    def scratch(self, node: int) -> None:
        start, size = self.plan.scratch[node], self.problem.steps[node].scratch
        if start % ALIGNMENT or start + size > self.plan.arena:
            raise MemoryPlanError(f"scratch of node {node} is not aligned inside the arena")
        self.memory[start : start + size] = -1

    def run(self) -> None:
        for buffer in self.problem.inputs:
            if buffer not in self.strips:
                self.write(buffer, 0, self.rows.heights[buffer])
        begins = {segment.begin: segment for segment in self.plan.segments}
        position = 0
        while position < len(self.plan.order):
            segment = begins.get(position)
            if segment is None:
                self._once(self.plan.order[position])
                position += 1
            else:
                self._segment(self.plan.order[position : position + len(segment.rows)], segment)
                position += len(segment.rows)
        for buffer in self.problem.outputs:
            self.read(buffer, 0, self.rows.heights[buffer], "the model's output")

    def _once(self, node: int) -> None:
        """What kernels allow of overlaps, memory.check() holds them to."""
        step = self.problem.steps[node]
        if any(b in self.strips for b in (*step.inputs, step.output)):
            raise MemoryPlanError(f"node {node} runs once and has strips")
        for buffer in step.inputs:
            self.read(buffer, 0, self.rows.heights[buffer], f"node {node}")
        self.scratch(node)
        for position, buffer in enumerate(step.inputs):
            place, output = self.plan.offsets[buffer], self.plan.offsets[step.output]
            part = position < len(step.parts) and place - output == step.parts[position]
            host = position == 0 and place == output
            host &= min(self.problem.sizes[buffer], self.problem.sizes[step.output]) <= step.overlap
            apart = place + self.problem.sizes[buffer] <= output or output + self.problem.sizes[step.output] <= place
            if not part and not host and not apart:
                raise MemoryPlanError(f"output of node {node} overlaps its input {buffer}")
            self.read(buffer, 0, self.rows.heights[buffer], f"node {node}")
        self.write(step.output, 0, self.rows.heights[step.output])

    def _segment(self, nodes: Sequence[int], segment: Segment) -> None:
        fed = [buffer for buffer in self.problem.inputs if buffer in segment.strips]
        made = {self.problem.steps[node].output: 0 for node in nodes} | dict.fromkeys(fed, 0)
        held = dict.fromkeys(segment.strips, 0)
        heights, moved = self.rows.heights, True

        def rows_there(buffer: int) -> int:
            return made.get(buffer, heights[buffer])

        while moved:
            moved = False
            for node, most in zip(nodes, segment.rows, strict=True):
                step, walk = self.problem.steps[node], self.rows.walks[node]
                if walk is None:
                    raise MemoryPlanError(f"node {node} cannot run by rows")
                start, count = made[step.output], 0
                while start + count < heights[step.output] and count < most:
                    row = start + count
                    bottom = min(row * walk.stride - walk.pad + walk.window, *(heights[b] for b in step.inputs))
                    room = segment.strips.get(step.output, heights[step.output]) + held.get(step.output, 0)
                    if row >= room or any(rows_there(b) < bottom for b in step.inputs):
                        break
                    count += 1
                if count == 0:
                    continue
                moved = True
                self._read_windows(step, walk, start, count, held, f"node {node}")
                self.scratch(node)
                self._read_windows(step, walk, start, count, held, f"node {node} with its scratch")
                self.write(step.output, start, count, held.get(step.output, 0))
                self._read_windows(step, walk, start, count, held, f"node {node} with its output")
                made[step.output] = start + count
                for buffer in (*step.inputs, step.output):
                    self._drop(buffer, nodes, made, held)
            for buffer in fed if not moved else ():
                self._drop(buffer, nodes, made, held)
                room = min(held[buffer] + segment.strips[buffer], heights[buffer]) - made[buffer]
                self.feed(buffer, made[buffer], room, held[buffer])
                made[buffer] += room
                moved = room > 0
        if any(made[b] < heights[b] for b in made):
            raise MemoryPlanError(f"the segment at node {nodes[0]} stops before all rows are made")

    def _read_windows(self, step: Step, walk: Walk, start: int, count: int, held: dict[int, int], what: str) -> None:
        """What a call that makes rows start .. start + count - 1 reads."""
        top, last = max(0, start * walk.stride - walk.pad), (start + count - 1) * walk.stride - walk.pad
        for buffer in step.inputs:
            end = min(last + walk.window, self.rows.heights[buffer])
            self.read(buffer, top, end - top, what, held.get(buffer, 0))

    def _drop(self, buffer: int, nodes: Sequence[int], made: dict[int, int], held: dict[int, int]) -> None:
        if buffer not in held:
            return
        first = made[buffer]
        for node in nodes:
            step, walk = self.problem.steps[node], self.rows.walks[node]
            assert walk is not None
            if buffer in step.inputs and made[step.output] < self.rows.heights[step.output]:
                first = min(first, max(0, made[step.output] * walk.stride - walk.pad))
        if first > held[buffer]:
            width = self.rows.row_bytes(buffer)
            strip, count = self.plan.offsets[buffer], (made[buffer] - first) * width
            source = strip + (first - held[buffer]) * width
            self.memory[strip : strip + count] = self.memory[source : source + count].copy()
            held[buffer] = first
