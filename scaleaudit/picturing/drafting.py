"""The picture of one state: its parts, what they hand to each other, and which of them are shown."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from scaleaudit.domain.facts import Penalty, Readout, StateFacts
from scaleaudit.domain.graph import Location, OpGraph
from scaleaudit.domain.judged import JudgedState, JudgedTerm
from scaleaudit.domain.loops import Loop
from scaleaudit.domain.picture import Box, BoxKind, Edge, Fold, Picture, Role
from scaleaudit.domain.scale import ZERO, Precision, Scale
from scaleaudit.picturing.alike import merge_alike
from scaleaudit.picturing.choosing import turn_to_show
from scaleaudit.picturing.flows import Arrow, Flow, Vertex, vertex_of_state
from scaleaudit.picturing.folding import fold
from scaleaudit.picturing.grouping import Groups
from scaleaudit.picturing.roles import degree_of, role_of, round_trip, seen_as, term_of
from scaleaudit.picturing.shrinking import join_chains, shrink
from scaleaudit.picturing.sketch import Link, Part, Sketch
from scaleaudit.picturing.sources import HELD, Sources, held_as
from scaleaudit.picturing.uniting import together, united
from scaleaudit.picturing.words import label_of, note_of

# Ways into the loss that a picture has room for.
MOST_TERMS = 5
# Of more operators, or of more parts than nobody could tell apart, only the outlines are drawn.
MOST_OPERATORS = 20_000
MOST_PARTS = 150


class Draft:
    """Draws up the picture of one state."""

    def __init__(
        self,
        graph: OpGraph,
        loop: Loop,
        index: int,
        facts: StateFacts,
        judged: Sequence[JudgedState],
    ) -> None:
        self._graph = graph
        self._loop = loop
        self._index = index
        self._facts = facts
        self._judged = judged[index]
        seeds = self._judged.moving.seeds
        self._held = {
            other: held_as(judged[other])
            for other, state in enumerate(loop.states)
            if other != index and not seeds[state.boundary[-1]].depends
        }
        self._notes: list[str] = []
        self._left_out: list[str] = []
        crossings = {ref: i for i, state in enumerate(loop.states) for ref in state.boundary}
        self._end, differ = turn_to_show(graph, loop.states[index], self._judged, crossings)
        if differ:
            self._notes.append("not every turn runs the same; one of them is drawn")
        self._flow = Flow(graph, crossings)
        self._groups = Groups(self._flow)
        self._sketch = Sketch()

    def picture(self) -> Picture:
        """Put the picture together."""
        own = vertex_of_state(self._index)
        end = self._flow.trace(self._judged.moving, self._end, cut=self._judged.cut)
        self._flow.arrows.setdefault(own, [])
        turn = self._flow.ancestors([end])
        terms = [
            (term, self._flow.trace(self._judged.alone, term.value, cut=False))
            for term in united(self._judged.terms)
        ]
        drawn = None
        if len(self._flow.arrows) <= MOST_OPERATORS:
            self._group(terms)
            self._lay_out(turn)
            merge_alike(self._sketch, self._graph)
            terms = self._chosen(terms, end)
            self._add_sources(turn)
            drawn = self._drawn(own, end, terms)
        if drawn is None:
            self._outline(turn)
            terms = self._chosen(terms, end)
            drawn = self._drawn(own, end, terms)
        assert drawn is not None
        return drawn

    def _drawn(
        self, own: Vertex, end: Vertex, terms: list[tuple[JudgedTerm, Vertex]]
    ) -> Picture | None:
        """Return the picture of what is laid out; None where that is too much."""
        sketch = self._sketch
        self._add_other_states()
        ends = self._add_terms(terms)
        join_chains(sketch)
        folds = self._fold(own, [sketch.at(end), *map(sketch.now, ends)])
        if len(sketch.parts) > MOST_PARTS:
            return None
        last = sketch.at(end)
        turn = nx.ancestors(sketch.graph, last) | {last, sketch.at(own)}
        shrink(sketch, {n: place for place, (names, _) in enumerate(folds) for n in names}, turn)
        return self._finished(own, end, folds)

    def _chosen(
        self, terms: list[tuple[JudgedTerm, Vertex]], end: Vertex
    ) -> list[tuple[JudgedTerm, Vertex]]:
        """Make one of the terms that are drawn as one, and take out those without room."""
        sketch = self._sketch
        chosen = together(terms, sketch.at)
        self._left_out = []
        kept, left = chosen[:MOST_TERMS], len(chosen) - MOST_TERMS
        if left > 0:
            more = "1 more readout is" if left == 1 else f"{left} more readouts are"
            self._left_out = [f"{more} not drawn"]
            states = [vertex for vertex in self._flow.arrows if vertex < 0]
            sketch.keep({sketch.at(vertex) for vertex in (end, *states, *(v for _, v in kept))})
        return kept

    def _group(self, terms: list[tuple[JudgedTerm, Vertex]]) -> None:
        groups = self._groups
        groups.mark()
        heads = (term.head for term, _ in terms if isinstance(term.judged, Readout))
        for head in heads:
            if head is not None and head in self._flow.arrows and head not in groups.of:
                groups.claim([head], head, BoxKind.READOUT)
        for term, end in terms:
            if isinstance(term.judged, Penalty):
                groups.claim_alone(end, BoxKind.PENALTY)
            elif term.head not in groups.of:
                groups.claim_alone(end, BoxKind.READOUT)
        groups.gather()

    def _outline(self, turn: set[Vertex]) -> None:
        """Make a single part of all that a turn runs, and one of all that leads to the loss."""
        self._groups, self._sketch = Groups(self._flow), Sketch()
        sides = {True: BoxKind.OPERATORS, False: BoxKind.READOUT}
        for inside, kind in sides.items():
            vertices = [v for v in self._flow.ordered() if v >= 0 and (v in turn) is inside]
            if vertices:
                self._groups.claim(vertices, vertices[-1], kind)
        for vertex in self._flow.ordered():
            if vertex < 0:
                self._groups.claim([vertex], vertex, BoxKind.STATE)
        self._lay_out(turn)
        self._notes.append("what is between has too many parts to be shown apart")

    def _lay_out(self, turn: set[Vertex]) -> None:
        """Make parts of the groups, and links of what they hand to each other."""
        sketch, groups = self._sketch, self._groups
        members: dict[Vertex, list[Vertex]] = {}
        for vertex in self._flow.ordered():
            members.setdefault(groups.of[vertex], []).append(vertex)
        own = vertex_of_state(self._index)
        for name, vertices in members.items():
            kind = groups.kinds[name]
            if name < 0 and name != own:
                kind = BoxKind.OTHER
            sketch.add(Part(kind, vertices))
        for vertex, arrows in self._flow.arrows.items():
            for arrow in arrows:
                link = self._link(arrow, inside=vertex in turn)
                sketch.link(sketch.at(arrow.source), sketch.at(vertex), link)

    def _add_sources(self, turn: set[Vertex]) -> None:
        """Show what parts read besides the state: other states that are held, and the rest."""
        names = frozenset(state.name for state in self._loop.states)
        Sources(self._sketch, self._flow, turn, self._index, self._held, names).add()

    def _link(self, arrow: Arrow, *, inside: bool) -> Link:
        """Say what an arrow hands on, in a turn or on a way into the loss."""
        if arrow.source < 0 and not arrow.scale.depends:
            return self._held[-1 - arrow.source] if inside else HELD
        return _link(arrow.scale, reading=not inside)

    def _add_other_states(self) -> None:
        """Show where this state takes part in what another one becomes by its own turn."""
        sketch, table = self._sketch, self._judged.alone
        own = sketch.at(vertex_of_state(self._index))
        for index, state in enumerate(self._loop.states):
            vertex = vertex_of_state(index)
            through = state.name in self._facts.seen_through
            if index == self._index or not (through or sketch.holds(vertex)):
                continue
            other = sketch.at(vertex) if sketch.holds(vertex) else self._other(vertex)
            for scale in map(table.inflow.__getitem__, state.boundary):
                if scale.depends:
                    sketch.link(own, other, _link(scale, reading=False))
            if through:
                degree, role = seen_as(self._facts.visibility, None)
                sketch.link(other, self._loss(), Link(degree, role))

    def _other(self, vertex: Vertex) -> int:
        return self._sketch.add(Part(BoxKind.OTHER, [vertex]))

    def _add_terms(self, terms: list[tuple[JudgedTerm, Vertex]]) -> list[int]:
        """Lead what reads the state into the loss; return the parts that do."""
        sketch, ends = self._sketch, []
        for term, end in terms:
            name, judged = sketch.at(end), term.judged
            kind = BoxKind.PENALTY if isinstance(judged, Penalty) else BoxKind.READOUT
            degree, role = term_of(judged)
            reader = self._reader(term, name, kind)
            if reader is None:
                reader = sketch.add(Part(kind, []))
                sketch.link(name, reader, Link(degree, role))
                name = reader
            part = sketch.parts[reader]
            part.label, part.place = judged.name, judged.location
            part.note = note_of(judged, self._loop.turns)
            ends.append(name)
            if isinstance(judged, Penalty) or judged.supervised:
                silent = not self._judged.heard.depends(term.value)
                sketch.link(name, self._loss(), Link(degree, role, silent))
        return ends

    def _reader(self, term: JudgedTerm, end: int, kind: BoxKind) -> int | None:
        """Return the part that decodes or measures for a term, if there is one of its own."""
        if term.head is not None and term.head in self._flow.arrows:
            head = self._sketch.at(term.head)
            if self._sketch.parts[head].kind is kind:
                return head
        return end if self._sketch.parts[end].kind is kind else None

    def _loss(self) -> int:
        """Return the part that all terms lead into, made when it is first asked for."""
        for name, part in self._sketch.parts.items():
            if part.kind is BoxKind.LOSS:
                return name
        ref = self._graph.loss
        if ref is None:
            return self._sketch.add(Part(BoxKind.LOSS, [], "outputs"))
        place = self._graph[ref.node].location
        return self._sketch.add(Part(BoxKind.LOSS, [], "loss", place=place))

    def _fold(self, own: Vertex, ends: list[int]) -> list[tuple[tuple[int, ...], int]]:
        """Fold repeated layers of the turn, and of the ways into the loss."""
        folds: list[tuple[tuple[int, ...], int]] = []
        for end in ends:
            done = frozenset(name for names, _ in folds for name in names)
            start = self._sketch.at(own)
            folds.extend(fold(self._sketch, self._graph, start, self._sketch.now(end), done))
        return folds

    def _finished(
        self, own: Vertex, end: Vertex, folds: list[tuple[tuple[int, ...], int]]
    ) -> Picture:
        sketch = self._sketch
        order = list(nx.lexicographical_topological_sort(sketch.graph))
        number = {name: place for place, name in enumerate(order)}
        edges = [
            Edge(number[source], number[target], link.degree, link.role, silent=link.silent)
            for source, target, link in sketch.links()
        ]
        degree, role = round_trip(self._facts)
        around = Edge(number[sketch.at(end)], number[sketch.at(own)], degree, role, recurrent=True)
        return Picture(
            boxes=tuple(self._box(number[name], sketch.parts[name]) for name in order),
            edges=(*sorted(edges, key=lambda edge: (edge.source, edge.target)), around),
            folds=tuple(
                Fold(tuple(sorted({number[sketch.now(name)] for name in names})), times)
                for names, times in folds
            ),
            note="; ".join((*self._left_out, *self._notes)),
        )

    def _box(self, number: int, part: Part) -> Box:
        nodes = [self._graph[vertex] for vertex in part.vertices if vertex >= 0]
        if part.kind in (BoxKind.STATE, BoxKind.OTHER):
            state = self._loop.states[-1 - part.vertices[0]]
            return Box(number, part.kind, state.name, _turns(self._loop), _line(state.location))
        label, detail = label_of(part.kind, nodes) if nodes else ("", "")
        place = part.place or (nodes[-1].location if nodes else None)
        if part.boxes:
            label, detail = f"{part.boxes + 1} more", ""
        alike = f"{part.times} alike" if part.times > 1 and not part.boxes else ""
        detail = ", ".join(filter(None, (part.note, detail, alike)))
        return Box(number, part.kind, part.label or label, detail, _line(place), len(nodes))


def _line(place: Location | None) -> Location | None:
    """A line as a place; pictures point at no columns."""
    return None if place is None else Location(place.path, place.line)


def _turns(loop: Loop) -> str:
    return f"carried through {loop.turns} turns"


def _link(scale: Scale, *, reading: bool) -> Link:
    growth = scale.growth
    in_the_limit = growth.hi == ZERO and growth.precision is Precision.ASYMPTOTIC
    fades = reading and in_the_limit and role_of(scale) is Role.LOST
    return Link("fading" if fades else degree_of(scale), role_of(scale))
