"""Where one turn of a loop ends and the next begins."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from scaleaudit.domain.graph import Node, OpGraph
from scaleaudit.loops.chains import find_anchors
from scaleaudit.loops.cycles import Body
from scaleaudit.loops.sites import Sites


@dataclass(frozen=True, slots=True)
class Turns:
    """The turns of a loop as ranges of node ids.

    Attributes:
        starts: First node of every turn, in order.
        stop: One past the last node of the body.
    """

    starts: tuple[int, ...]
    stop: int

    def of(self, node: int) -> int:
        """The turn of a node, from 1; 0 before the loop."""
        return bisect_right(self.starts, node)


def find_turns(graph: OpGraph, sites: Sites, body: Body) -> Turns | None:
    """Split a body into turns at the place where its code starts over, or None for one turn."""
    anchors = find_anchors(sites, body)
    if len(anchors) <= 1:
        return None
    if _is_stepwise(graph, sites, body, anchors):
        return Turns(tuple(anchors), body.nodes[-1] + 1)
    anchors, later = _whole_turns(graph, anchors)
    starts = (_first_start(graph, body, anchors, later), *later)
    return Turns(starts, _stop(graph, sites, body, starts, anchors))


def _is_stepwise(graph: OpGraph, sites: Sites, body: Body, anchors: list[int]) -> bool:
    """Whether anchors are the steps of nn.LSTM and its kin, in one call or handed from call to call.

    In a loop in depth around such a call the outer state skips the steps in between.
    """
    if not any(_is_one_call(graph, first, second) for first, second in pairwise(anchors)):
        return False
    steps = {n: bisect_right(anchors, n) for n in body.nodes}
    made = ((n, ref.node) for n in body.nodes for ref in sites.reads[n] if ref.node in steps)
    return all(steps[reader] - steps[maker] <= 1 for reader, maker in made)


def _is_one_call(graph: OpGraph, first: int, second: int) -> bool:
    """Whether nothing but one instruction of one running frame ran from one node to another."""
    frames = graph[first].turn_frames
    return all(graph[n].turn_frames == frames for n in range(first + 1, second + 1))


def _stop(
    graph: OpGraph, sites: Sites, body: Body, starts: tuple[int, ...], anchors: list[int]
) -> int:
    """One past the last node of the last turn: code that runs after the loop is no part of it.

    A norm that the loop shares with the readout recurs after the last turn. It stands outside
    of the loop's lines, and it comes once more than in any other turn.
    """
    usual: dict[int, int] = {}
    per_turn = Counter(
        (bisect_right(starts, n), sites.key[n]) for n in body.nodes if starts[0] <= n < starts[-1]
    )
    for (_, key), count in per_turn.items():
        if key is not None:
            usual[key] = max(usual.get(key, 0), count)
    ends = _line_range(graph, starts, anchors)
    seen: Counter[int] = Counter()
    stop = anchors[-1] + 1
    for n in body.nodes:
        key = sites.key[n]
        if n < starts[-1] or key is None:
            continue
        seen[key] += 1
        if seen[key] <= usual.get(key, 1) and (ends is None or _within(graph[n], *ends)):
            stop = n + 1
    return stop


def _line_range(
    graph: OpGraph, starts: tuple[int, ...], anchors: list[int]
) -> tuple[int, int, int] | None:
    """The loop's frame, its depth, and the last of its instructions; None where code is unrolled."""
    first, second = graph[anchors[0]], graph[anchors[1]]
    depth = _depth(first, second)
    if depth < 0 or second.turn_frames[depth][1] > first.turn_frames[depth][1]:
        return None
    frame = second.turn_frames[depth][0]
    offsets = [
        graph[n].turn_frames[depth][1]
        for n in range(starts[0], starts[-1])
        if len(graph[n].turn_frames) > depth and graph[n].turn_frames[depth][0] == frame
    ]
    behind = graph[anchors[-1]].turn_frames[depth:]
    if behind and behind[0][0] == frame and behind[0][1] > max(offsets):
        return None  # the last turn is written out behind the loop
    return depth, frame, max(offsets)


def _within(node: Node, depth: int, frame: int, last: int) -> bool:
    own = node.turn_frames
    return len(own) > depth and own[depth][0] == frame and own[depth][1] <= last


