"""Values from which their own mean is taken: what is left is as long at most, and adds up to 0.

x - mean(x) is an orthogonal projection of x. It stays centred where it is multiplied by what is the
same all along the dims, as the reciprocal of a standard deviation is. The mean of a centred state is
0, so that a sum of it and something else has the mean of that other part alone.
"""

from __future__ import annotations

import math

from scaleaudit.domain.graph import Argument, Node, NodeKind, OpGraph, Ref
from scaleaudit.domain.scale import CONSTANT, VANISHING, ZERO, Atom, Form, Interval, Poly, Scale
from scaleaudit.scale import algebra
from scaleaudit.scale.copying import replace
from scaleaudit.scale.matrices import SAME
from scaleaudit.scale.mixing import stretched

# Which output of an operator is a mean.
_MEANS = {"aten.mean": 0, "aten.var_mean": 1, "aten.std_mean": 1}
_NORMS = frozenset({"aten.layer_norm", "aten.native_layer_norm"})
_PROJECTION = Scale(CONSTANT, norm=Interval(0.0, 1.0))


def centred_dims(graph: OpGraph, ref: Ref) -> frozenset[int]:
    """Return the dims, from the end, over which together a value adds up to 0; none if unknown."""
    node = graph[ref.node]
    if node.kind is not NodeKind.CALL or ref.output:
        return frozenset()
    arguments = dict(node.arguments)
    if node.base_op in _NORMS:
        shape = arguments.get("normalized_shape")
        plain = arguments.get("weight") is None and arguments.get("bias") is None
        return (
            frozenset(range(-len(shape), 0)) if plain and isinstance(shape, tuple) else frozenset()
        )
    if node.base_op == "aten.sub":
        return _without_mean(graph, node)
    if node.base_op in SAME:
        return centred_dims(graph, node.operands[0])
    if node.base_op in ("aten.mul", "aten.div") and len(node.arguments[:2]) == 2:
        (_, first), (_, second) = node.arguments[:2]
        pairs = ((first, second), (second, first))
        for value, factor in pairs if node.base_op == "aten.mul" else pairs[:1]:
            if isinstance(value, Ref) and graph.meta(value).shape == node.outputs[0].shape:
                dims = centred_dims(graph, value)
                if dims and _is_same_along(graph, factor, dims):
                    return dims
    return frozenset()


def _is_same_along(graph: OpGraph, factor: Argument, dims: frozenset[int]) -> bool:
    if not isinstance(factor, Ref):
        return True
    shape = graph.meta(factor).shape
    return all(-dim > len(shape) or shape[dim] == 1 for dim in dims)


def _without_mean(graph: OpGraph, node: Node) -> frozenset[int]:
    """The dims over which x - mean(x) takes the mean; none where a node is nothing of the kind."""
    if len(node.operands) != 2 or dict(node.arguments).get("alpha", 1) != 1:
        return frozenset()
    whole, part = (_origin(graph, ref) for ref in node.operands)
    mean = graph[part.node]
    if mean.kind is not NodeKind.CALL or _MEANS.get(mean.base_op) != part.output:
        return frozenset()
    if _origin(graph, mean.operands[0]) != whole:
        return frozenset()
    arguments, rank = dict(mean.arguments), len(node.outputs[0].shape)
    dim = arguments.get("dim")
    if dim is None or dim == ():
        return frozenset(range(-rank, 0))
    chosen = dim if isinstance(dim, tuple) else (dim,)
    dims = frozenset(d % rank - rank for d in chosen if isinstance(d, int))
    # Without the dims, a mean over the leading ones alone lines up with what it is taken from.
    lines_up = arguments.get("keepdim") is True or dims == frozenset(range(-rank, len(dims) - rank))
    return dims if lines_up else frozenset()


def _origin(graph: OpGraph, ref: Ref) -> Ref:
    """The value of which another is a copy."""
    while (node := graph[ref.node]).kind is NodeKind.CALL and node.base_op in SAME:
        ref = node.operands[0]
    return ref


def noted(graph: OpGraph, node: Node, result: Scale, x: Scale, mean: Scale) -> Scale:
    """Write x - mean(x) as m x where x carries a state whose mean is left: m makes nothing longer."""
    dims = _without_mean(graph, node) if mean.growth.hi > ZERO else frozenset()
    if not dims:
        return result
    if not mean.growth.attained and without_centred(x, dims).growth.lo == VANISHING:
        return x  # what is centred has no mean to lose
    count = math.prod(x.shape[dim] for dim in dims)
    row = replace(x, given=x.form, shape=(count,))
    made = stretched(row, result, _PROJECTION, -1, -1)
    if made is None:
        return result
    before = {gate for poly in x.form.parts.values() for gate in poly.atoms()}
    for gate in {gate for poly in made.form.parts.values() for gate in poly.atoms()} - before:
        gate.centred = dims
    return made


def _adds_up_to_nothing(atom: Atom, poly: Poly, dims: frozenset[int] | None) -> bool:
    """Whether a centred state, or the projection of one, is all that a part is."""

    def is_centred(each: Atom) -> bool:
        return bool(each.centred) and (dims is None or each.centred <= dims)

    if poly.constant is not None:
        return is_centred(atom)
    return all(len(monomial) == 1 and is_centred(monomial[0]) for monomial in poly.terms)


def without_centred(x: Scale, dims: frozenset[int] | None) -> Scale:
    """Return a value without the states in it that add up to 0 over some dims (all, if None)."""
    if x.opaque or x.weighted is not None or not x.depends:
        return x
    gone = {atom for atom, poly in x.form.parts.items() if _adds_up_to_nothing(atom, poly, dims)}
    if not gone:
        return x
    parts = {atom: poly for atom, poly in x.form.parts.items() if atom not in gone}
    left = algebra.from_form(Form(parts, x.form.rest))
    if left.is_zero:  # nothing but what rounding leaves
        return replace(x, growth=replace(x.growth, lo=VANISHING, attained=False), given=x.form)
    return replace(left, given=left.form, shape=x.shape, support=x.support, learned=x.learned)
