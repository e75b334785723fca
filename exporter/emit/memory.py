"""Places activations and scratch in the arena.

A buffer is live from the step that writes it to the last step that reads it; step 0 loads the model inputs, step i+1
runs node i, the last step reads the model outputs. Scratch lives for its node alone. Two buffers that are live at the
same step must not share memory, with two exceptions, both for inputs that die at the node and kernels whose plan allows
it: a node's output may start where its first input starts; and the inputs of a concat may lie where its output holds
them, so that nothing is copied. The latter are placed with the output, as one rigid group, if that does not make the
arena larger.

`plan_memory` tries several execution orders (greedy, beam search) and, for each, several placements: buffers in some
priority are put at the lowest offset that fits. Greedy by size is always among them, so the result is never worse.
While the lower bound is not met, all priorities are tried if there are few, else a seeded local search swaps some until
its budget is spent: same input, same plan. `check` is written apart from the planner and knows nothing of how the plan
came about."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

ALIGNMENT = 16
BEAM = 12
SEARCH_WORK = 8_000_000  # local search budget: placements * buffers^2
SEARCH_ROUNDS = 1200
SEARCH_RESTART = 200  # rounds between two starts
SEARCH_ALL = 6  # up to so many items every priority is tried


@dataclass(frozen=True)
class Step:
    """One node: buffers by index. `overlap` is the number of bytes of the first input that the output may share;
    `parts` are the places of the inputs in the output where they may lie in it, else empty."""

    inputs: tuple[int, ...]
    output: int
    scratch: int = 0
    overlap: int = 0
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Problem:
    """`sizes` in bytes by buffer. Every buffer but `inputs` is written by exactly one step."""

    sizes: tuple[int, ...]
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Segment:
    """Nodes from position `begin` of the order on that make some rows at a time (strips.py): `rows` of each at most.
    `strips` are the buffers of which only so many rows exist. `pairs`: a leaving buffer may lie on an entering one if
    it begins at least so many bytes below."""

    begin: int
    rows: tuple[int, ...]
    strips: Mapping[int, int]
    strip_bytes: Mapping[int, int]
    pairs: Mapping[tuple[int, int], int]  # (entering, leaving)


@dataclass(frozen=True)
class MemoryPlan:
    """`order` lists node indices; offsets are by buffer and by node (scratch; 0 if it has none)."""

    order: tuple[int, ...]
    offsets: tuple[int, ...]
    scratch: tuple[int, ...]
    arena: int
    lower_bound: int  # largest live set of this order
    greedy_by_size: int  # what greedy by size in the model's own order needs
    strategy: str
    reason: str  # why the arena is larger than its bound, empty if it is not
    segments: tuple[Segment, ...] = ()


class MemoryPlanError(Exception):
    """A plan that would corrupt memory."""


def align(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


# --- lifetimes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Item:
    """Something to place: a buffer, or the scratch of a node. `host` may be overlaid (same start) by this item; in
    `whole` it may lie, `place` bytes from the start."""

    size: int
    first: int
    last: int
    host: int = -1
    whole: int = -1
    place: int = 0


def _times(order: Sequence[int], segments: Sequence[Segment]) -> list[int]:
    """The step at which each node runs: those of a segment share one."""
    follows = {s.begin + k for s in segments for k in range(1, len(s.rows))}
    return list(itertools.accumulate(int(position not in follows) for position in range(len(order))))


def _lifetimes(problem: Problem, order: Sequence[int], segments: Sequence[Segment] = ()) -> list[tuple[int, int]]:
    """(first, last) step of each buffer."""
    end = len(order) + 1
    first = [0] * len(problem.sizes)
    last = [0] * len(problem.sizes)
    for time, node in zip(_times(order, segments), order, strict=True):
        step = problem.steps[node]
        first[step.output] = last[step.output] = time
        for buffer in step.inputs:
            last[buffer] = time
    for buffer in problem.outputs:
        last[buffer] = end
    return list(zip(first, last, strict=True))


def _items(problem: Problem, order: Sequence[int], segments: Sequence[Segment] = ()) -> list[_Item]:
    """Buffers, then the scratch of each node in execution order; that of a segment is its first node's."""
    lives = _lifetimes(problem, order, segments)
    sizes = list(problem.sizes)
    shared: dict[int, int] = {}  # position in the order -> scratch there
    for segment in segments:
        for buffer, size in segment.strip_bytes.items():
            sizes[buffer] = size
        positions = range(segment.begin, segment.begin + len(segment.rows))
        shared |= dict.fromkeys(positions, 0)
        shared[segment.begin] = max(problem.steps[order[position]].scratch for position in positions)
    items = [_Item(align(size), *life) for size, life in zip(sizes, lives, strict=True)]
    times = _times(order, segments)
    for position, (time, node) in enumerate(zip(times, order, strict=True)):
        step = problem.steps[node]
        if position in shared:
            continue
        dying = {buffer for buffer in step.inputs if lives[buffer][1] == time}
        if _may_overlay(problem, step, dying):
            items[step.output] = replace(items[step.output], host=step.inputs[0])
        for buffer, place in _parts(step, dying):
            items[buffer] = replace(items[buffer], whole=step.output, place=place)
    for position, (time, node) in enumerate(zip(times, order, strict=True)):
        items.append(_Item(align(shared.get(position, problem.steps[node].scratch)), time, time))
    return items


