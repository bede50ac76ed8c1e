"""Which operators of a program are the same code with the same weights."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TypeAlias

from scaleaudit.domain.graph import READ_BY_SHAPE, Argument, Node, NodeKind, OpGraph, Ref
from scaleaudit.domain.packs import Packed, unpacked
from scaleaudit.loops.steps import step_likes
from scaleaudit.loops.stitching import Stitching

# A tensor made of more parameters than these (g and v of weight_norm, say) is data, not a weight.
MAX_FUSED = 3

# Parameters that a value is made of; None where it reads data.
Made: TypeAlias = "frozenset[int] | None"


@dataclass(frozen=True, slots=True)
class Sites:
    """The classes of recurring operators.

    Attributes:
        key: For every node its class; None for leaves and for what only reshapes weights.
        weights: For every node the weights that it uses directly.
        members: The nodes of every class, in execution order.
        elements: Number of elements of every weight.
        place: For every node its class where slices of one parameter count as that parameter:
            a step embedding, one row a turn.
        reads: For every node the operands whose values it reads, looking through what was packed
            and taken out again.
    """

    key: tuple[int | None, ...]
    members: tuple[tuple[int, ...], ...]
    weights: tuple[frozenset[int], ...]
    elements: dict[int, int]
    place: tuple[object, ...]
    reads: tuple[tuple[Ref, ...], ...]


def find_sites(graph: OpGraph) -> Sites:
    """Sort the operators of a program into classes: same place in the code, same weights.

    Weights are tied by identity, whatever module object or path they are reached through: a
    module counts as the weights that it uses, and one without weights as a part of the module
    around it.
    """
    parameters = _Weights(graph)
    made, elements = parameters.made_of()
    computed = _computed_from(graph)
    starts = _starts(graph, computed)
    weights = tuple(_used(node, made, computed, starts) for node in graph.nodes)
    owners = _owners(graph, weights)
    likes = step_likes(graph, weights)
    if likes:
        usual = {n: like.usual for n, like in likes.items()}
        weights = tuple(weights[usual.get(node.id, node.id)] for node in graph.nodes)
    weights = _mostly_tied(graph, weights, computed, elements)
    packed = unpacked(graph)
    keys: list[int | None] = []
    numbers: dict[tuple[str, object, frozenset[int]], int] = {}
    members: list[list[int]] = []
    for node in graph.nodes:
        like = likes.get(node.id)
        model = node if like is None else graph[like.usual]
        plain = node.kind is NodeKind.CALL and Ref(node.id) not in packed
        if not plain or _only_reshapes(model, made):
            keys.append(None)
            continue
        site = node.site if like is None else graph[like.first].site
        key = (site, _owner(node, owners), weights[node.id])
        number = numbers.setdefault(key, len(numbers))
        if number == len(members):
            members.append([])
        members[number].append(node.id)
        keys.append(number)
    reads = tuple(_read(node, packed) for node in graph.nodes)
    joined = Stitching(graph, keys, members, weights, reads).run()
    whole = parameters.whole
    places = tuple(
        (node.site, whole(_owner_weights(node, owners)), whole(weights[node.id]))
        for node in graph.nodes
    )
    return Sites(*_numbered(joined), weights, elements, _joined(places, keys, joined), reads)


def _read(node: Node, packed: dict[Ref, Packed]) -> tuple[Ref, ...]:
    """The operands whose values a node reads, through what was packed and taken out again."""
    if node.base_op in READ_BY_SHAPE:
        return ()
    if packed.keys().isdisjoint(node.operands):
        return node.operands
    return tuple(packed[ref].source if ref in packed else ref for ref in node.operands)


def _numbered(keys: list[int | None]) -> tuple[tuple[int | None, ...], tuple[tuple[int, ...], ...]]:
    """Number classes anew, without gaps, and list their nodes."""
    numbers: dict[int, int] = {}
    members: list[list[int]] = []
    for n, key in enumerate(keys):
        if key is not None:
            if numbers.setdefault(key, len(numbers)) == len(members):
                members.append([])
            members[numbers[key]].append(n)
    found = tuple(None if key is None else numbers[key] for key in keys)
    return found, tuple(map(tuple, members))


def _joined(
    places: tuple[object, ...], keys: list[int | None], joined: list[int | None]
) -> tuple[object, ...]:
    """Give what was written twice the places of what was written first."""
    first: dict[int | None, object] = {}
    for place, key in zip(places, keys, strict=True):
        first.setdefault(key, place)
    return tuple(
        place if key == kept else first[kept]
        for place, key, kept in zip(places, keys, joined, strict=True)
    )


def _starts(graph: OpGraph, computed: list[Made]) -> set[tuple[int, Ref]]:
    """Where a state starts as a parameter: operands of nodes, by node.

    At one place in the code, the first time reads a parameter where all later ones read data: a
    weight that learns as the program runs.
    """
    places: dict[tuple[str, object, str, int], list[tuple[int, Ref]]] = {}
    for node in graph.nodes:
        path = node.modules[-1].path if node.modules else ""
        for position, ref in enumerate(node.operands):
            places.setdefault((node.op, node.site, path, position), []).append((node.id, ref))
    found = set()
    for (first, ref), *later in places.values():
        changes = bool(computed[ref.node]) and len(later) > 1
        if changes and all(computed[r.node] is None for _, r in later):
            found.add((first, ref))
    return found


def _used(
    node: Node,
    made: list[tuple[Made, ...]],
    computed: list[Made],
    starts: set[tuple[int, Ref]],
) -> frozenset[int]:
    """The weights that a node uses: views of parameters, and what is computed from them alone.

    A reparametrised weight (an orthogonal one, one over its spectral norm) is computed anew at
    every use. What reads no data itself is no use of it: it may be such a computation, or the
    first turn of a state that starts as a parameter.
    """
    used: frozenset[int] = frozenset()
    for ref in node.operands:
        if (node.id, ref) in starts:
            continue
        source = made[ref.node][ref.output]
        if source is None and computed[node.id] is None:
            source = computed[ref.node]
        if source:
            used |= source
    return used


def _mostly_tied(
    graph: OpGraph,
    weights: tuple[frozenset[int], ...],
    computed: list[Made],
    elements: dict[int, int],
) -> tuple[frozenset[int], ...]:
    """Take for the weights of a node those that it shares, where they are most of them.

    A matrix with a low-rank correction per turn, added to it first, is tied but for the correction;
    so is a product with a bias per turn. What reads no data is no use of a weight.
    """
    variants: dict[tuple[str, object], set[frozenset[int]]] = {}
    for node, used, source in zip(graph.nodes, weights, computed, strict=True):
        if used and source is None:
            variants.setdefault((node.op, node.site), set()).add(used)
    shared = {
        place: {w for w, count in Counter(w for used in sets for w in used).items() if count > 1}
        for place, sets in variants.items()
        if len(sets) > 1
    }

    def kept(node: Node, used: frozenset[int]) -> frozenset[int]:
        common = used & shared.get((node.op, node.site), frozenset())
        total = sum(elements.get(w, 0) for w in used)
        return common if 2 * sum(elements.get(w, 0) for w in common) > total else used

    return tuple(
        used if source is not None else kept(node, used)
        for node, used, source in zip(graph.nodes, weights, computed, strict=True)
    )


_RANDOM = frozenset({
    "aten.rand", "aten.randn", "aten.rand_like", "aten.randn_like", "aten.randint", "aten.bernoulli",
    "aten.normal", "aten.randperm", "aten.uniform", "aten.native_dropout", "aten.multinomial",
})  # fmt: skip


def _computed_from(graph: OpGraph) -> list[Made]:
    """For every node the parameters that it is computed from; None where data take part."""
    found: list[Made] = []
    for node in graph.nodes:
        parts = [found[ref.node] for ref in node.operands]
        if node.kind is NodeKind.INPUT or None in parts or node.base_op in _RANDOM:
            found.append(None)
        elif node.kind is NodeKind.PARAMETER and node.weight is not None:
            found.append(frozenset({node.weight}))
        else:
            found.append(frozenset().union(*(part for part in parts if part is not None)))
    return found


def _owners(graph: OpGraph, weights: tuple[frozenset[int], ...]) -> dict[int, frozenset[int]]:
    """The weights that every module uses, those inside of it included."""
    owners: dict[int, set[int]] = {}
    for node in graph.nodes:
        for module in node.modules:
            known = owners.setdefault(module.identity, set())
            if weights[node.id]:
                known.update(weights[node.id])
    return {identity: frozenset(used) for identity, used in owners.items()}


def _owner_weights(node: Node, owners: dict[int, frozenset[int]]) -> frozenset[int]:
    """The weights of the innermost module that has any."""
    used = (owners[module.identity] for module in reversed(node.modules))
    return next((weights for weights in used if weights), frozenset())


def _owner(node: Node, owners: dict[int, frozenset[int]]) -> object:
    """The innermost module with weights, and the way from it to the module that ran the code."""
    innermost = node.modules[-1].path if node.modules else ""
    for module in reversed(node.modules):
        if owners[module.identity]:
            return owners[module.identity], innermost[len(module.path) :]
    return innermost


class _Weights:
    """Follows parameters through views and casts; a part of a parameter is a weight of its own."""

    def __init__(self, graph: OpGraph) -> None:
        self._graph = graph
        self._elements: dict[int, int] = {}
        self._parts: dict[object, int] = {}
        self._whole: dict[int, frozenset[int]] = {}
        self._wholes: dict[frozenset[int], frozenset[int]] = {}
        self._made: list[tuple[Made, ...]] = []

    def made_of(self) -> tuple[list[tuple[Made, ...]], dict[int, int]]:
        """Return for every output the weights that it is made of, and the weights' sizes."""
        for node in self._graph.nodes:
            self._made.append(self._of(node))
        return self._made, self._elements

    def whole(self, weights: frozenset[int]) -> frozenset[int]:
        """The parameters that weights are, or are parts of."""
        found = self._wholes.get(weights)
        if found is None:
            parts = (self._whole.get(w, frozenset({w})) for w in weights)
            found = self._wholes[weights] = frozenset().union(*parts)
        return found

    def _of(self, node: Node) -> tuple[Made, ...]:
        if node.kind is NodeKind.PARAMETER and node.weight is not None:
            self._elements[node.weight] = math.prod(node.outputs[0].shape)
            return (frozenset({node.weight}),)
        nothing: tuple[Made, ...] = (None,) * len(node.outputs)
        refs = node.operands
        parts = [self._made[ref.node][ref.output] for ref in refs]
        if node.kind is not NodeKind.CALL or not parts or None in parts:
            return nothing
        union = frozenset().union(*(part for part in parts if part is not None))
        if len(union) > MAX_FUSED:
            return nothing
        if len(set(refs)) > 1:
            return (union,) * len(node.outputs)
        return tuple(self._piece(node, refs[0], union, i) for i in range(len(node.outputs)))

    def _piece(self, node: Node, source: Ref, whole: frozenset[int], output: int) -> Made:
        size = math.prod(node.outputs[output].shape)
        if size >= math.prod(self._graph.meta(source).shape):
            return whole
        constants = tuple(_constants(argument) for _, argument in node.arguments)
        key = (node.base_op, whole, constants, output)
        # Negative numbers: no parameter has them.
        part = self._parts.setdefault(key, -1 - len(self._parts))
        self._elements[part] = size
        self._whole[part] = self.whole(whole)
        return frozenset({part})


def _constants(argument: Argument) -> object:
    if isinstance(argument, Ref):
        return "ref"
    if isinstance(argument, tuple):
        return tuple(_constants(item) for item in argument)
    return argument


def _only_reshapes(node: Node, made: list[tuple[Made, ...]]) -> bool:
    """Whether a node is a view or a cast of one parameter, or what it holds once written to."""
    sources = {made[ref.node][ref.output] for ref in node.operands}
    if node.base_op == "scaleaudit.write_view":
        return len(sources) == 1 and None not in sources
    return len(set(node.operands)) == 1 and None not in sources
