"""From a captured program to its loops and carried states."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from scaleaudit.domain.graph import Location, Node, OpGraph, Ref
from scaleaudit.domain.loops import CarriedState, Loop, LoopNest
from scaleaudit.domain.packs import COPIES
from scaleaudit.loops.counts import turns_from
from scaleaudit.loops.cycles import Body, find_bodies
from scaleaudit.loops.sites import Sites, find_sites
from scaleaudit.loops.turns import Turns, find_turns


def find_loops(graph: OpGraph) -> LoopNest:
    """Find every weight-tied loop of a program.

    A loop is a set of operators that recur with the same weights and feed their own next
    occurrence; the values that cross from one turn to the next are its carried states.
    """
    sites = find_sites(graph)
    loops = []
    for body in find_bodies(graph, sites):
        turns = find_turns(graph, sites, body)
        if turns is None or _is_untrained(graph, body):
            continue
        nodes = tuple(n for n in body.nodes if turns.starts[0] <= n < turns.stop)
        inside = replace(body, nodes=nodes)
        states = _states(graph, sites, inside, turns)
        if not body.weights:
            states = tuple(s for s in states if _is_memory(graph, inside, s))
        if states:
            loops.append(_loop(graph, inside, turns, states))
    memories = _side_by_side([loop for loop in loops if not loop.weights])
    weighted = [loop for loop in loops if loop.weights]
    found = [*weighted, *(loop for loop in memories if not _is_companion(loop, weighted))]
    return LoopNest(tuple(sorted(map(_told_apart, found), key=lambda loop: min(loop.body))))


def _told_apart(loop: Loop) -> Loop:
    """Number states that go by one name, as those in a list or a dict do: findings are told by it."""
    seen: Counter[str] = Counter()
    states: list[CarriedState] = []
    for state in loop.states:
        seen[state.name] += 1
        number = seen[state.name]
        states.append(replace(state, name=f"{state.name} ({number})") if number > 1 else state)
    return replace(loop, states=tuple(states))


def _side_by_side(loops: list[Loop]) -> list[Loop]:
    """Join memories that are written turn by turn together: a sum and the gates it is scaled by."""
    found: list[Loop] = []
    for loop in loops:
        like = next((f for f in found if f.turns == loop.turns and _overlap(f, loop)), None)
        if like is None:
            found.append(loop)
        else:
            joined = replace(like, states=like.states + loop.states, body=like.body | loop.body)
            found[found.index(like)] = joined
    return found


# A memory is written to more often than twice; twice may be a coincidence.
_WRITES = 3


def _is_memory(graph: OpGraph, body: Body, state: CarriedState) -> bool:
    """Whether a state without weights in its cycle is a memory of the input, read as it is written.

    What is only added up and read in the end (losses, exits) is none, nor is what grows by parts.
    """
    metas = {graph.meta(ref).shape for ref in state.boundary}
    made = [ref.node for ref in state.boundary]
    if len(made) < _WRITES or len(metas) > 1 or len(metas.pop()) < 2:  # noqa: PLR2004 - batch, features
        return False
    inside = set(body.nodes)
    read = [any(user not in inside for user in graph.users[n]) for n in made[:-1]]
    return all(read) and all(n in graph.reads_inputs for n in made)


def _is_companion(loop: Loop, weighted: list[Loop]) -> bool:
    """Whether a loop without weights goes with another that has some, one turn for one."""
    return any(other.turns == loop.turns and _overlap(loop, other) for other in weighted)


def _overlap(loop: Loop, other: Loop) -> bool:
    return min(loop.body) <= max(other.body) and min(other.body) <= max(loop.body)


def _is_untrained(graph: OpGraph, body: Body) -> bool:
    """Whether a loop runs without gradient in a program that trains: a power iteration, say."""
    trained = graph.loss is not None and graph[graph.loss.node].grad
    return trained and not any(graph[n].grad for n in body.nodes)


def _loop(graph: OpGraph, body: Body, turns: Turns, states: tuple[CarriedState, ...]) -> Loop:
    function, location = _written(graph[turns.starts[0]], graph[turns.starts[1]])
    return Loop(
        name=function,
        turns=sum(map(graph.times, turns.starts)),
        location=location,
        states=states,
        body=frozenset(body.nodes),
        weights=body.weights,
        turns_from=turns_from(graph, turns.starts),
    )


_CALLS = "calls of "


def _written(first: Node, second: Node) -> tuple[str, Location | None]:
    """Function and line that the turns of a loop have in common.

    They have none where the program as a whole is run again: a model that its caller loops.
    """
    function = f"{_CALLS}{second.modules[0].path}" if second.modules else "loop"
    location = second.frames[0].location if second.frames else None
    for a, b in zip(first.frames, second.frames, strict=False):
        if a.running != b.running:
            break
        function, location = b.function, b.location
    return function, location


# A slot is an operand position of a class of operators; producers and slots name a state.
_Slot = tuple[str, object, int]


def _states(graph: OpGraph, sites: Sites, body: Body, turns: Turns) -> tuple[CarriedState, ...]:
    """Group the values that cross the turns' boundaries by who makes and who reads them.

    What was read in the turn that made it and is read in the same place again, as a sum that an
    inner loop is given at every step, is no state but given.
    """
    inside = frozenset(body.nodes)
    function, _ = _written(graph[turns.starts[0]], graph[turns.starts[1]])
    roles = _Roles(graph, sites, body, turns)
    crossings: dict[Ref, set[_Slot]] = {}
    initial: dict[_Slot, Ref] = {}
    read_at_once: dict[tuple[Ref, _Slot], list[int]] = {}
    for n in body.nodes:
        turn = turns.of(n)
        for position, ref in enumerate(sites.reads[n]):
            slot: _Slot = ("slot", sites.place[n], position)
            if ref.node in inside and turns.of(ref.node) == turn:
                read_at_once.setdefault((ref, slot), []).append(n)
            elif ref.node in inside:
                if not any(roles.same(n, first) for first in read_at_once.get((ref, slot), ())):
                    crossings.setdefault(ref, set()).add(slot)
            elif ref.node < turns.starts[0]:
                initial.setdefault(slot, ref)
    groups = [part for group in _grouped(sites, crossings) for part in _apart(sites, turns, group)]
    states = [_state(graph, sites, turns, group, crossings, initial, function) for group in groups]
    return tuple(state for state in states if state is not None)


class _Roles:
    """Tells apart the uses of a layer that serves two purposes in one turn.

    Different lines alone tell nothing: the last turn may be written out behind the others.
    """

    def __init__(self, graph: OpGraph, sites: Sites, body: Body, turns: Turns) -> None:
        self._graph, self._sites = graph, sites
        self._lines: dict[tuple[object, int], set[object]] = {}
        for n in body.nodes:
            key = sites.place[n], turns.of(n)
            self._lines.setdefault(key, set()).add(self._line(n))

    def same(self, one: int, other: int) -> bool:
        """Whether two nodes of one class stand in one line, or in lines that no turn has both of."""
        first, second = self._line(one), self._line(other)
        return first == second or not any(
            place == self._sites.place[one] and {first, second} <= lines
            for (place, _), lines in self._lines.items()
        )

    def _line(self, n: int) -> object:
        return tuple(frame.location for frame in self._graph[n].frames)


def _grouped(sites: Sites, crossings: dict[Ref, set[_Slot]]) -> list[list[Ref]]:
    """Join crossings that share a producer class or a reader's slot."""
    parent: dict[_Slot, _Slot] = {}

    def find(x: _Slot) -> _Slot:
        while parent.setdefault(x, x) != x:
            x = parent[x]
        return x

    for ref, slots in crossings.items():
        root = find(("made", sites.key[ref.node] or 0, ref.output))
        for slot in slots:
            parent[find(slot)] = root
    groups: dict[_Slot, list[Ref]] = {}
    for ref in sorted(crossings, key=lambda r: (r.node, r.output)):
        made: _Slot = ("made", sites.key[ref.node] or 0, ref.output)
        groups.setdefault(find(made), []).append(ref)
    return list(groups.values())


