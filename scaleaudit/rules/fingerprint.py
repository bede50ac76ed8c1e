"""What a fault is, whatever it is called and wherever it stands: the first part of a fingerprint.

It is made of the facts that the rule's condition asks for and its message tells, without names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from scaleaudit.rules.binding import Binding
from scaleaudit.rules.cel import Kind, Value
from scaleaudit.rules.rule import Rule
from scaleaudit.rules.vocabulary import facts_of

_GAIN = ("state.gain_low", "state.gain_high", "state.gain_low_open", "state.gain_high_open")
# Facts that are drawn from others, or put them into words.
_DRAWN_FROM = {
    "state.gain": _GAIN,
    "state.active": ("state.transition", *_GAIN),
    "state.growth": ("state.transition", "state.branch_degree", *_GAIN),
    "state.blind": ("state.visibility",),
    "readouts.answer": ("state.visibility",),
    "penalty.why": ("penalty.flaw",),
    "comment.why": ("comment.flaw", "comment.codes"),
}
# Texts that say what the fault is; all others are names, or sentences with names in them.
_TELLING = frozenset(
    {"state.dtype", "state.carried_dtype", "operator.name", "claim.operator", "comment.codes"}
)
# Numbers that were measured are never quite the same again.
_MEASURED = "probe."
# Shares change with the sizes of the inputs.
_SHARES = frozenset({"readout.coverage"})
_LENGTH = 16  # of 64 hexadecimal digits


def fingerprint(rule: Rule, bound: Binding) -> str:
    """Return the part of a fingerprint that changes when the fault does, and not with names."""
    asked = {name for mentions in _mentions(rule) for name in mentions}
    basis = sorted({part for name in asked for part in _DRAWN_FROM.get(name, (name,))})
    texts = {
        fact.name
        for fact in facts_of(rule.scope).values()
        if fact.kind is Kind.TEXT and not fact.choices
    }
    measured = {
        name
        for name in bound.values
        if name.startswith(_MEASURED) and isinstance(bound.values[name], float)
    }
    told = [
        f"{name}={_plain(name, bound.values[name])}"
        for name in basis
        if name in bound.values and (name in _TELLING or name not in texts | measured)
    ]
    return hashlib.sha256("\0".join((rule.code, *told)).encode()).hexdigest()[:_LENGTH]


def _mentions(rule: Rule) -> Iterator[tuple[str, ...]]:
    yield rule.when.mentions
    yield rule.message.mentions
    yield from (condition.mentions for _, condition in rule.severity_when)


def _plain(name: str, value: Value) -> str:
    """Write a value so that counts, which change with depth, say no more than whether."""
    match value:
        case bool() | str():
            return str(value)
        case int():
            return "some" if value else "none"
        case float() if name in _SHARES:
            return str(value == 1)
        case float() if name == "state.branch_degree" and value < 1:
            return "below 1"  # the turn only adds to the state, however much
        case float():
            return f"{value:.4g}"
        case tuple():
            return ",".join(sorted(set(value)))
