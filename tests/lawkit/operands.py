"""Operands of every kind for the calls of one operator."""

from __future__ import annotations

from collections.abc import Callable

from lawkit.programs import BASE_SHAPE, Program
from scaleaudit.domain.graph import Ref


def _raw(p: Program) -> Ref:
    return p.state(*BASE_SHAPE)


def _shifted(p: Program) -> Ref:
    return p("aten.add.Tensor", _raw(p), p.parameter(*BASE_SHAPE))


def _positive(p: Program) -> Ref:
    return p("aten.abs.default", _raw(p))


def _normed(p: Program) -> Ref:
    x = _raw(p)
    return p("aten.div.Tensor", x, p("aten.linalg_vector_norm.default", x, 2, [-1], True))


def _normed_up_to_eps(p: Program) -> Ref:
    return p(
        "aten._fused_rms_norm.default", _raw(p), [BASE_SHAPE[-1]], p.parameter(BASE_SHAPE[-1]), 1e-6
    )


def _squared(p: Program) -> Ref:
    x = _raw(p)
    return p("aten.mul.Tensor", x, x)


def _inverse(p: Program) -> Ref:
    x = p("aten.linalg_vector_norm.default", _raw(p), 2, [-1], True)
    return p("aten.div.Tensor", p.parameter(*BASE_SHAPE), x)


def _limited(p: Program) -> Ref:
    return p("aten.tanh.default", _raw(p))


def _gate(p: Program) -> Ref:
    return p("aten.sigmoid.default", _raw(p))


def _dead_below(p: Program) -> Ref:
    return p("aten.relu.default", _raw(p))


def _logged(p: Program) -> Ref:
    return p("aten.log.default", _positive(p))


def _constant(p: Program) -> Ref:
    return p.constant(p.normal(*BASE_SHAPE))


def _parameter(p: Program) -> Ref:
    return p.parameter(*BASE_SHAPE)


def _mixed(p: Program) -> Ref:
    half = p.state(*BASE_SHAPE[:-1], BASE_SHAPE[-1] // 2)
    return p("aten.cat.default", [half, p.parameter(*BASE_SHAPE[:-1], BASE_SHAPE[-1] // 2)], -1)


KINDS: dict[str, Callable[[Program], Ref]] = {
    "raw": _raw,
    "shifted": _shifted,
    "positive": _positive,
    "normed": _normed,
    "normed up to eps": _normed_up_to_eps,
    "squared": _squared,
    "inverse": _inverse,
    "limited": _limited,
    "gate": _gate,
    "dead below": _dead_below,
    "logged": _logged,
    "mixed": _mixed,
    "parameter": _parameter,
    "constant": _constant,
}
# Second operands: one of every class that the first meets.
SECOND = ("raw", "normed", "parameter", "limited", "constant")
