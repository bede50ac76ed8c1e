"""From a recording with recalled calls to a graph of operators alone, long loops shortened.

First the turns of long loops are left out that say nothing new (``repeats``), then every recalled
call that stays is written out: the operators of the call that it repeats, at its own place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg

from scaleaudit.capture.places import Place
from scaleaudit.capture.repeats import NOTHING, Plan, plan
from scaleaudit.capture.scribe import pick_item
from scaleaudit.capture.session import Recording
from scaleaudit.capture.trace import Name, Origin, Recall, Repeat, Trace
from scaleaudit.capture.units import Units, Way, root_of
from scaleaudit.domain.graph import Frame, ModuleCall

_ATEN = torch.ops.aten
# Loops in loops, and loops inside of recalled calls, are shortened one after the other.
_ROUNDS = 3


def unrolled(recording: Recording, *, shorten: bool) -> Recording:
    """Write out what was recalled.

    Args:
        recording: As it was recorded.
        shorten: Whether turns of long loops are left out.
    """
    for _ in range(_ROUNDS):
        program = Units(recording)
        chosen = plan(program) if shorten else NOTHING
        if not chosen.cuts and not recording.trace.recalls:
            break
        recording = _Writer(program, chosen).run()
    return recording


class _Writer:
    """Writes a program anew: what stays of it, recalled calls written out."""

    def __init__(self, program: Units, chosen: Plan) -> None:
        self._program = program
        self._old = program.trace
        self._plan = chosen
        self._new = Trace(fx.Graph(), serials=self._old.serials, notes=self._old.notes)
        self._scope = _Scope({}, {}, ())
        self._written: list[fx.Node] = []

    def run(self) -> Recording:
        """Write it."""
        self._write_leaves()
        spans: dict[int, tuple[fx.Node, fx.Node]] = {}
        for index, node in enumerate(self._program.calls):
            if self._plan.stays(index):
                before = len(self._written)
                self._write(node, self._scope, index)
                written = [n for n in self._written[before:] if n in self._new.origins]
                if written:
                    spans[index] = written[0], written[-1]
        self._note_repeats(spans)
        return self._finished()

    def _write_leaves(self) -> None:
        for node in self._old.graph.nodes:
            if self._old.is_leaf(node):
                new = self._new.graph.placeholder(node.name)
                self._new.origins[new] = self._old.origins[node]
                self._scope.values[node, ()] = new

    def _write(self, node: fx.Node, scope: _Scope, reader: int) -> None:
        """Write one call, or all of a recalled one."""
        recall = self._old.recalls.get(node)
        if recall is not None:
            self._write_out(node, recall, scope, reader)
            return

        def new(source: fx.Node) -> fx.Node:
            return self._value(source, scope, reader)

        args, kwargs = map_arg(node.args, new), map_arg(node.kwargs, new)
        written = self._add(node.target, args, kwargs)
        origin = self._old.origins[node]
        self._new.origins[written] = scope.moved(origin) if scope.moves else origin
        scope.values[node, ()] = written

    def _write_out(self, node: fx.Node, recall: Recall, scope: _Scope, reader: int) -> None:
        """Write the operators of the call that a recalled one repeats."""
        template = recall.template
        values = [self._value(mine, scope, reader) for mine in recall.given]
        swapped = {old: self._value(mine, scope, reader) for old, mine in recall.swap.nodes.items()}
        given = {**scope.swapped, **swapped, **dict(zip(template.given, values, strict=True))}
        move = _Move(self._old, recall, self._old.origins[node].place)
        inner = _Scope(given, {}, (move, *scope.moves), {**scope.swapped, **swapped})
        start, stop = template.nodes
        for new, names in zip(values, template.names, strict=True):
            self._add_names(new, inner.renamed(names))
        for each in self._old.calls[start:stop]:
            if recall.shares_casts and self._is_cast(each):
                inner.values[each, ()] = self._value(each, self._scope, reader)
            elif each in self._old.origins:
                self._write(each, inner, reader)
        for output, old in enumerate(template.outputs):
            value = scope.values[node, (output,)] = self._value(old, inner, reader)
            self._new.names_of(value).clear()  # of what held the recorded call's output later
            self._add_names(value, inner.renamed(template.made_names[output]))
            self._add_names(value, scope.renamed(recall.names[output]))

    def _is_cast(self, node: fx.Node) -> bool:
        """Tell whether an operator casts a parameter, as autocast does once for all calls."""
        source = node.args[0] if node.target is _ATEN._to_copy.default else None
        return isinstance(source, fx.Node) and self._old.is_leaf(source)

    def _add_names(self, node: fx.Node, names: list[Name]) -> None:
        found = self._new.names_of(node)
        found.extend(name for name in names if name not in found)

    def _value(self, node: fx.Node, scope: _Scope, reader: int | None) -> fx.Node:
        """Return what stands for an old value in the new graph."""
        if node in scope.given:
            return scope.given[node]
        root, way = root_of(node)
        if (root, ()) in scope.values or (root, way) in scope.values:
            return self._part(node, root, way, scope)
        index = self._program.index.get(root)
        if index is not None:
            root = self._program.calls[self._plan.instead(index, reader)]
        return self._part(node, root, way, self._scope)

    def _part(self, node: fx.Node, root: fx.Node, way: Way, scope: _Scope) -> fx.Node:
        """Return one of the tensors that a call returned."""
        if (root, way) not in scope.values:
            whole = self._part(node, root, way[:-1], scope)
            new = self._add(pick_item, (whole, way[-1]), {})
            if node in self._old.items and way == root_of(node)[1]:
                call = scope.values[root, ()]
                self._new.items[new] = (call, self._old.items[node][1])
            scope.values[root, way] = new
        return scope.values[root, way]

    def _add(self, target: Any, args: Any, kwargs: Any) -> fx.Node:
        name = f"value_{len(self._written) + 1}"
        node = self._new.graph.create_node("call_function", target, args, kwargs, name=name)
        self._written.append(node)
        return node

    def _note_repeats(self, spans: dict[int, tuple[fx.Node, fx.Node]]) -> None:
        """Keep in mind which operators stand for more turns than one, those known before too."""
        for cut in self._plan.cuts:
            turn = [spans[i] for i in range(cut.start - cut.run.period, cut.start) if i in spans]
            self._new.repeats.append(Repeat(turn[0][0], turn[-1][1], cut.times))
        for repeat in self._old.repeats:
            first, last = (self._program.index[n] for n in (repeat.first, repeat.last))
            if first in spans and last in spans:
                self._new.repeats.append(Repeat(spans[first][0], spans[last][1], repeat.times))

    def _finished(self) -> Recording:
        old = self._program.recording
        outputs = [(name, self._value(node, self._scope, None)) for name, node in old.outputs]
        loss = None if old.loss is None else self._value(old.loss, self._scope, None)
        made_up = {self._scope.values[n, ()] for n in old.made_up if (n, ()) in self._scope.values}
        self._new.graph.output((loss, tuple(node for _, node in outputs)))
        return replace(old, trace=self._new, loss=loss, outputs=outputs, made_up=made_up)


@dataclass(slots=True)
class _Scope:
    """What old values are called in the new graph, in the program or in one call written out.

    Attributes:
        given: The values that the call was given.
        values: By call and way, what was written for it.
        moves: From the place of the recorded call to this one's, the innermost first.
        swapped: What stands for weights of the recorded call's module, in calls inside of it too.
    """

    given: dict[fx.Node, fx.Node]
    values: dict[tuple[fx.Node, Way], fx.Node]
    moves: tuple[_Move, ...]
    swapped: dict[fx.Node, fx.Node] = field(default_factory=dict)

    def moved(self, origin: Origin) -> Origin:
        """Return the origin of an operator at its place in this call."""
        place, names = origin.place, origin.names
        for move in self.moves:
            place, names = move.place(place), move.names(names)
        return Origin(  # at a fifth of the cost of replace()
            place,
            origin.site,
            origin.grad,
            origin.outputs,
            origin.kind,
            origin.name,
            origin.weight,
            origin.value,
            origin.silent,
            list(names),
        )

    def renamed(self, names: list[Name]) -> list[Name]:
        """Return names that a call saw as they are seen here."""
        for move in self.moves:
            names = move.names(names)
        return names


@dataclass(slots=True)
class _Move:
    """The way from the place of a recorded call to that of one that repeats it."""

    trace: Trace
    recall: Recall
    after: Place
    _serials: dict[int, int] = field(default_factory=dict)
    _places: dict[int, tuple[Place, Place]] = field(default_factory=dict)

    def place(self, place: Place) -> Place:
        """Return where an operator of the recorded call would stand in this one."""
        found = self._places.get(id(place))
        if found is None:
            found = self._places[id(place)] = (place, self._moved(place))
        return found[1]

    def names(self, names: list[Name]) -> list[Name]:
        """Return the names of variables inside the call; those outside are another turn's."""
        outer = len(self.recall.template.place.frames)
        further = len(self.after.frames) - outer
        return [(depth + further, f, v) for depth, f, v in names if depth >= outer]

    def _moved(self, place: Place) -> Place:
        before, after = self.recall.template.place, self.after
        frames = (
            Frame(frame.location, frame.function, self._serial(frame.running))
            for frame in place.frames[len(before.frames) :]
        )
        turn = ((self._serial(s), offset) for s, offset in place.turn[len(before.turn) :])
        modules = map(self._module, place.modules[len(before.modules) :])
        return Place(
            (*after.frames, *frames),
            (*after.turn, *turn),
            (*after.modules, *modules),
            place.path,
            self.recall.swap.modules.get(place.module, (place.module, ""))[0],
            place.function,
        )

    def _serial(self, serial: int) -> int:
        if serial not in self._serials:
            self._serials[serial] = next(self.trace.serials)
        return self._serials[serial]

    def _module(self, call: ModuleCall) -> ModuleCall:
        swapped = self.recall.swap.modules
        identity, path = swapped.get(call.identity, (call.identity, call.path))
        before = self.recall.template.counts.get(call.identity, 0)
        count = call.call - before + self.recall.counts.get(identity, 0)
        return ModuleCall(path, identity, count)