def _may_overlay(problem: Problem, step: Step, dying: set[int]) -> bool:
    if not step.inputs or step.inputs.count(step.inputs[0]) > 1 or step.parts:
        return False
    host = step.inputs[0]
    shared = min(problem.sizes[host], problem.sizes[step.output])
    return host in dying and shared <= step.overlap


def _parts(step: Step, dying: set[int]) -> list[tuple[int, int]]:
    """Inputs that may lie in the output, with their places there."""
    return [
        (buffer, place)
        for buffer, place in zip(step.inputs, step.parts, strict=False)
        if place % ALIGNMENT == 0 and step.inputs.count(buffer) == 1 and buffer in dying
    ]


def lower_bound(problem: Problem, order: Sequence[int], segments: Sequence[Segment] = ()) -> int:
    """Largest sum of what is live at one step, an overlaid pair and the parts of an output counted once: no placement
    of this order can need less. What pairs of a segment can share counts once."""
    items = _items(problem, order, segments)
    live = [0] * (len(order) + 2)
    for item in items:
        for time in range(item.first, item.last + 1):
            live[time] += item.size
        if item.host >= 0:
            live[item.first] -= min(item.size, items[item.host].size)
        if item.whole >= 0:
            live[item.last] -= item.size
    for segment in segments:
        time = _times(order, segments)[segment.begin]
        for (x, y), distance in segment.pairs.items():
            live[time] -= max(0, min(items[x].size, items[y].size - distance))
    return max(live)


# --- placement --------------------------------------------------------------------------------------------------------