def _apart(sites: Sites, turns: Turns, group: list[Ref]) -> list[list[Ref]]:
    """Split a group that has several values at one boundary: each producer is a state then."""
    per_turn = Counter(turns.of(ref.node) for ref in group)
    if max(per_turn.values()) == 1:
        return [group]
    parts: dict[tuple[int | None, int], list[Ref]] = {}
    for ref in group:
        parts.setdefault((sites.key[ref.node], ref.output), []).append(ref)
    return list(parts.values())


def _state(
    graph: OpGraph,
    sites: Sites,
    turns: Turns,
    group: list[Ref],
    crossings: dict[Ref, set[_Slot]],
    initial: dict[_Slot, Ref],
    function: str,
) -> CarriedState | None:
    """Line up the values of one state, one a boundary, the last turn's included."""
    by_turn: dict[int, Ref] = {turns.of(ref.node): ref for ref in group}
    if not any(_has_scale(graph, ref) for ref in group):
        return None  # counters and masks have no scale
    last = len(turns.starts)
    final = _final(graph, sites, turns, group)
    if final is not None:
        by_turn[last] = final
    boundary = tuple(_made(graph, turns, by_turn[turn]) for turn in sorted(by_turn))
    slots = set().union(*(crossings[ref] for ref in group))
    entering = Counter(initial[slot] for slot in slots if slot in initial)
    return CarriedState(
        name=_name(graph, boundary, function),
        boundary=boundary,
        initial=entering.most_common(1)[0][0] if entering else None,
        location=_source(graph, boundary[-1]).location,
    )


