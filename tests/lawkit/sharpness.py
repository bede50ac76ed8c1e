"""Where a law says less than the numbers of a simple call show."""

from __future__ import annotations

import math

import numpy as np

from lawkit.agreement import LARGE, TOLERANCE, slope, usable
from lawkit.programs import SCALES, Samples
from scaleaudit.domain.scale import EXPONENTIAL, Precision, Scale

# Operands that are homogeneous of one degree: here a law has no excuse.
PLAIN = frozenset({"raw", "positive", "squared", "normed", "parameter", "constant"})


def dullness(
    scale: Scale, samples: Samples, kinds: tuple[str, ...], *, rough: bool
) -> tuple[str, ...]:
    """Say where an inferred scale is looser than what a call on plain operands measures.

    Args:
        rough: Whether only the degree is asked for, not how literally it holds.
    """
    if not set(kinds) <= PLAIN or not scale.depends or scale.opaque:
        return ()
    if scale.growth.hi == EXPONENTIAL:
        grows = not np.isfinite(samples.values).all() and not scale.growth.attained
        return ("grows exponentially, which is not called attained",) if grows else ()
    good = usable(samples)
    large = [i for i in good if SCALES[i] >= LARGE]
    if len(large) < 2 or 0 not in good:
        return ()
    g = scale.growth
    whole = slope(samples, large[-2], large[-1])
    if whole is None or not math.isfinite(g.hi.power):
        return ()
    if g.hi.log:
        sizes = np.abs(samples.values).max(axis=1)
        logs = sizes[large[-1]] > 1.1 * sizes[large[-2]] and not g.attained
        return ("grows like a logarithm, which is not called attained",) if logs else ()
    found = []
    loose = g.precision > Precision.EPS and not rough
    if g.attained and loose and _is_power_law(samples, good, whole):
        found.append(f"is a power of the scale, though called {g.precision.name}")
    if whole < float(g.hi.power) - TOLERANCE and not rough:
        found.append(f"grows with slope {whole:.3f} only, of degree {g.hi.power} at most")
    elif not g.attained:
        found.append(f"has degree {g.hi.power}, which is not called attained")
    return tuple(found)


def _is_power_law(samples: Samples, good: list[int], degree: float) -> bool:
    v = samples.values
    first = v[good[0]]
    expected = np.outer([SCALES[i] ** (round(degree * 2) / 2) for i in good], np.ones_like(first))
    return bool(np.allclose(v[good], first * expected, rtol=1e-9, atol=0))