class _Placer:
    """Greedy placement of the items of one order, for many priorities. `join`: parts lie in their outputs."""

    def __init__(self, problem: Problem, order: Sequence[int], join: bool, segments: Sequence[Segment] = ()) -> None:
        self.items = _items(problem, order, segments)
        self.bound = lower_bound(problem, order, segments)
        self.below = {pair: distance for s in segments for pair, distance in s.pairs.items()}
        self.tried = 0  # placements
        self.groups = self._grouped(join)  # root -> its items with their distance from the root's start
        self.movable = list(self.groups)
        placed = [(root, i, self.items[i]) for root, group in self.groups.items() for i, _ in group]
        self.conflicts: list[list[int]] = [[] for _ in self.items]
        for number, (root, i, a) in enumerate(placed):
            for other, j, b in placed[:number]:
                if a.first <= b.last and b.first <= a.last and root != other:
                    self.conflicts[i].append(j)
                    self.conflicts[j].append(i)

    def _grouped(self, join: bool) -> dict[int, list[tuple[int, int]]]:
        groups: dict[int, list[tuple[int, int]]] = {}
        for i, item in enumerate(self.items):
            root, distance = i, 0
            while join and self.items[root].whole >= 0:
                distance += self.items[root].place
                root = self.items[root].whole
            if item.size:
                groups.setdefault(root, []).append((i, distance))
        return groups

    def joined(self) -> bool:
        """Whether any part lies in an output."""
        return any(len(group) > 1 for group in self.groups.values())

    def overlaid(self, i: int, j: int) -> bool:
        return self.items[i].host == j or self.items[j].host == i

    def place(self, priority: Sequence[int]) -> tuple[list[int], int]:
        """Offsets by item and the arena they need, groups placed in this order at the lowest offset that fits."""
        offsets = [-1] * len(self.items)
        arena = 0
        self.tried += 1
        for root in priority:
            at = self._lowest(root, offsets)
            for i, distance in self.groups[root]:
                offsets[i] = at + distance
            arena = max(arena, at + self.items[root].size)
        return offsets, arena

    def _lowest(self, root: int, offsets: Sequence[int]) -> int:
        """The lowest start between what is placed, or one that overlays an item if that is lower."""
        taken = []  # starts strictly between the first two collide, but the third is one that overlays
        for i, distance in self.groups[root]:
            size = self.items[i].size
            for j in self.conflicts[i]:
                start = offsets[j] - distance
                if offsets[j] < 0:
                    continue
                low, high = start - size, start + self.items[j].size
                if (j, i) in self.below:  # i leaves a segment that j enters: it may begin so far below
                    low = max(low, start - self.below[j, i])
                elif (i, j) in self.below:
                    high = min(high, start + self.below[i, j])
                if low < high:
                    taken.append((low, high, start if self.overlaid(i, j) else -1))
        taken.sort()
        at = 0
        for low, high, _ in taken:
            if at <= low:
                break
            at = max(at, high)
        for start in sorted(same for _, _, same in taken if 0 <= same < at):
            if all(start <= low or start >= high or start == same for low, high, same in taken):
                return start
        return at

    def priorities(self) -> dict[str, list[int]]:
        """Named priorities; ties go to the earlier item."""
        items = self.items
        first = {root: min(items[i].first for i, _ in group) for root, group in self.groups.items()}
        last = {root: max(items[i].last for i, _ in group) for root, group in self.groups.items()}
        crowd = {
            root: sum(items[j].size for j in {j for i, _ in group for j in self.conflicts[i]})
            for root, group in self.groups.items()
        }

        def ranked(key: Callable[[int], tuple[int, ...]]) -> list[int]:
            return sorted(self.movable, key=lambda i: (*key(i), i))

        return {
            "size": ranked(lambda i: (-items[i].size,)),
            "lifetime": ranked(lambda i: (first[i] - last[i], -items[i].size)),
            "area": ranked(lambda i: (items[i].size * (first[i] - last[i] - 1),)),
            "conflict": ranked(lambda i: (-crowd[i],)),
            "execution": ranked(lambda i: (first[i], -items[i].size)),
            "reverse": ranked(lambda i: (-last[i], -items[i].size)),
        }


@dataclass
class _Best:
    arena: int
    offsets: list[int]
    priority: list[int]
    name: str


def _best_placement(placer: _Placer) -> _Best:
    starts = []
    for name, priority in placer.priorities().items():
        offsets, arena = placer.place(priority)
        starts.append(_Best(arena, offsets, priority, name))
    starts.sort(key=lambda start: start.arena)
    if starts[0].arena == placer.bound:
        return starts[0]
    return _every(placer, starts[0]) if len(placer.movable) <= SEARCH_ALL else _search(placer, starts)


def _every(placer: _Placer, best: _Best) -> _Best:
    """All priorities, of few items: some priority gives the smallest arena that there is."""
    for priority in itertools.permutations(placer.movable):
        if best.arena == placer.bound:
            break
        offsets, arena = placer.place(priority)
        if arena < best.arena:
            best = _Best(arena, offsets, list(priority), "search of all")
    return best


