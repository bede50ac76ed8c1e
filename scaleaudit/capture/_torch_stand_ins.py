"""What the deferred modules of torch answer by themselves: see ``_torch_deferred``.

A stand-in is a few lines that give the answer of torch's own function for plain numbers and
tensors, and ``NotImplemented`` for everything else, upon which the real one is asked. The tests
hold each against the real one.

Private names of torch, beside those that are stood in for:

- ``torch._compile``'s cache in ``fn.__dynamo_disable``, of what ``disable`` returned: what is
  kept there while the compiler is deferred is taken away when it loads.
- ``Tensor._has_symbolic_sizes_strides``: whether a tensor's sizes are more than numbers.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch

DYNAMO = "torch._dynamo"
SOURCE = "torch._dynamo.source"
SHAPES = "torch.fx.experimental.symbolic_shapes"
FUNCTIONS = "torch.utils._sympy.functions"
SYMPY = "sympy"

Answer = Callable[..., Any]

_DISABLED = "__dynamo_disable"
_NUMBERS = (bool, int, float)
_PLAIN = (*_NUMBERS, type(None))


def _is_plain(value: object) -> bool:
    """Tell whether a value holds no symbol and no expression."""
    if type(value) in _PLAIN:
        return True
    if isinstance(value, torch.Tensor):
        return not value._has_symbolic_sizes_strides
    return isinstance(value, (tuple, list)) and all(map(_is_plain, value))


# ---- symbolic shapes


def _same(a: object, *_: object) -> Any:
    """guard_or_false(a), and its like, is a, where a is True or False."""
    return a if type(a) is bool else NotImplemented


def _and(x: object, *others: object) -> Any:
    """sym_and(x, *others) tells whether all are true."""
    return all((x, *others)) if _are_bools((x, *others)) else NotImplemented


def _or(x: object, *others: object) -> Any:
    """sym_or(x, *others) tells whether any is true."""
    return any((x, *others)) if _are_bools((x, *others)) else NotImplemented


def _are_bools(values: tuple[object, ...]) -> bool:
    return all(type(value) is bool for value in values)


def _equal(x: object, y: object) -> Any:
    """sym_eq(x, y) compares whole numbers, and lists of them of any depth."""
    if type(x) is int and type(y) is int:
        return x == y
    if not (isinstance(x, (tuple, list)) and isinstance(y, (tuple, list))):
        return NotImplemented
    found = [_equal(*pair) for pair in zip(x, y, strict=False)]
    if NotImplemented in found:
        return NotImplemented
    return len(x) == len(y) and all(found)


def _nothing(value: object) -> Any:
    """free_symbols(value), and its like, is empty for what is plain."""
    return frozenset() if _is_plain(value) else NotImplemented


def _no_more(value: object) -> Any:
    """_iterate_exprs(value), and its like, yields nothing for what is plain."""
    return iter(()) if _is_plain(value) else NotImplemented


def _no(value: object) -> Any:
    """is_nested_int(value), and its like, is false for what is plain."""
    return False if _is_plain(value) else NotImplemented


def _concrete(value: object) -> Any:
    """has_guarding_hint(value) is true for a number."""
    return True if type(value) in _NUMBERS else NotImplemented


def _not_symbolic(value: object) -> Any:
    """is_symbolic(value) is false for a number."""
    return False if type(value) in _NUMBERS else NotImplemented


def _number(a: object, *_: object, **__: object) -> Any:
    """guard_int(a), and its like, is a where that is a whole number."""
    return a if type(a) is int else NotImplemented


def _hint(a: object) -> Any:
    """guarding_hint_or_throw(a) is a where that is a whole number, True or False."""
    return a if type(a) in (bool, int) else NotImplemented


def _not_known(*_: object, **__: object) -> Any:
    """The real one warns of its end, and is imported by many who don't call it."""
    return NotImplemented


def _unbound(shape_env: object, *_: object, **__: object) -> Any:
    """compute_unbacked_bindings(None, ...) is None, as nothing is bound."""
    return None if shape_env is None else NotImplemented


class GuardOnDataDependentSymNode(RuntimeError):  # noqa: N818 - torch's name
    """Stands in ``except`` clauses, and is never raised: there is no symbol to raise it."""


# ---- the compiler


_passed: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()


def _disable(fn: Any = None, *_: object, **options: object) -> Any:
    """disable(fn, recursive, wrapping=False) is fn, as long as nothing compiles.

    It is torch's own call for its own functions. A user's is left to the real one: what that
    returns can be told from fn.
    """
    if not callable(fn) or options != {"wrapping": False}:
        return NotImplemented
    _passed.add(fn)
    return fn


def forget_disabled() -> None:
    """Have torch ask again, now that the compiler is there, what it asked of the stand-in."""
    for fn in _passed:
        vars(fn).pop(_DISABLED, None)
    _passed.clear()


class _Source:
    """ConstantSource(name), and its like, names a tensor of which a fake is made.

    It is handed on and never read, as no shape is a symbol.
    """

    def __init__(self, *named: object) -> None:
        self.named = named


# Of a class that has no instance as long as its module has not run.
NO_INSTANCES = object()

# By module, those that a module needs before it. Not every version of torch has all names.
STAND_INS: Mapping[str, Mapping[str, Answer | object]] = {
    SYMPY: {"Basic": NO_INSTANCES},
    FUNCTIONS: {"Max": NO_INSTANCES},
    SHAPES: {
        "GuardOnDataDependentSymNode": GuardOnDataDependentSymNode,
        "_iterate_exprs": _no_more,
        "_iterate_nodes": _no_more,
        "compute_unbacked_bindings": _unbound,
        "expect_true": _same,
        "free_symbols": _nothing,
        "free_unbacked_symbols": _nothing,
        "guard_bool": _same,
        "guard_int": _number,
        "guard_or_false": _same,
        "guard_or_true": _same,
        "guard_size_oblivious": _not_known,
        "guarding_hint_or_throw": _hint,
        "has_free_symbols": _no,
        "has_free_unbacked_symbols": _no,
        "has_guarding_hint": _concrete,
        "has_hint": _concrete,
        "is_nested_int": _no,
        "is_symbolic": _not_symbolic,
        "optimization_hint": _number,
        "size_hint": _number,
        "statically_known_true": _same,
        "sym_and": _and,
        "sym_eq": _equal,
        "sym_or": _or,
    },
    DYNAMO: {"disable": _disable},
    SOURCE: {
        "AttrSource": _Source,
        "ConstantSource": _Source,
        "EphemeralSource": _Source,
        "RandomValueSource": NO_INSTANCES,
    },
}
