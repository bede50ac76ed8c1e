"""The interpreter: walks a graph in order and asks the laws; it knows no operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import Enum
from typing import TypeAlias

from scaleaudit.domain.facts import Opaque
from scaleaudit.domain.graph import Argument, Node, NodeKind, OpGraph, Ref
from scaleaudit.domain.packs import Packed, unpacked
from scaleaudit.domain.scale import REALS, Interval, Scale
from scaleaudit.scale import algebra, centring, matrices, programmed, shares, stacks, unseen
from scaleaudit.scale import parts as parting
from scaleaudit.scale.algebra import Arg
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws import law_for
from scaleaudit.scale.laws.table import Law, NotUnderstood, Result
from scaleaudit.scale.parts import Parts
from scaleaudit.scale.shifts import Splitter


class View(Enum):
    """What is asked of a value: how it changes, or how its gradient lets it change.

    In the gradient view whatever stops the gradient (detach, no_grad, integers, truth values)
    is a constant: what the loss polices is what it sees in both views.
    """

    VALUE = "value"
    GRADIENT = "gradient"


class ScaleTable:
    """The scales of one pass, beside the graph.

    Attributes:
        seeds: The values that were cut and made free inputs.
        inflow: For every seed, the scale of what the program computed for it.
        parts: Where a value is joined from parts that are seen differently, each by itself.
    """

    def __init__(self, base: _Independents, seeds: Mapping[Ref, Scale]) -> None:
        self._base = base
        self.seeds = dict(seeds)
        self.inflow: dict[Ref, Scale] = {}
        self.rows: dict[int, tuple[Scale, ...]] = {}
        self.parts: dict[Ref, Parts] = {}
        self._seeded = {ref.node for ref in self.seeds}

    def __getitem__(self, ref: Ref) -> Scale:
        if ref.node in self._seeded and ref in self.seeds:
            return self.seeds[ref]
        row = self.rows.get(ref.node)
        return row[ref.output] if row is not None else self._base.scale(ref)

    def reached(self, ref: Ref) -> bool:
        """Whether a value is computed from the states, even if nothing is left of them."""
        return ref.node in self.rows or (ref.node in self._seeded and ref in self.seeds)

    def cuts(self, way: tuple[int, ...]) -> bool:
        """Whether a value on a way is a free input, so that nothing comes from before it."""
        return not self._seeded.isdisjoint(way)

    def parts_of(self, ref: Ref) -> Parts:
        """Return the parts of a value; a free input has none, whatever was joined for it."""
        return {} if ref in self.seeds else self.parts.get(ref, {})

    def depends(self, ref: Ref) -> bool:
        """Whether the states reach a value."""
        if ref.node in self._seeded and ref in self.seeds:
            return True
        row = self.rows.get(ref.node)
        return row is not None and row[ref.output].depends


_NO_LAW = "no law is known for it"


class Interpreter:
    """Runs passes over one graph; what no state reaches is computed once and shared."""

    def __init__(self, graph: OpGraph, laws: Mapping[str, Law]) -> None:
        self.graph = graph
        self._laws = dict(laws)
        self._law_of: dict[str, Law | None] = {}
        self._base = _Independents(self)
        self._packed = unpacked(graph)
        self._unpacking = {ref.node for ref in self._packed}
        self._opaque: dict[Opaque, None] = {}

    def not_understood(self) -> tuple[Opaque, ...]:
        """Return what has no law, whether or not a state reaches it, and calls no law covers."""
        lawless = (
            Opaque(node.op, node.location, self._lawless(node))
            for node in self.graph.nodes
            if node.kind is NodeKind.CALL and self._law(node.op) is None
        )
        return tuple(self._opaque | dict.fromkeys(lawless))

    def _lawless(self, node: Node) -> str:
        """Say that an operator has no law, and which law of none that is met may be meant for it."""
        if not self.graph.declared:
            return _NO_LAW
        met = {name for each in self.graph.nodes for name in (each.op, each.base_op)}
        unmet = [law.operator for law in self.graph.declared if law.operator not in met]
        near = get_close_matches(node.base_op, unmet, 1)
        said = f"; one is declared for {near[0]}, which is never called" if near else ""
        return f"{_NO_LAW}{said}"

    def run(self, seeds: Mapping[Ref, Scale], view: View = View.VALUE) -> ScaleTable:
        """Infer the scale of everything downstream of the seeds.

        Args:
            seeds: Free inputs by the value that they replace.
            view: Whether to follow values or gradients.
        """
        table = ScaleTable(self._base, seeds)
        rows, reached = table.rows, table.reached
        for node in self.graph.nodes[min((ref.node for ref in seeds), default=0) :]:
            if any(map(reached, node.operands)):
                row = self._row(node, table, view)
                rows[node.id] = tuple(map(parting.without_pieces, row))
                self._follow_parts(node, row, table, view)
        for ref in sorted(seeds, key=lambda ref: ref.node):
            made = rows.get(ref.node)
            table.inflow[ref] = made[ref.output] if made else self._base.scale(ref)
        return table

    def _row(self, node: Node, table: ScaleTable, view: View) -> tuple[Scale, ...]:
        """Return the scales of a node's outputs; what comes out of a pack is what went in."""
        scales = self.apply(node, table, view)
        if node.id not in self._unpacking:
            return scales
        return tuple(
            scale
            if packed is None or table.cuts(packed.way)
            else self._taken_out(packed, table, view)
            for output, scale in enumerate(scales)
            for packed in (self._packed.get(Ref(node.id, output)),)
        )

    def _taken_out(self, packed: Packed, table: ScaleTable, view: View) -> Scale:
        scale = table[packed.source]
        if view is View.GRADIENT and any(stops_gradient(self.graph[n]) for n in packed.way):
            return replace(algebra.independent(scale.span), shape=scale.shape)
        return scale

    def _follow_parts(
        self, node: Node, row: tuple[Scale, ...], table: ScaleTable, view: View
    ) -> None:
        """Note the parts of a node's outputs: those of its operands, or those joined here."""
        held = [table.parts_of(ref) for ref in node.operands]
        labels = parting.labels_of(held)
        if not labels and not any(scale.pieces for scale in row):
            return
        results = {label: self.apply(node, _OfPart(table, label), view) for label in labels}
        for output, whole in enumerate(row):
            made = {label: result[output] for label, result in results.items()}
            found = parting.made(whole, made, held) if labels else parting.joined(whole)
            if found:
                table.parts[Ref(node.id, output)] = found

    def apply(self, node: Node, table: ScaleSource, view: View) -> tuple[Scale, ...]:
        """Return the scales of a node's outputs."""
        given = [table[ref] for ref in node.operands]
        operands = self._seen(node, given, table)
        stopped = view is View.GRADIENT and stops_gradient(node)
        hidden = [reason for scale in operands if scale.opaque for reason in scale.opaque]
        law = self._law(node.op)
        if hidden and not (law and law.recovers):
            own = () if law else (Opaque(node.op, node.location, self._lawless(node)),)
            scales = tuple(algebra.unknown(*hidden, *own) for _ in node.outputs)
        elif law is None:
            scales = self._without_law(node, operands)
        else:
            apply = law.gradient if view is View.GRADIENT and law.gradient else law.apply
            scales = self._by_law(node, law, apply, _arguments(node, operands), operands)
        handed_on = len(scales) > 1 or any(scales[0] is scale for scale in operands)
        finished = tuple(
            [
                _finished(
                    scale,
                    meta.shape,
                    stopped=stopped
                    or (view is View.GRADIENT and not is_differentiable(meta.dtype)),
                    handed_on=handed_on,
                )
                for scale, meta in zip(scales, node.outputs, strict=True)
            ]
        )
        finished = programmed.noted(self.graph, node, finished, table.__getitem__)
        if node.base_op == "aten.sub" and len(operands) == 2 and not stopped:
            less = unseen.noted(self.graph, node, finished[0], operands)
            if operands is given:
                less = centring.noted(self.graph, node, less, *operands)
            finished = (less,)
        finished = shares.noted(self.graph, node, finished, table.__getitem__)
        return stacks.noted(node, finished, table.__getitem__)

    def _seen(self, node: Node, operands: list[Scale], table: ScaleSource) -> list[Scale]:
        """Leave out of the operands what an operator does not see of them."""
        if not unseen.may_drop(node, operands):
            return operands
        splitter = Splitter(self.graph, table.__getitem__, table.seeds, self._evaluated)
        return unseen.without(self.graph, node, operands, splitter)

    def _evaluated(self, node: Node, operands: Sequence[Scale]) -> Scale:
        """What an operator would make of other operands than its own; unknown where its law fails."""
        law = self._law(node.op)
        if law is None:
            return algebra.unknown()
        try:
            result = _applied(node, law, law.apply, _arguments(node, operands))
        except (NotUnderstood, *_UNFORESEEN):
            return algebra.unknown()
        first = result[0] if isinstance(result, tuple) else result
        return _finished(first, node.outputs[0].shape, stopped=False, handed_on=True)

    def _law(self, op: str) -> Law | None:
        if op not in self._law_of:
            self._law_of[op] = law_for(op, self._laws)
        return self._law_of[op]

    def _by_law(
        self,
        node: Node,
        law: Law,
        apply: Callable[..., Result],
        arguments: list[Arg],
        operands: list[Scale],
    ) -> tuple[Scale, ...]:
        try:
            result = _applied(node, law, apply, arguments)
        except NotUnderstood as reason:
            return self._without_law(node, operands, str(reason))
        except _UNFORESEEN as error:
            # A call that the law does not foresee is unknown, like an operator without a law.
            return self._without_law(node, operands, f"its law does not cover this call: {error}")
        if isinstance(result, Scale) and len(node.outputs) == 1:
            return (result,)
        # Overloads share a law, and some of them return less.
        scales = (result if isinstance(result, tuple) else (result,))[: len(node.outputs)]
        missing = len(node.outputs) - len(scales)
        scales += tuple(algebra.independent() for _ in range(missing))
        if not any(scale.opaque == (algebra.UNTOLD,) for scale in scales):
            return scales
        return self._told(node, scales, depends=any(scale.depends for scale in operands))

    @staticmethod
    def _told(node: Node, scales: tuple[Scale, ...], *, depends: bool) -> tuple[Scale, ...]:
        """Name the operator in what its law says nothing of."""
        reason = Opaque(node.op, node.location, algebra.UNTOLD.reason)
        untold = algebra.unknown(reason) if depends else algebra.independent()
        return tuple(untold if scale.opaque == (algebra.UNTOLD,) else scale for scale in scales)

    def _without_law(
        self, node: Node, operands: list[Scale], reason: str = ""
    ) -> tuple[Scale, ...]:
        if not any(scale.depends for scale in operands):
            learned = any(scale.learned for scale in operands)
            return tuple(algebra.independent(learned=learned) for _ in node.outputs)
        opaque = Opaque(node.op, node.location, reason or self._lawless(node))
        self._opaque.setdefault(opaque)
        return tuple(algebra.unknown(opaque) for _ in node.outputs)


