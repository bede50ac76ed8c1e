"""Code that is written twice and runs one after the other: the last cycle apart from the others.

A loop that trains its last cycle alone runs the others under ``no_grad`` and writes the last one
out behind them. Operators with weights are the same class wherever they are called from, if they
stand in a module; what stands around them is not. It is the same all the same where it feeds the
same weights, or is fed by them, in the same way, and one piece of code is over before the other
begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from scaleaudit.domain.graph import NodeKind, OpGraph, Ref
from scaleaudit.domain.packs import COPIES

# How far operands are compared: the operators between two that have weights are fewer.
_DEPTH = 16

# A class of operators, or a leaf.
_Source = tuple[str, int]


class Stitching:
    """Joins classes of operators that are the same code written twice.

    Args:
        keys: For every node its class.
        members: The nodes of every class, in execution order.
        weights: For every node the weights that it uses.
        reads: For every node its operands.
    """

    def __init__(
        self,
        graph: OpGraph,
        keys: Sequence[int | None],
        members: Sequence[Sequence[int]],
        weights: Sequence[frozenset[int]],
        reads: Sequence[tuple[Ref, ...]],
    ) -> None:
        self._graph = graph
        self._keys = keys
        self._members = [list(nodes) for nodes in members]
        self._weights = weights
        self._reads = reads
        self._parent = list(range(len(members)))
        self._made = [tuple(self._behind(ref) for ref in refs) for refs in reads]
        self._users: list[list[tuple[int, int]]] = [[] for _ in members]
        for node in graph.nodes:
            if keys[node.id] is None:
                continue
            for position, ref in enumerate(self._made[node.id]):
                key = keys[ref.node]
                if key is not None:
                    self._users[key].append((node.id, position))

    def run(self) -> list[int | None]:
        """Return the classes, joined."""
        pending = [key for key, nodes in enumerate(self._members) if len(nodes) > 1]
        while pending:
            key = self._find(pending.pop())
            for one, other in self._neighbours(key):
                first, second = self._find(one), self._find(other)
                if first != second and self._are_alike(first, second, frozenset()):
                    pending.append(self._join(first, second))
        return [None if key is None else self._find(key) for key in self._keys]

    def _neighbours(self, key: int) -> Iterator[tuple[int, int]]:
        """Pairs of classes that feed the same operand of a class, or that it feeds alike.

        Layers of another kind read the same value and are no continuation: what is fed alike
        must feed alike too, or go on from one to the other.
        """
        fed: dict[int, set[int]] = {}
        for n in self._members[key]:
            for position, ref in enumerate(self._made[n]):
                source = self._keys[ref.node]
                if source is not None:
                    fed.setdefault(position, set()).add(self._find(source))
        feeds: dict[tuple[str, int], set[int]] = {}
        for n, position in self._users[key]:
            user = self._keys[n]
            assert user is not None
            feeds.setdefault((self._graph[n].op, position), set()).add(self._find(user))
        for classes in fed.values():
            if len(classes) > 1:
                yield from self._in_time(classes)
        for classes in feeds.values():
            if len(classes) > 1:
                yield from (pair for pair in self._in_time(classes) if self._feed_alike(*pair))

    def _in_time(self, classes: set[int]) -> Iterator[tuple[int, int]]:
        """Pieces of code follow each other: neighbours in time are enough to compare."""
        return pairwise(sorted(classes, key=lambda each: self._members[each][0]))

    def _feed_alike(self, one: int, other: int) -> bool:
        first, second = (
            {self._find(key) for n, _ in self._users[each] if (key := self._keys[n]) is not None}
            for each in (one, other)
        )
        return bool(first & second) or other in first or one in second

    def _are_alike(self, one: int, other: int, assumed: frozenset[frozenset[int]]) -> bool:
        """Whether two classes do the same to the same, one after the other."""
        pair = frozenset({one, other})
        if len(pair) == 1 or pair in assumed:
            return True
        first, second = self._members[one], self._members[other]
        if len(assumed) > _DEPTH or not _is_before(first, second):
            return False
        if self._form(first[0]) != self._form(second[0]):
            return False
        assumed |= {pair}
        early, late = sorted((one, other), key=lambda key: self._members[key][0])
        positions = range(len(self._reads[first[0]]))
        # Where the later one is fed by the earlier, the state goes from one to the other.
        handed_on = [p for p in positions if ("class", early) in self._sources(late, p)]
        rest = [p for p in positions if p not in handed_on]
        return bool(rest) and all(
            self._share(self._sources(one, position), self._sources(other, position), assumed)
            for position in rest
        )

    def _share(
        self, one: set[_Source], other: set[_Source], assumed: frozenset[frozenset[int]]
    ) -> bool:
        if one & other:
            return True
        first, second = ([key for kind, key in each if kind == "class"] for each in (one, other))
        return any(self._are_alike(a, b, assumed) for a in first for b in second)

    def _sources(self, key: int, position: int) -> set[_Source]:
        """What feeds an operand of a class, at any of its occurrences."""
        found: set[_Source] = set()
        for n in self._members[key]:
            ref = self._made[n][position]
            source = self._keys[ref.node]
            found.add(("leaf", ref.node) if source is None else ("class", self._find(source)))
        return found

    def _form(self, n: int) -> object:
        node = self._graph[n]
        constants = tuple(
            (name, value) for name, value in node.arguments if not isinstance(value, (Ref, tuple))
        )
        shapes = tuple(meta.shape for meta in node.outputs)
        return node.op, constants, shapes, self._weights[n], len(self._reads[n])

    def _behind(self, ref: Ref) -> Ref:
        """The value itself, where a copy or a detached one is read."""
        node = self._graph[ref.node]
        while node.kind is NodeKind.CALL and node.base_op in COPIES:
            ref = self._reads[node.id][0]
            node = self._graph[ref.node]
        return ref

    def _join(self, one: int, other: int) -> int:
        kept, gone = sorted((one, other))
        self._parent[gone] = kept
        self._members[kept] = sorted(self._members[kept] + self._members[gone])
        self._users[kept] += self._users[gone]
        return kept

    def _find(self, key: int) -> int:
        while self._parent[key] != key:
            self._parent[key] = self._parent[self._parent[key]]
            key = self._parent[key]
        return key


def _is_before(one: list[int], other: list[int]) -> bool:
    """Whether all occurrences of one class are over when the other's begin."""
    return one[-1] < other[0] or other[-1] < one[0]
