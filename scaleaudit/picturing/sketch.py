"""A picture in the making: groups of vertices, and what they hand to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import networkx as nx

from scaleaudit.domain.graph import Location
from scaleaudit.domain.picture import BoxKind, Role
from scaleaudit.picturing.flows import Vertex


@dataclass
class Part:
    """What becomes a box.

    Attributes:
        vertices: The operators in it, in order; none for what is no operator.
        label: What it is called, where its operators don't tell.
        note: What is to be said of it first.
        boxes: How many boxes it has taken in besides itself.
        times: For how many alike it stands.
        place: Where it is written, where its operators don't tell.
    """

    kind: BoxKind
    vertices: list[Vertex]
    label: str = ""
    note: str = ""
    boxes: int = 0
    times: int = 1
    place: Location | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """What one part hands to another."""

    degree: str
    role: Role
    silent: bool = False


class Sketch:
    """Parts and links, kept free of cycles; what leads on to the next turn stays apart."""

    def __init__(self) -> None:
        self.parts: dict[int, Part] = {}
        self.graph: nx.DiGraph[int] = nx.DiGraph()
        self._of: dict[Vertex, int] = {}
        self._became: dict[int, int] = {}
        self._spare = 0

    def add(self, part: Part) -> int:
        """Add a part and return its name."""
        name = self._spare
        self._spare += 1
        self.parts[name] = part
        self.graph.add_node(name)
        self._of.update(dict.fromkeys(part.vertices, name))
        return name

    def at(self, vertex: Vertex) -> int:
        """Return the part that a vertex is in."""
        return self._of[vertex]

    def holds(self, vertex: Vertex) -> bool:
        """Whether a vertex is in a part."""
        return vertex in self._of

    def now(self, name: int) -> int:
        """Return the part that one which was merged or folded has become."""
        while name in self._became:
            name = self._became[name]
        return name

    def link(self, source: int, target: int, link: Link) -> None:
        """Add a link; of several between two parts the one that hands on most, else the first."""
        known = self.graph.edges.get((source, target))
        if source != target and (known is None or _rank(known["link"]) < _rank(link)):
            self.graph.add_edge(source, target, link=link)

    def keep(self, ends: set[int]) -> None:
        """Drop every part that leads to none of these."""
        kept = ends.union(*(nx.ancestors(self.graph, end) for end in ends))
        for name in self.parts.keys() - kept:
            del self.parts[name]
            self.graph.remove_node(name)

    def links(self) -> Iterator[tuple[int, int, Link]]:
        """Yield every link with its ends."""
        for source, target, data in self.graph.edges(data=True):
            yield source, target, data["link"]

    def merge(self, source: int, target: int, into: BoxKind) -> int:
        """Make one part of two where a link joins them and no other way does; keep the latter."""
        first, second = self.parts[source], self.parts.pop(target)
        second.vertices = sorted({*first.vertices, *second.vertices})
        second.boxes += first.boxes + 1
        second.kind = into
        second.times = max(first.times, second.times)
        second.label = second.label or first.label
        second.note = second.note or first.note
        second.place = second.place or first.place
        del self.parts[source]
        self.parts[target] = second
        self._of.update(dict.fromkeys(second.vertices, target))
        for before, _, data in list(self.graph.in_edges(source, data=True)):
            self.link(before, target, data["link"])
        for _, after, data in list(self.graph.out_edges(source, data=True)):
            self.link(target, after, data["link"])
        self.graph.remove_node(source)
        self._became[source] = target
        return target

    def replace(self, gone: dict[int, int]) -> None:
        """Let parts stand for others that are the same code; what would lead back is dropped."""
        order = {name: place for place, name in enumerate(nx.topological_sort(self.graph))}
        for source, target, link in list(self.links()):
            kept = gone.get(source, source), gone.get(target, target)
            if kept != (source, target) and order[kept[0]] < order[kept[1]]:
                self.link(*kept, link)
        for name, kept_one in gone.items():
            self._of.update(dict.fromkeys(self.parts.pop(name).vertices, kept_one))
            self.graph.remove_node(name)
            self._became[name] = kept_one


_ORDER = (Role.LOST, Role.PLAIN, Role.CARRIES)


def _rank(link: Link) -> tuple[bool, int]:
    return link.degree == "unknown", _ORDER.index(link.role)
