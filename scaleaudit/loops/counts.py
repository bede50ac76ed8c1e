"""What decides how often a loop turns: the statement in the source that its turns come from.

Only what the source shows is said. A loop that may end early, an iterable that is no range, a
number that comes from a call which is not known: none of these has an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from scaleaudit.domain.graph import Node, NodeKind, OpGraph
from scaleaudit.domain.loops import TurnsFrom
from scaleaudit.loops.sources import Call, Chain, Unknown, enclosing_loops


def turns_from(graph: OpGraph, starts: Sequence[int]) -> TurnsFrom | None:
    """Tell what decides how often the code between the starts of turns runs; None if not known.

    Args:
        starts: First node of every turn, in order.
    """
    turns = [graph[start] for start in starts]
    depth = _common_depth(turns[0], turns[1])
    if depth < 0 or not _goes_round(turns, depth):
        return None
    running = turns[1].turn_frames[depth][0]
    inside = [i for i, frame in enumerate(turns[1].frames) if frame.running == running]
    if not inside:
        return None  # the loop is not the user's: nn.LSTM steps inside of torch
    chain = Chain(
        frames=turns[1].frames[: inside[0] + 1],
        entry=_entry(graph, turns[1]),
        tensors=frozenset(node.op for node in graph.nodes if node.kind is NodeKind.INPUT),
    )
    return _answer(chain, _visits(graph, starts, depth))


def _answer(chain: Chain, visits: int) -> TurnsFrom | None:
    """Ask the loop statement whose iterations are the turns, where it can be told which one it is.

    A line that a turn comes by once is that of the innermost statement or, where that statement
    ran once, of one around it. One that it comes by more often belongs to a statement inside.
    """
    loops = enclosing_loops(chain.frames[-1])
    if not loops or (visits > 1 and len(loops) != 2):  # noqa: PLR2004 - an inner and an outer one
        return None
    asked = loops[1:] if visits > 1 else loops
    try:
        answers = {Call(chain, len(chain.frames) - 1).count_of(loop) for loop in asked}
    except Unknown:
        return None
    return answers.pop() if len(answers) == 1 else None


def _common_depth(first: Node, second: Node) -> int:
    """Index of the innermost frame that both nodes ran under; -1 where there is none."""
    depth = -1
    for a, b in zip(first.turn_frames, second.turn_frames, strict=False):
        if a[0] != b[0]:
            break
        depth += 1
    return depth


def _goes_round(turns: Sequence[Node], depth: int) -> bool:
    """Whether one instruction of one running frame starts every turn, each time anew."""
    if any(len(turn.turn_frames) <= depth for turn in turns):
        return False
    places = {turn.turn_frames[depth] for turn in turns}
    calls = [_call(turn, depth) for turn in turns]
    made = [call for call in calls if call is not None]
    return len(places) == 1 and (not made or len(set(made)) == len(turns))


def _call(node: Node, depth: int) -> int | None:
    """The running frame that an instruction called into; None where it ran an operator itself."""
    own = node.turn_frames
    return own[depth + 1][0] if len(own) > depth + 1 else None


def _visits(graph: OpGraph, starts: Sequence[int], depth: int) -> int:
    """How often the first turn came by the instruction that it starts with."""
    first = graph[starts[0]]
    place = first.turn_frames[depth]
    there = [
        node
        for node in graph.nodes[starts[0] : starts[1]]
        if len(node.turn_frames) > depth and node.turn_frames[depth] == place
    ]
    calls = {_call(node, depth) for node in there}
    return len(calls) if None not in calls else sum(node.site == first.site for node in there)


def _entry(graph: OpGraph, node: Node) -> int:
    """Index of the frame in which the model was entered: the first that nothing else ran in."""
    outside = {
        frame.running
        for other in graph.nodes
        if other.kind is NodeKind.CALL and not other.modules
        for frame in other.frames
    }
    if not node.modules:
        return 0
    return next((i for i, f in enumerate(node.frames) if f.running not in outside), 0)
