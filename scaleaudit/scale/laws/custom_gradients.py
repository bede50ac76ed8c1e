"""Laws of what computes in ways of its own: autograd functions with a backward, kernels."""

from __future__ import annotations

from scaleaudit.domain.scale import REALS, Scale
from scaleaudit.scale import algebra
from scaleaudit.scale.algebra import Arg, lift
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.table import LawTable, NotUnderstood

TABLE = LawTable()
_NAME = "scaleaudit.custom_gradient"


@TABLE.law(_NAME)
def value_of(
    value: Arg,
    forward: Arg,
    stopped: Arg,
    straight: Arg,
    added: Arg,
    across: Arg,
    own: Arg,
    hidden: Arg,
) -> Scale:
    """The value is what its forward computes, the gradient what its backward makes of it."""
    if _moving(added):
        raise NotUnderstood("its backward adds a gradient that is not its forward's")
    if _moving(hidden):
        raise NotUnderstood("its forward computes out of sight")
    return lift(value)


def gradient_of(
    value: Arg,
    forward: Arg,
    stopped: Arg,
    straight: Arg,
    added: Arg,
    across: Arg,
    own: Arg,
    hidden: Arg,
) -> Scale:
    """Only what gradients are passed on to can change; what is passed straight is the result.

    A state that lives inside of the forward, as in a solver, is what the backward stands for: where
    the length of the result is heard by any argument, it answers as the value does.
    """
    value_of(value, forward, stopped, straight, added, across, own, hidden)
    if _moving(own) or _moving(across):
        raise NotUnderstood("its backward is not the gradient of its forward")
    if not _moving(stopped) and not _moving(forward) and not _moving(straight):
        heard = any((forward, straight, own))
        return lift(value) if heard else algebra.independent(lift(value).span)
    passed, direct = _moving(forward), _moving(straight)
    if not passed and not direct:
        return algebra.independent(lift(value).span)
    if _moving(stopped) or (direct and passed) or len(direct) > 1:
        raise NotUnderstood("its backward passes on a part of the gradient of its forward")
    return direct[0] if direct else lift(value)


@TABLE.law("scaleaudit.unseen_write", "triton.kernel")
def out_of_sight(value: Arg, inputs: Arg) -> Scale:
    """What is written out of torch's sight is understood only where no state reaches it."""
    if _moving((value,)) or _moving(inputs):
        raise NotUnderstood("it writes out of torch's sight")
    return algebra.independent(REALS)


def _moving(arguments: Arg) -> list[Scale]:
    """The arguments that the states reach."""
    found = arguments if isinstance(arguments, tuple) else ()
    return [x for x in found if isinstance(x, Scale) and x.depends]


TABLE.laws[_NAME] = replace(TABLE.laws[_NAME], gradient=gradient_of)
