"""Hold what is claimed of a value's growth against its elements at every factor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scaleaudit.certify import thresholds as t
from scaleaudit.domain.scale import EXPONENTIAL, VANISHING, ZERO, Growth, Precision, Scale

_LOGS = [math.log(factor) for factor in t.FACTORS]
_LAST = len(t.FACTORS) - 1
_OCTAVES = _LOGS[_LAST] - _LOGS[_LAST - 1]
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Samples:
    """The elements of a value at every factor, in float64, and how much of them is rounding.

    Attributes:
        values: One row a factor.
        noise: The same shape, where rounding was measured; else None.
        rough: Whether an operator on the way took single precision only.
        lower: Whether all states could be scaled, so that a value that stays says something.
        gaps: Whether it is computed from a value with elements that the states do not reach.
    """

    values: Tensor
    noise: Tensor | None = None
    rough: bool = False
    lower: bool = True
    gaps: bool = False

    def only(self, kept: Tensor) -> Samples:
        """Some of the elements."""
        noise = self.noise[:, kept] if self.noise is not None else None
        return replace(self, values=self.values[:, kept], noise=noise)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome for one value.

    Attributes:
        complaint: What disagrees.
        telling: Whether the numbers tell anything.
        short: Whether elements grow less than claimed where others keep to it, for gaps.
    """

    complaint: str = ""
    telling: bool = True
    short: bool = False


AGREES, TELLS_NOTHING = Judgement(), Judgement(telling=False)


def judge_value(scale: Scale, samples: Samples) -> Judgement:
    """Compare one value with what is claimed of it."""
    values = samples.values
    usual = values[0].isfinite()
    if not usual.all():  # masks put infinities into scores, whatever the states
        undefined = bool(values[0].isnan().any())  # and what is 0 / 0 may be what would grow
        samples = replace(samples.only(usual), lower=samples.lower and not undefined)
        values = samples.values
    if not values.numel() or values.isnan().any():
        return TELLS_NOTHING
    return _Comparison(scale, samples).judge()


