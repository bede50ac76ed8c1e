"""Hold what is claimed of turns and of loss terms against lengths and slopes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from scaleaudit.certify import thresholds as t
from scaleaudit.domain.claims import TermClaim, TurnClaim
from scaleaudit.domain.facts import PenaltyFlaw, Transition, Visibility
from scaleaudit.domain.scale import ZERO, Degree

_RATIO = t.FACTORS[-1] / t.FACTORS[-2]


@dataclass(frozen=True, slots=True)
class Slopes:
    """How a loss term answers along the gradient, by factor.

    Attributes:
        slopes: Derivative of the loss through the term by the logarithm of the factor.
        sizes: How much the term weighs in the loss.
        values: The term itself, as it is weighed.
    """

    slopes: tuple[float, ...]
    sizes: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def finite(self) -> bool:
        """Whether every number is one."""
        return all(map(math.isfinite, (*self.slopes, *self.sizes, *self.values)))

    @property
    def silent(self) -> bool:
        """Whether no gradient says anything of the length."""
        return all(
            abs(slope) <= t.ROUNDING * 1e-3 * size
            for slope, size in zip(self.slopes, self.sizes, strict=True)
        )

    @property
    def flat(self) -> bool:
        """Whether the term is invariant above a norm's eps."""
        pairs = list(zip(self.slopes, self.sizes, strict=True))[t.LARGE :]
        return all(abs(slope) <= t.FLAT * size for slope, size in pairs)

    @property
    def rests(self) -> bool:
        """Whether the value itself is invariant above a norm's eps."""
        return abs(self.values[-1] - self.values[-2]) <= t.FLAT * self.sizes[-1]

    @property
    def settles(self) -> bool:
        """Whether the value itself comes to rest in the limit."""
        early, late = (abs(b - a) for a, b in pairwise(self.values[1:]))
        return self.rests or late < t.FADES * early

    def fades(self, degree: Degree | None) -> bool:
        """Whether the slope dies faster than a term of its degree does (at least: of degree 0)."""
        late, last = abs(self.slopes[-2]), abs(self.slopes[-1])
        power = float(degree.power) if degree is not None and degree < ZERO else 0.0
        kept = _RATIO**power if math.isfinite(power) else 0.0
        return last <= t.FLAT * self.sizes[-1] or last < t.FADES * late * kept


def judge_term(claim: TermClaim, found: Slopes) -> str:
    """Say how a loss term contradicts what is claimed of it; nothing where it does not."""
    measured = f"its slopes by log a are {_listed(found.slopes)} at {_listed(t.FACTORS)}"
    if not claim.heard and not claim.is_penalty:
        return "" if found.silent else f"it reaches the loss after all: {measured}"
    if claim.is_penalty:
        return "" if _fits_flaw(claim, found) else measured
    match claim.visibility:
        case Visibility.INVARIANT:
            fits = found.flat or found.rests
        case Visibility.ASYMPTOTIC | Visibility.SATURATING:
            fits = found.flat or found.fades(None) or found.settles
        case Visibility.VISIBLE:
            fits = not found.fades(claim.degree)
        case _:
            fits = True
    return "" if fits else measured


def _fits_flaw(claim: TermClaim, found: Slopes) -> bool:
    last = found.slopes[-1]
    match claim.flaw:
        case None | PenaltyFlaw.PARTIAL:
            return last > 0 and not found.fades(claim.degree)
        case PenaltyFlaw.DETACHED | PenaltyFlaw.NO_GRAD | PenaltyFlaw.ZERO_WEIGHT:
            return found.silent
        case PenaltyFlaw.NEGATIVE_WEIGHT | PenaltyFlaw.REWARDING:
            return last < 0 and not found.fades(claim.degree)
        case PenaltyFlaw.SCALE_FREE | PenaltyFlaw.SATURATING:
            return found.flat or found.fades(None) or found.settles
        case PenaltyFlaw.UNKNOWN:
            return True


def claimed(claim: TermClaim) -> str:
    """Say what is claimed of a loss term."""
    state = f"state `{claim.state}`"
    if claim.is_penalty:
        how = "restrains" if claim.flaw is None else f"does not restrain ({claim.flaw.value})"
        return f"penalty `{claim.name}` {how} {state}"
    assert claim.visibility is not None
    heard = claim.visibility.value if claim.heard else "without gradient"
    return f"readout `{claim.name}` of {state} is {heard}"


def total_is_told(total: Slopes, parts: Sequence[Slopes]) -> bool:
    """Whether the terms that were found make up all that the loss says of a state."""
    for row, slope in enumerate(total.slopes):
        sizes = total.sizes[row] + sum(part.sizes[row] for part in parts)
        slopes = [part.slopes[row] for part in parts]
        scale = sizes + abs(slope) + sum(map(abs, slopes))
        if abs(slope - sum(slopes)) > t.FLAT * scale:
            return False
    return True


def judge_turn(claim: TurnClaim, entered: Sequence[Tensor], made: Sequence[Tensor]) -> str:
    """Say how a turn's lengths contradict what is claimed of it; nothing where they do not.

    Args:
        entered: The state that was put in, by factor.
        made: What the turn makes of it.
    """
    ins, outs = ([float(x.norm()) for x in values] for values in (entered, made))
    if not all(map(math.isfinite, (*ins, *outs))) or not ins[-1] or not outs[-2]:
        return ""
    if claim.others or claim.branch >= Degree(1):
        return ""  # what the states write or hand over is compared value by value
    match claim.transition:
        case Transition.REMOVED | Transition.BOUNDED if claim.gain is None:
            grown = math.log(max(outs[-1], 1e-300) / outs[-2]) / math.log(_RATIO)
            limit = 1 - t.FORGETS if claim.transition is Transition.BOUNDED else t.FORGETS
            return f"its length grows like a**{grown:.3f}" if grown > limit else ""
        case Transition.UNKNOWN:
            return ""
        case _:
            return _outside_gain(claim, entered[-1], made[-1])


def _outside_gain(claim: TurnClaim, entered: Tensor, made: Tensor) -> str:
    """Factors on the identity path, once what is written is small beside it."""
    gain = claim.gain
    if gain is None or entered.shape != made.shape:
        return ""
    high_limit = max(abs(gain.low), abs(gain.high))
    before, after = (x.abs().max() if claim.largest else x.norm() for x in (entered, made))
    factor = float(after / before)
    if factor > high_limit + t.GAIN * max(high_limit, 1.0):
        return f"it multiplies by {factor:.4g} at a = {t.FACTORS[-1]:g}"
    if claim.floored and gain.low > 0 and factor < gain.low - t.GAIN:
        return f"it multiplies by {factor:.4g} only at a = {t.FACTORS[-1]:g}"
    return ""


def claimed_turn(claim: TurnClaim) -> str:
    """Say what is claimed of a turn."""
    gain = (
        "" if claim.gain is None else f" with a factor in [{claim.gain.low:g}, {claim.gain.high:g}]"
    )
    return f"state `{claim.state}` is {claim.transition.value}{gain}"


def length(value: Tensor) -> Tensor:
    """Return a value as the numbers whose length counts."""
    found = value.detach()
    return found if found.is_complex() else found.to(torch.float64)


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:.3g}" for number in numbers)