class _OfPart:
    """The scales of a table with one part in the place of every value that has it."""

    def __init__(self, table: ScaleTable, label: parting.Label) -> None:
        self._table = table
        self._label = label

    @property
    def seeds(self) -> Container[Ref]:
        """The values that were cut and made free inputs."""
        return self._table.seeds

    def __getitem__(self, ref: Ref) -> Scale:
        return parting.part_of(self._table[ref], self._table.parts_of(ref), self._label)


ScaleSource: TypeAlias = "ScaleTable | _Independents | _OfPart"


class _Independents:
    """Scales of the values that no state reaches, on demand."""

    seeds: Container[Ref] = ()

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._rows: dict[int, tuple[Scale, ...]] = {}

    def __getitem__(self, ref: Ref) -> Scale:
        return self.scale(ref)

    def scale(self, ref: Ref) -> Scale:
        found = self._rows.get(ref.node)
        if found is not None:
            return found[ref.output]
        pending = [ref.node]
        graph = self._interpreter.graph
        while pending:
            node = graph[pending[-1]]
            needed = [r.node for r in node.operands if r.node not in self._rows]
            if node.id in self._rows:
                pending.pop()
            elif needed:
                pending.extend(needed)
            else:
                self._rows[node.id] = self._row(node)
                pending.pop()
        return self._rows[ref.node][ref.output]

    def _row(self, node: Node) -> tuple[Scale, ...]:
        if node.kind is NodeKind.CALL:
            row = self._interpreter.apply(node, self, View.VALUE)
            scales = map(parting.without_pieces, row)
            return tuple(self._normed(Ref(node.id, i), scale) for i, scale in enumerate(scales))
        meta = node.outputs[0]
        learned = node.kind is NodeKind.PARAMETER
        low = -math.inf if meta.low is None else meta.low
        high = math.inf if meta.high is None else meta.high
        span = REALS if learned else Interval(low, high)
        return (replace(algebra.independent(span, learned=learned), shape=meta.shape),)

    def _normed(self, ref: Ref, scale: Scale) -> Scale:
        """Add what the way in which a matrix is computed says of its norm."""
        norm = matrices.norm_of(self._interpreter.graph, ref, self.scale)
        if norm == scale.norm:
            return scale
        return replace(scale, given=scale.form, norm=norm)


