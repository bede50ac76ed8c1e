"""What an operator's schema says: argument names, defaults, what it writes and what it views."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

from scaleaudit.capture._torch_private import OpOverload, schema

_SCALAR_TYPES = frozenset({"number", "Optional[number]", "float", "Optional[float]"})
_OPERAND_TYPES = frozenset({"Tensor", "Optional[Tensor]"}) | _SCALAR_TYPES


@dataclass(frozen=True, slots=True)
class ArgumentInfo:
    """One argument of an operator.

    Attributes:
        operand: Whether a number given here takes part in arithmetic (it isn't a size or a flag).
        alias: The alias set it belongs to, '' for none.
    """

    name: str
    type: str
    default: object
    operand: bool
    written: bool
    alias: str


@dataclass(frozen=True, slots=True)
class OpInfo:
    """An operator as the recorder needs to know it.

    Attributes:
        name: As in the graph: ``aten.add.Tensor``.
        returns: For every return, its alias set ('' for a new value).
        views: Whether a return aliases an argument without writing to it.
        random: Whether the result differs from call to call.
    """

    name: str
    arguments: tuple[ArgumentInfo, ...]
    returns: tuple[str, ...]
    writes: bool
    views: bool
    random: bool

    def position(self, alias: str) -> int:
        """Return the position of the argument that a return aliases."""
        return next(i for i, argument in enumerate(self.arguments) if argument.alias == alias)


@cache
def op_info(op: OpOverload) -> OpInfo:
    """Read an operator's schema once."""
    found = schema(op)
    arguments = tuple(_argument(argument) for argument in found.arguments)
    returns = tuple(_alias(entry.alias_info) for entry in found.returns)
    writes = any(argument.written for argument in arguments)
    known = {argument.alias for argument in arguments if argument.alias}
    if not writes and len(known) == 1 and not any(returns):
        returns = tuple(known) * len(returns)  # a list of views: split, unbind
    returns = tuple(alias if alias in known else "" for alias in returns)
    return OpInfo(
        name=str(op),
        arguments=arguments,
        returns=returns,
        writes=writes,
        views=not writes and any(returns),
        random=torch.Tag.nondeterministic_seeded in op.tags,
    )


def _argument(argument: object) -> ArgumentInfo:
    alias = argument.alias_info  # type: ignore[attr-defined]
    kind = str(argument.type)  # type: ignore[attr-defined]
    return ArgumentInfo(
        name=argument.name,  # type: ignore[attr-defined]
        type=kind,
        default=argument.default_value,  # type: ignore[attr-defined]
        operand=kind in _OPERAND_TYPES,
        written=alias is not None and alias.is_write,
        alias=_alias(alias),
    )


def _alias(info: object) -> str:
    if info is None:
        return ""
    return "|".join(sorted(info.before_set)) or "|".join(sorted(info.after_set))  # type: ignore[attr-defined]