def _search(placer: _Placer, starts: Sequence[_Best]) -> _Best:
    """From each start in turn, the best first: moves single items in the priority while that does not make the arena
    larger."""
    count = len(placer.movable)
    rounds = min(SEARCH_ROUNDS, SEARCH_WORK // (count * count))
    generator = random.Random(1)
    best = current = starts[0]
    for number in range(rounds):
        if best.arena == placer.bound:
            break
        if number % SEARCH_RESTART == 0:
            current = starts[number // SEARCH_RESTART % len(starts)]
        priority = list(current.priority)
        source, target = generator.randrange(count), generator.randrange(count)
        priority.insert(target, priority.pop(source))
        offsets, arena = placer.place(priority)
        if arena <= current.arena:
            current = _Best(arena, offsets, priority, f"{current.name.removesuffix('+search')}+search")
        if current.arena < best.arena:
            best = current
    return best


# --- orders -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Partial:
    """A prefix of an execution order in the beam search; `done` has bit n set when node n was executed."""

    order: tuple[int, ...]
    done: int
    ready: tuple[int, ...]
    peak: int
    live_bytes: int


class _Beam:
    """Searches topological orders with small live sets, keeping the best few prefixes of each length."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.sizes = [align(size) for size in problem.sizes]
        producer = {step.output: node for node, step in enumerate(problem.steps)}
        self.needs = [_bits(producer[b] for b in step.inputs if b in producer) for step in problem.steps]
        self.readers = [0] * len(problem.sizes)
        for node, step in enumerate(problem.steps):
            for buffer in step.inputs:
                self.readers[buffer] |= 1 << node
        for buffer in problem.outputs:
            self.readers[buffer] |= 1 << len(problem.steps)  # a reader that never runs: outputs stay
        self.followers = [
            [after for after, needed in enumerate(self.needs) if needed >> node & 1] for node in range(len(self.needs))
        ]

    def orders(self, width: int) -> list[tuple[int, ...]]:
        """Complete orders, best first."""
        loaded = sum(self.sizes[b] for b in self.problem.inputs)
        ready = tuple(node for node, needed in enumerate(self.needs) if not needed)
        beam = [_Partial((), 0, ready, loaded, loaded)]
        for _ in self.problem.steps:
            grown: dict[int, tuple[int, int, int, int]] = {}  # done -> peak, live bytes, number in the beam, node
            for number, partial in enumerate(beam):
                for node in partial.ready:
                    candidate = (*self._costs(partial, node), number, node)
                    done = partial.done | 1 << node
                    if done not in grown or candidate < grown[done]:
                        grown[done] = candidate
            best = sorted(grown.values())[:width]
            beam = [self._extended(beam[number], node, peak, live) for peak, live, number, node in best]
        return [partial.order for partial in beam]

    def _costs(self, partial: _Partial, node: int) -> tuple[int, int]:
        """Peak up to and including the node, and bytes live behind it."""
        step, sizes = self.problem.steps[node], self.sizes
        done = partial.done | 1 << node
        dead = {b for b in (*step.inputs, step.output) if not self.readers[b] & ~done}
        during = partial.live_bytes + sizes[step.output] + align(step.scratch)
        if _may_overlay(self.problem, step, dead):
            during -= min(sizes[step.inputs[0]], sizes[step.output])
        during -= sum(sizes[buffer] for buffer, _ in _parts(step, dead))
        after = partial.live_bytes + sizes[step.output] - sum(sizes[b] for b in dead)
        return max(partial.peak, during), after

    def _extended(self, partial: _Partial, node: int, peak: int, live_bytes: int) -> _Partial:
        done = partial.done | 1 << node
        freed = [n for n in self.followers[node] if not self.needs[n] & ~done]
        ready = (*(n for n in partial.ready if n != node), *freed)
        return _Partial((*partial.order, node), done, ready, peak, live_bytes)


def _bits(numbers: Iterable[int]) -> int:
    """A set of small numbers as an integer."""
    result = 0
    for number in numbers:
        result |= 1 << number
    return result


def _is_chain(problem: Problem) -> bool:
    """Each node needs the previous one: there is one order only."""
    return all(before.output in after.inputs for before, after in zip(problem.steps, problem.steps[1:], strict=False))


def _orders(problem: Problem) -> dict[str, tuple[int, ...]]:
    given = tuple(range(len(problem.steps)))
    if _is_chain(problem):
        return {"given": given}
    beam = _Beam(problem)
    found = {"given": given, "greedy": beam.orders(1)[0]}
    for number, order in enumerate(beam.orders(BEAM)[:2]):
        found[f"beam{number}"] = order
    unique: dict[tuple[int, ...], str] = {}
    for name, order in found.items():
        unique.setdefault(order, name)
    return {name: order for order, name in unique.items()}


# --- the plan ---------------------------------------------------------------------------------------------------------


def plan_memory(problem: Problem) -> MemoryPlan:
    """The smallest plan found; checked before it is returned."""
    best: MemoryPlan | None = None
    greedy_by_size = tried = 0
    orders = _orders(problem)
    for order_name, order in orders.items():
        apart, joined = _Placer(problem, order, join=False), _Placer(problem, order, join=True)
        if order_name == "given":
            greedy_by_size = apart.place(apart.priorities()["size"])[1]
        for placer in (joined, apart) if joined.joined() else (apart,):
            placed = _best_placement(placer)
            if best is None or placed.arena < best.arena:
                best = _to_plan(problem, order, placer, placed, f"{order_name} order, by {placed.name}")
        tried += apart.tried + joined.tried
        assert best is not None
        if best.arena == apart.bound and order_name != "given":
            break
    assert best is not None
    missed = f"none of {tried} placements in {len(orders)} execution order{'s' * (len(orders) > 1)} reaches it"
    reason = missed if best.arena > best.lower_bound else ""
    best = replace(best, greedy_by_size=greedy_by_size, reason=reason)
    check(problem, best)
    return best


def _to_plan(
    problem: Problem,
    order: Sequence[int],
    placer: _Placer,
    placed: _Best,
    name: str,
    segments: Sequence[Segment] = (),
) -> MemoryPlan:
    offsets = [max(0, at) for at in placed.offsets]
    buffers = len(problem.sizes)
    scratch = [0] * len(problem.steps)
    begins = {s.begin + k: s.begin for s in segments for k in range(len(s.rows))}
    for position, node in enumerate(order):
        scratch[node] = offsets[buffers + begins.get(position, position)]
    return MemoryPlan(
        tuple(order), tuple(offsets[:buffers]), tuple(scratch), placed.arena, placer.bound, 0, name, "",
        tuple(segments),
    )  # fmt: skip


def place_segments(problem: Problem, order: Sequence[int], segments: Sequence[Segment], careful: bool) -> MemoryPlan:
    """The smallest placement found of an order with segments, by a search only if `careful`. Whoever made the segments
    checks the plan (strips.py)."""
    best: MemoryPlan | None = None
    apart, joined = (_Placer(problem, order, join, segments) for join in (False, True))
    for placer in (joined, apart) if joined.joined() else (apart,):
        if careful:
            placed = _best_placement(placer)
        else:
            starts = [(*placer.place(priority), priority, name) for name, priority in placer.priorities().items()]
            offsets, arena, priority, name = min(starts, key=lambda start: start[1])
            placed = _Best(arena, offsets, priority, name)
        if best is None or placed.arena < best.arena:
            best = _to_plan(problem, order, placer, placed, f"strips of rows, by {placed.name}", segments)
    assert best is not None
    return best


# --- more scratch than was planned ------------------------------------------------------------------------------------


def _taken(problem: Problem, plan: MemoryPlan, node: int) -> list[tuple[int, int]]:
    """Where the tensors lie that are live while a node, or its segment, runs, its scratch left out, from the lowest
    address on."""
    time = _times(plan.order, plan.segments)[plan.order.index(node)]
    lives = _lifetimes(problem, plan.order, plan.segments)
    sizes = list(problem.sizes)
    for segment in plan.segments:
        for buffer, size in segment.strip_bytes.items():
            sizes[buffer] = size
    return sorted(
        (plan.offsets[i], plan.offsets[i] + align(size))
        for i, (size, (first, last)) in enumerate(zip(sizes, lives, strict=True))
        if first <= time <= last
    )


def live_bytes(problem: Problem, plan: MemoryPlan, node: int) -> int:
    """Bytes of the tensors that are live while a node runs; those that two share count once."""
    total = end = 0
    for start, stop in _taken(problem, plan, node):
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total


def largest_gap(problem: Problem, plan: MemoryPlan, node: int, limit: int) -> tuple[int, int]:
    """(offset, bytes) of the largest part of [0, limit) that nothing else uses while a node runs."""
    best, end = (0, 0), 0
    for start, stop in [*_taken(problem, plan, node), (limit, limit)]:
        if min(start, limit) - end > best[1]:
            best = (end, min(start, limit) - end)
        end = max(end, stop)
    return best


def with_scratch(
    problem: Problem, plan: MemoryPlan, wanted: Mapping[int, int], limit: int
) -> tuple[Problem, MemoryPlan]:
    """The plan with so many bytes of scratch for some nodes, each in its largest gap below `limit`, everything else
    where it is. One with segments is to be checked by strips.py."""
    steps, scratch, arena = list(problem.steps), list(plan.scratch), plan.arena
    for node, size in wanted.items():
        scratch[node] = largest_gap(problem, plan, node, limit)[0]
        steps[node] = replace(steps[node], scratch=size)
        arena = max(arena, scratch[node] + align(size))
    widened = replace(problem, steps=tuple(steps))
    bound = max(plan.lower_bound, lower_bound(widened, plan.order, plan.segments))
    result = replace(plan, scratch=tuple(scratch), arena=arena, lower_bound=bound)
    if not plan.segments:
        check(widened, result)
    return widened, result


# --- the checker ------------------------------------------------------------------------------------------------------


def check(problem: Problem, plan: MemoryPlan) -> None:
    """Runs the plan on bytes that remember who wrote them: raises MemoryPlanError unless every read finds what was
    written.

    Independent of lifetimes: it follows the nodes one by one. An output may replace bytes of its first input only where
    the step's `overlap` allows it and both start at the same place; an input may lie in the output only at its place
    there."""
    if sorted(plan.order) != list(range(len(problem.steps))):
        raise MemoryPlanError("the order is not a permutation of the nodes")
    memory = _Memory(problem, plan)
    for buffer in problem.inputs:
        memory.write(buffer)
    for node in plan.order:
        step = problem.steps[node]
        for buffer in step.inputs:
            memory.read(buffer, f"node {node}")
        memory.occupy(plan.scratch[node], step.scratch, f"scratch of node {node}", step.inputs)
        memory.check_overlay(node, step)
        memory.write(step.output)
    for buffer in problem.outputs:
        memory.read(buffer, "the model's outputs")


class _Memory:
    """The arena as a list of owners, one per 16-byte block."""

    def __init__(self, problem: Problem, plan: MemoryPlan) -> None:
        self.problem, self.plan = problem, plan
        if plan.arena % ALIGNMENT:
            raise MemoryPlanError("the arena is not aligned")
        self.owner: list[int] = [-1] * (plan.arena // ALIGNMENT)

    def _blocks(self, offset: int, size: int, what: str) -> range:
        if offset % ALIGNMENT or offset < 0 or offset + size > self.plan.arena:
            raise MemoryPlanError(f"{what} is not aligned inside the arena")
        return range(offset // ALIGNMENT, -(-(offset + size) // ALIGNMENT))

    def _of(self, buffer: int) -> range:
        return self._blocks(self.plan.offsets[buffer], self.problem.sizes[buffer], f"buffer {buffer}")

    def write(self, buffer: int) -> None:
        for block in self._of(buffer):
            self.owner[block] = buffer

    def read(self, buffer: int, reader: str) -> None:
        if any(self.owner[block] != buffer for block in self._of(buffer)):
            raise MemoryPlanError(f"buffer {buffer} is overwritten before {reader} reads it")

    def occupy(self, offset: int, size: int, what: str, inputs: Sequence[int]) -> None:
        """Scratch destroys what was there, and may not touch what its node reads."""
        blocks = self._blocks(offset, size, what)
        for buffer in inputs:
            if size and not set(blocks).isdisjoint(self._of(buffer)):
                raise MemoryPlanError(f"{what} overlaps its input {buffer}")
        for block in blocks if size else ():
            self.owner[block] = -1

    def check_overlay(self, node: int, step: Step) -> None:
        output = set(self._of(step.output))
        scratch = self._blocks(self.plan.scratch[node], step.scratch, "scratch")
        if step.scratch and not output.isdisjoint(scratch):
            raise MemoryPlanError(f"scratch of node {node} overlaps its output")
        for position, buffer in enumerate(step.inputs):
            ahead = self.plan.offsets[buffer] - self.plan.offsets[step.output]
            is_part = position < len(step.parts) and ahead == step.parts[position]
            if is_part or output.isdisjoint(self._of(buffer)):
                continue
            same_start = self.plan.offsets[buffer] == self.plan.offsets[step.output]
            shared = min(self.problem.sizes[buffer], self.problem.sizes[step.output])
            if position or not same_start or shared > step.overlap:
                raise MemoryPlanError(f"output of node {node} overlaps its input {buffer}")