class _Comparison:
    """One value's claim beside its numbers."""

    def __init__(self, scale: Scale, samples: Samples) -> None:
        self.scale, self.growth = scale, scale.growth
        self.rounding = t.SINGLE if samples.rough else t.ROUNDING
        self.short = False
        self._take(samples)

    def _take(self, samples: Samples) -> None:
        self.samples, self.values = samples, samples.values
        self.sizes = self.values.abs().amax(dim=1).tolist()

    def noise(self, row: int) -> Tensor:
        """How much of the elements of a row is rounding."""
        share = t.SINGLE if self.samples.rough else t.UNSEEN
        least = torch.tensor(share * self.sizes[row], dtype=torch.float64)
        return least if self.samples.noise is None else self.samples.noise[row] + least

    def judge(self) -> Judgement:
        outside = self._outside()
        if outside:
            return Judgement(outside)
        if not self.growth.depends:
            return Judgement(self._moved())
        if self.samples.gaps:
            self._take(_reached(self.samples))
        if not all(map(math.isfinite, self.sizes)):
            return self._overflow()
        if self._lost():
            return TELLS_NOTHING
        return self._growth()

    def _outside(self) -> str:
        """Values outside of the span."""
        span = self.scale.span
        if not (span.low > -math.inf or span.high < math.inf):
            return ""
        values = self.values
        low, high = float(values.min()), float(values.max())
        slack = 1e-12 + self.rounding * max(1.0, abs(span.low) if math.isfinite(span.low) else 0)
        if self.samples.noise is not None or self.samples.rough:
            slack += max(float(self.noise(row).max()) for row in range(_LAST + 1))
        if low < span.low - slack - self.rounding * abs(low):
            return f"{low:.6g} lies below [{span.low:.6g}, {span.high:.6g}]"
        if high > span.high + slack + self.rounding * abs(high):
            return f"{high:.6g} lies above [{span.low:.6g}, {span.high:.6g}]"
        return ""

    def _moved(self) -> str:
        values = self.values
        gap = (values - values[0]).abs()
        slack = self.rounding * values[0].abs().clamp_min(self.sizes[0] * 1e-3)
        if self.samples.noise is not None:
            slack = slack + self.samples.noise.amax(dim=0)
        moved = (gap > slack) & (values != values[0])
        return "it changes with them" if moved.any() else ""

    def _overflow(self) -> Judgement:
        g = self.growth
        tame = g.hi != EXPONENTIAL and abs(float(g.hi.power)) <= t.OVERFLOWS
        if tame and not g.sparse and g.precision <= Precision.EPS and g.rate is None:
            return Judgement("it overflows")
        return TELLS_NOTHING

    def _lost(self) -> bool:
        """Whether too much of the values in the limit is rounding."""
        if self.samples.noise is None:
            return False
        large = range(t.LARGE, _LAST + 1)
        return any(
            self.sizes[row] and float(self.noise(row).max()) > t.LOST * self.sizes[row]
            for row in large
        )

    def _growth(self) -> Judgement:
        g = self.growth
        if EXPONENTIAL in (g.hi, g.lo) or (g.rate is not None and g.hi.power not in (0, 1)):
            return AGREES  # faster than any power: nothing that three factors could contradict
        if g.hi == VANISHING:
            gone = not self.sizes[0] or self.sizes[_LAST] <= t.LOST * max(self.sizes)
            return Judgement("" if gone else "it does not vanish")
        if self._is_pure() and g.precision <= Precision.EPS:
            return Judgement(self._literal())
        complaint = self._slope() or self._elements() or self._converges()
        if complaint and g.precision >= Precision.ASYMPTOTIC and self._still_moving():
            return TELLS_NOTHING
        return Judgement(complaint, short=self.short)

    def _slope_between(self, low: int, high: int) -> float | None:
        first, second = self.sizes[low], self.sizes[high]
        if first <= _TINY or second <= _TINY:
            return None
        return math.log(second / first) / (_LOGS[high] - _LOGS[low])

    def _still_moving(self) -> bool:
        early, late = self._slope_between(1, _LAST - 1), self._slope_between(_LAST - 1, _LAST)
        return early is not None and late is not None and abs(early - late) > t.SLOPE / 2

    def _slack(self) -> float:
        g = self.growth
        logs = max(abs(float(g.hi.log)), abs(float(g.lo.log)))
        loose = g.precision is Precision.SATURATING and g.hi == ZERO
        return t.LOG_SLOPE * max(logs, 1.0) if logs or loose else t.SLOPE

    def _slope(self) -> str:
        """The largest element grows like hi at most, and at least where that is attained."""
        g = self.growth
        slope = self._slope_between(_LAST - 1, _LAST)
        few = (g.sparse or g.lo < g.hi) and self.values.shape[1] < t.FEW
        sure = g.attained and not few and self.samples.lower and not self._may_die()
        if slope is None:
            dies = self.sizes[_LAST] == 0 and self.sizes[0] > 0 and sure and not g.sparse
            return "it becomes 0" if dies else ""
        if slope > float(g.hi.power) + self._slack():
            self.short = self._dies_beside_gaps(slope)
            return "" if self.short else f"it grows like a**{slope:.3f}"
        if sure and slope < float(g.hi.power) - self._slack():
            return f"it grows like a**{slope:.3f} only"
        return ""

    def _dies_beside_gaps(self, slope: float) -> bool:
        """Whether it is the reciprocal of what grows less at gaps, and no less elsewhere."""
        if not (self.samples.gaps and self.growth.hi < ZERO and slope <= self._slack()):
            return False
        first, second = self.values[_LAST - 1].abs(), self.values[_LAST].abs()
        falls = second <= first * math.exp((float(self.growth.hi.power) + self._slack()) * _OCTAVES)
        return bool((falls & (first > _TINY)).any())

    def _elements(self) -> str:
        """Every element that does not vanish grows like lo at least."""
        g = self.growth
        if g.lo == VANISHING or not self.samples.lower or self._may_die():
            return ""
        if g.sparse and g.precision is Precision.SATURATING:
            return ""
        first, second = self.values[_LAST - 1].abs(), self.values[_LAST].abs()
        start = self.values[0].abs()
        alive = start > 100 * self.noise(0)
        dead = alive & (second == 0)
        if not g.sparse and g.precision <= Precision.ASYMPTOTIC and bool(dead.any()):
            self.short = self.samples.gaps and not bool(dead[alive].all())
            return "" if self.short else "one of its elements becomes 0"
        sure = (first > 100 * self.noise(_LAST - 1)) & (second >= 100 * self.noise(_LAST))
        sure &= (first > _TINY) & (second > _TINY) & (start > _TINY)
        if not sure.any():
            return ""
        degrees = (second[sure] / first[sure]).log() / _OCTAVES
        slack = max(self._slack(), t.LOG_SLOPE if g.precision is Precision.ASYMPTOTIC else 0.0)
        if g.precision is Precision.SATURATING or g.hi.log:
            slack = t.WILD_SLOPE
        low = degrees < float(g.lo.power) - slack
        if g.precision is Precision.ASYMPTOTIC:
            early = (first[sure] / self.values[1].abs()[sure]).log() / (_LOGS[2] - _LOGS[1])
            low &= (degrees - early).abs() <= t.SLOPE  # else it is on its way through 0
        if g.sparse:
            low &= degrees > t.DYING - slack
        return self._too_low(degrees, low)

    def _too_low(self, degrees: Tensor, low: Tensor) -> str:
        """Elements below the lower bound, which what is computed from gaps may have beside others."""
        if not low.any():
            return ""
        if self.samples.gaps and not low.all():
            self.short = True
            return ""
        return f"one of its elements grows like a**{float(degrees[low].max()):.3f}"

    def _may_die(self) -> bool:
        """Whether it may die faster than claimed: the difference of two values with one limit does."""
        return self.growth.hi <= ZERO and self.growth.precision >= Precision.ASYMPTOTIC

    def _is_pure(self) -> bool:
        """Whether every element is said to be one and the same power of the factor."""
        g = self.growth
        one = g.lo == g.hi and not g.hi.log and math.isfinite(g.hi.power)
        return one and not g.sparse and self.samples.lower

    def _literal(self) -> str:
        """A degree that holds exactly, or up to eps, holds for every element."""
        if self.growth.precision is Precision.EXACT:
            return self._power_law(0, self.rounding)
        return self._power_law(1, max(self.rounding, t.EPS))

    def _power_law(self, start: int, tolerance: float) -> str:
        power, values = float(self.growth.hi.power), self.values
        factor = (t.FACTORS[_LAST] / t.FACTORS[start]) ** power
        expected = values[start] * factor
        slack = tolerance * self.sizes[_LAST]
        gap = (values[_LAST] - expected).abs()
        gap = gap - self.noise(_LAST) - self.noise(start) * factor
        wrong = bool((gap > slack).any())
        return "it is no such power of the factor" if wrong else ""

    def _converges(self) -> str:
        """A value of degree 0 that competes with constants comes to rest."""
        g = self.growth
        if g.precision is not Precision.ASYMPTOTIC or not g.lo == g.hi == ZERO:
            return ""
        late = float((self.values[_LAST] - self.values[_LAST - 1]).abs().max())
        early = float((self.values[_LAST - 1] - self.values[1]).abs().max())
        if late <= t.AT_REST * self.sizes[_LAST] or late <= (1 - 2 * t.AT_REST) * early:
            return ""
        return f"it does not converge (moves by {late:.3g} of {self.sizes[_LAST]:.3g})"


def _reached(samples: Samples) -> Samples:
    """The elements that move at all; all where none does."""
    moving = (samples.values != samples.values[0]).any(dim=0)
    return samples.only(moving) if moving.any() else samples


def named(g: Growth) -> str:
    """Say what is claimed of a growth."""
    if not g.depends:
        return "called independent of the states"
    ends = (
        f"{float(g.lo.power):g}"
        if g.lo == g.hi
        else f"{float(g.lo.power):g} to {float(g.hi.power):g}"
    )
    logs = f" with a logarithm to the power {float(g.hi.log):g}" if g.hi.log else ""
    words = {
        Precision.EXACT: "exactly",
        Precision.EPS: "up to eps",
        Precision.ASYMPTOTIC: "in the limit",
        Precision.SATURATING: "saturating",
    }
    return f"claimed to be of degree {ends}{logs}, {words[g.precision]}"
