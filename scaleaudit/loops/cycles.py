"""Sets of recurring operators that feed their own next occurrence: the bodies of loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx

from scaleaudit.domain.graph import OpGraph
from scaleaudit.loops.sites import Sites

# A loop that closes over tied operators alone must tie most of its weights; one that runs through
# untied operators (an adapter of its own in every turn) nearly all of them, else it is a stack of
# layers that shares a block.
CLOSED_SHARE = 0.5
OPEN_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Body:
    """The operators of one loop, all turns together.

    Attributes:
        nodes: In execution order.
        weights: The tied parameters.
    """

    nodes: tuple[int, ...]
    weights: frozenset[int]


def find_bodies(graph: OpGraph, sites: Sites) -> list[Body]:
    """Return the bodies of all loops, in the order in which they start."""
    edges = _quotient(graph, sites)
    tied = frozenset(key for key, members in enumerate(sites.members) if len(members) > 1)
    wide = _components(range(len(sites.members)), edges)
    inner = _components(tied, [edge for edge in edges if tied.issuperset(edge)])
    narrow: dict[int, list[set[int]]] = {}
    around = {key: index for index, component in enumerate(wide) for key in component}
    for c in inner:
        if _holds_weights(c, sites):
            narrow.setdefault(around[next(iter(c))], []).append(c)
    bodies: list[Body] = []
    for index, component in enumerate(wide):
        closing = narrow.get(index, [])
        turning = [c for c in closing if len(c) > 1]
        if len(turning) > 1 and not _used(component.difference(*turning), sites, tied=True):
            # Layers that each recur in time, one behind the other, with nothing tied in between.
            instances = [body for c in turning for body in _instances(sites, c)]
            bodies.extend(b for b in instances if share_inside(b, sites) > CLOSED_SHARE)
            continue
        share = _tied_share(component, sites)
        ties_nearly_all = _holds_weights(component, sites) and share >= OPEN_SHARE
        if (closing and share > CLOSED_SHARE) or ties_nearly_all:
            least = CLOSED_SHARE if closing else OPEN_SHARE
            instances = _instances(sites, component)
            bodies.extend(b for b in instances if share_inside(b, sites) >= least)
    memories = _memories(wide, sites)
    return sorted((*bodies, *memories), key=lambda body: body.nodes[0])


def _memories(components: list[set[int]], sites: Sites) -> list[Body]:
    """Recurrences without weights: linear attention, scans. Of several alike the last counts.

    Nothing untied may lie on the way around: a sum that untied layers add to is no memory.
    """
    found: list[Body] = []
    for component in components:
        members = [sites.members[key] for key in component]
        weighted = any(sites.weights[n] for nodes in members for n in nodes)
        if not weighted and all(len(nodes) > 1 for nodes in members):
            found.extend(_instances(sites, component)[-1:])
    return found


def _components(keys: Iterable[int], edges: Iterable[tuple[int, int]]) -> list[set[int]]:
    """The sets of classes that feed each other in a cycle; a class by itself is one too."""
    flow: nx.DiGraph[int] = nx.DiGraph()
    flow.add_nodes_from(keys)
    flow.add_edges_from(edges)
    return list(nx.strongly_connected_components(flow))


def _quotient(graph: OpGraph, sites: Sites) -> list[tuple[int, int]]:
    """The dataflow between classes of operators."""
    edges: dict[tuple[int, int], None] = {}
    for node in graph.nodes:
        target = sites.key[node.id]
        if target is None:
            continue
        for ref in sites.reads[node.id]:
            source = sites.key[ref.node]
            if source is not None:
                edges[source, target] = None
    return list(edges)


def _used(component: set[int], sites: Sites, *, tied: bool) -> frozenset[int]:
    chosen = [key for key in component if (len(sites.members[key]) > 1) == tied]
    return frozenset().union(*(sites.weights[sites.members[key][0]] for key in chosen))


def _holds_weights(component: set[int], sites: Sites) -> bool:
    return bool(_used(component, sites, tied=True))


def _tied_share(component: set[int], sites: Sites) -> float:
    """Share of the weights of one turn that are the same in every turn."""
    return _share((sites.members[key] for key in component), sites)


def share_inside(body: Body, sites: Sites) -> float:
    """Return the tied share of one instance: what recurs in another alone, a call, is not tied."""
    members: dict[int | None, list[int]] = {}
    for n in body.nodes:
        members.setdefault(sites.key[n], []).append(n)
    return _share(members.values(), sites)


def _share(classes: Iterable[Sequence[int]], sites: Sites) -> float:
    uses = [(len(members), sites.weights[members[0]]) for members in classes]
    tied = frozenset().union(*(weights for count, weights in uses if count > 1))
    untied = frozenset().union(*(weights for count, weights in uses if count == 1)) - tied
    shared = sum(sites.elements[w] for w in tied)
    own = sum(sites.elements[w] for w in untied)
    turns = turn_count(uses, sites)
    # The untied weights of the first turn read no carried value: K turns show those of K - 1.
    return shared / (shared + own / max(turns - 1, 1)) if shared else 0.0


def turn_count(uses: Iterable[tuple[int, frozenset[int]]], sites: Sites) -> int:
    """How often most of the tied weights are used; of several counts, the smaller one.

    Args:
        uses: For every class of operators how often it occurs, and its weights.
    """
    votes: Counter[int] = Counter()
    for count, weights in uses:
        if count > 1 and weights:
            votes[count] += sum(sites.elements[w] for w in weights)
    return min(votes, key=lambda count: (-votes[count], count), default=0)


def _instances(sites: Sites, component: set[int]) -> list[Body]:
    """Split a component where the data does not flow on: two towers are two loops."""
    nodes = sorted(n for key in component for n in sites.members[key])
    weights = _used(component, sites, tied=True)
    parts = _connected(nodes, sites)
    return [Body(part, weights) for part in parts if _recurs(part, sites)]


def _connected(nodes: list[int], sites: Sites) -> list[tuple[int, ...]]:
    """Group nodes, given in order, by the data that flow among them."""
    parent = {n: n for n in nodes}

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = n = parent[parent[n]]
        return n

    for n in nodes:
        for ref in sites.reads[n]:
            if ref.node in parent:
                first, second = root(ref.node), root(n)
                parent[max(first, second)] = min(first, second)
    parts: dict[int, list[int]] = {}
    for n in nodes:
        parts.setdefault(root(n), []).append(n)
    return [tuple(part) for part in parts.values()]


def _recurs(nodes: tuple[int, ...], sites: Sites) -> bool:
    """Whether an operator occurs twice in one instance, one with weights where any has some."""
    keys = [sites.key[n] for n in nodes if sites.weights[n]] or [sites.key[n] for n in nodes]
    return len(set(keys)) < len(keys)