# What a law comes to in a call that it does not foresee.
_UNFORESEEN = (TypeError, ValueError, IndexError, KeyError, ZeroDivisionError)


def _applied(node: Node, law: Law, apply: Callable[..., Result], arguments: list[Arg]) -> Result:
    """Ask a law, of more than the arguments where it wants that."""
    extra: dict[str, object] = {"out": node.outputs} if law.wants_out else {}
    if law.wants_names:
        extra["names"] = tuple(name for name, _ in node.arguments)
    return apply(*arguments, **extra)


def _arguments(node: Node, operands: Sequence[Scale]) -> list[Arg]:
    """The arguments of a call with its operands in the places of the refs."""
    scales = iter(operands)
    return [
        _resolved(argument, scales) if isinstance(argument, (Ref, tuple)) else argument
        for _, argument in node.arguments
    ]


def _resolved(argument: Argument, scales: Iterator[Scale]) -> Arg:
    """Replace refs by the next of the scales, lists included."""
    if isinstance(argument, Ref):
        return next(scales)
    if isinstance(argument, tuple):
        return tuple(_resolved(item, scales) for item in argument)
    return argument


# Gradients of these are zero everywhere.
FLAT = frozenset({
    "aten.sign", "aten.sgn", "aten.round", "aten.floor", "aten.ceil", "aten.trunc", "aten.heaviside",
    "aten.floor_divide", "aten.histc",
})  # fmt: skip
STOPS = frozenset({"aten.detach", "aten.detach_", "aten._local_scalar_dense", "aten.item"})