def _depth(first: Node, second: Node) -> int:
    """Index of the innermost frame that both nodes ran under: where the loop is written."""
    depth = -1
    for a, b in zip(first.turn_frames, second.turn_frames, strict=False):
        if a[0] != b[0]:
            break
        depth += 1
    return depth


def _place(node: Node, frames: tuple[tuple[int, int], ...], depth: int) -> tuple[int, int] | None:
    """Instruction of the loop's frame that a node ran under, and the call that it made."""
    own = node.turn_frames
    if depth < 0 or len(own) <= depth or own[depth][0] != frames[depth][0]:
        return None
    child = own[depth + 1][0] if len(own) > depth + 1 else -1
    return own[depth][1], child


def _whole_turns(graph: OpGraph, anchors: list[int]) -> tuple[list[int], list[int]]:
    """Keep the anchors that start a turn of the code, and say where those turns start.

    Weights that are used several times a turn, one line after the other (the stages of a
    Runge-Kutta step), stand between places where the code goes back.
    """
    steps = [_start(graph, first, second) for first, second in pairwise(anchors)]
    back = [index for index, (_, went_back) in enumerate(steps) if went_back]
    if back:
        inner = any(not steps[i][1] for i in range(back[0], back[-1]))
        leading, trailing = back[0], len(steps) - 1 - back[-1]
        if inner or leading == trailing:
            kept = [anchors[0], *(anchors[index + 1] for index in back)]
            return kept, [steps[index][0] for index in back]
    return anchors, [start for start, _ in steps]


def _behind(graph: OpGraph, first: int, second: int, depth: int) -> int | None:
    """First node behind a loop that one anchor is in and the next is not; else None."""
    if depth < 0:
        return None
    frame, here = graph[second].turn_frames[depth]
    there = graph[first].turn_frames[depth][1]
    last = _last_jump(graph, depth, frame) if there < here else None
    if last is None or not there <= last < here:
        return None
    for n in range(first + 1, second):
        own = graph[n].turn_frames
        if len(own) > depth and own[depth][0] == frame and own[depth][1] > last:
            return n
    return second


def _last_jump(graph: OpGraph, depth: int, frame: int) -> int | None:
    """The last instruction from which a running frame's code went back; None where it never did."""
    sources: list[int] = []
    previous: tuple[int, int] | None = None
    for node in graph.nodes:
        own = node.turn_frames
        if len(own) <= depth or own[depth][0] != frame:
            continue
        place = own[depth][1], own[depth + 1][0] if len(own) > depth + 1 else -1
        if previous is not None and place != previous and place[0] <= previous[0]:
            sources.append(previous[0])
        previous = place
    return max(sources, default=None)


def _start(graph: OpGraph, first: int, second: int) -> tuple[int, bool]:
    """First node of the turn of the second anchor, and whether the loop's code went back there.

    Code behind a loop that is the same as its body, written out once more, counts as a turn.
    """
    frames = graph[second].turn_frames
    depth = _depth(graph[first], graph[second])
    behind = _behind(graph, first, second, depth)
    if behind is not None:
        return behind, True
    best: tuple[int, int] | None = None
    previous = _place(graph[first], frames, depth)
    segment = second
    for n in range(first + 1, second + 1):
        place = _place(graph[n], frames, depth)
        if place is None or previous is None or place == previous:
            continue
        if place[0] <= previous[0] and (best is None or place[0] <= best[0]):
            best = (place[0], n)
        previous, segment = place, n
    return (best[1], True) if best is not None else (segment, False)


def _first_start(graph: OpGraph, body: Body, anchors: list[int], starts: list[int]) -> int:
    """First node of the first turn: the code of the second turn's start, one turn earlier."""
    depth = _depth(graph[anchors[0]], graph[anchors[1]])
    frames = graph[anchors[1]].turn_frames
    again = _place(graph[starts[0]], frames, depth)
    for n in range(anchors[0], -1, -1):
        place = _place(graph[n], frames, depth)
        if place is None or again is None:
            continue
        if place[0] < again[0]:
            break
        if place[0] == again[0] and graph[n].site == graph[starts[0]].site:
            return n
    return min(body.nodes[0], anchors[0])