def _has_scale(graph: OpGraph, ref: Ref) -> bool:
    dtype = graph.meta(ref).dtype
    return "float" in dtype or "complex" in dtype


def _source(graph: OpGraph, ref: Ref) -> Node:
    """The node that made a value, before it was detached or copied, in whatever turn."""
    node = graph[ref.node]
    while node.base_op in COPIES:
        node = graph[next(node.refs()).node]
    return node


def _made(graph: OpGraph, turns: Turns, ref: Ref) -> Ref:
    """The value that a boundary holds, before it was detached or cloned in the same turn."""
    while graph[ref.node].base_op in COPIES:
        source = next(graph[ref.node].refs())
        if turns.of(source.node) != turns.of(ref.node):
            break
        ref = source
    return ref


def _final(graph: OpGraph, sites: Sites, turns: Turns, group: list[Ref]) -> Ref | None:
    """The state after the last turn: the latest value that its producers made there."""
    outputs = {sites.key[ref.node]: ref.output for ref in group}
    start = turns.starts[-1]
    for n in range(turns.stop - 1, start - 1, -1):
        if sites.key[n] in outputs:
            return Ref(n, outputs[sites.key[n]])
    places = {(graph[ref.node].op, graph[ref.node].location) for ref in group}
    for n in range(len(graph.nodes) - 1, start - 1, -1):
        if (graph[n].op, graph[n].location) in places:
            return Ref(n, group[-1].output)
    return None


def _name(graph: OpGraph, boundary: tuple[Ref, ...], function: str) -> str:
    """The user's variable for a state, in the code of the loop: what most turns agree on."""
    owner = function.split(".", 1)[0]
    near: Counter[str] = Counter()
    anywhere: Counter[str] = Counter()
    for ref in boundary:
        names = graph[ref.node].names if ref.output == 0 else ()
        own = [name for place, name in names if place.split(".", 1)[0] == owner]
        for votes, found in ((near, own), (anywhere, [name for _, name in names])):
            votes.update(dict.fromkeys(found[:1], graph.times(ref.node)))
    for votes in (near, anywhere):
        if votes:
            return votes.most_common(1)[0][0]
    node = graph[boundary[-1].node]
    return (node.modules[-1].path if node.modules else "") or "state"