# What says itself what becomes of gradients.
OWN_GRADIENT = frozenset({"scaleaudit.custom_gradient"})


def stops_gradient(node: Node) -> bool:
    """Whether no gradient flows back through a node."""
    if not node.grad or node.base_op in STOPS or node.base_op in FLAT:
        return True
    if node.base_op == "aten.div" and dict(node.arguments).get("rounding_mode") is not None:
        return True
    return not any(is_differentiable(meta.dtype) for meta in node.outputs)


def is_differentiable(dtype: str) -> bool:
    """Whether a dtype carries gradients."""
    return "float" in dtype or "complex" in dtype


def _finished(scale: Scale, shape: tuple[int, ...], *, stopped: bool, handed_on: bool) -> Scale:
    """Give a result the shape that it has.

    Args:
        stopped: Whether no gradient flows back through it; the indices of a maximum, one output
            of two, have none.
        handed_on: Whether the scale may be that of another value, so that it stays the same atom;
            a new one gets its atom when it is asked for.
    """
    if stopped or (scale.depends and not scale.opaque and scale.is_zero):
        return replace(algebra.independent(scale.span), shape=shape)
    if scale.norm is not None or shares.has_notes(scale):
        # An operand's, which says nothing of what became of it.
        scale, handed_on = shares.without_notes(replace(scale, given=scale.form, norm=None)), True
    if scale.shape == shape:
        return scale
    support = algebra.realigned(scale.support, len(shape))
    if handed_on or "form" in scale.__dict__:
        return algebra.same_value(scale, shape, support)
    return replace(scale, shape=shape, support=support)
