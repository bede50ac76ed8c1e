"""Hold what the laws infer of a value against its measured elements."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lawkit.programs import SCALES, Samples
from scaleaudit.domain.facts import Visibility
from scaleaudit.domain.scale import EXPONENTIAL, VANISHING, ZERO, Degree, Growth, Precision, Scale
from scaleaudit.scale import judge

# From here on a value counts as being in its limit.
LARGE = 2.0**14
TOLERANCE = 0.06
# Logarithms beside a power bend the slope that is measured between finite scales.
LOG_TOLERANCE = 0.2
ROUNDING = 1e-9
LOST = 1e-3
# Among fewer elements all may have the sign that vanishes.
FEW = 8
_LOGS = np.log(np.array(SCALES))


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome for one value: what disagrees, or why nothing can be said."""

    complaints: tuple[str, ...] = ()
    discarded: str = ""


def judge_value(scale: Scale, samples: Samples) -> Judgement:
    """Compare one value with its scale."""
    if scale.opaque:
        return Judgement((f"unknown: {scale.opaque[0].operator}: {scale.opaque[0].reason}",))
    values = samples.values
    if values.size == 0:
        return Judgement()
    if np.isnan(values).any():
        return Judgement(discarded="not a number")
    found = _span(scale, samples)
    if not scale.depends:
        return Judgement((*found, *_unchanged(samples)))
    if np.isinf(values[0]).any():
        return Judgement(found, discarded="infinite" if not found else "")
    complaints, discarded = _growth(scale.growth, samples)
    return Judgement((*found, *complaints), "" if found or complaints else discarded)


def _span(scale: Scale, samples: Samples) -> tuple[str, ...]:
    values = samples.values
    finite = np.isfinite(values)
    slack = 1e-12 + ROUNDING * np.abs(values) + 10 * np.nan_to_num(samples.noise, posinf=0.0)
    below = finite & (values < scale.span.low - slack)
    above = finite & (values > scale.span.high + slack)
    if below.any() or above.any():
        where = values[below | above][0]
        return (f"{where:.6g} lies outside of [{scale.span.low:.6g}, {scale.span.high:.6g}]",)
    return ()


def _unchanged(samples: Samples) -> tuple[str, ...]:
    values = samples.values
    same = np.isclose(values, values[0], rtol=ROUNDING, atol=0) | (values == values[0])
    quiet = np.abs(values - values[0]) <= 100 * samples.noise.max(axis=1, keepdims=True)
    return () if (same | quiet).all() else ("changes, though called independent of the states",)


def usable(samples: Samples) -> list[int]:
    """Return the scales at which the value is finite and more than rounding."""
    found = []
    for i in range(len(SCALES)):
        row, noise = samples.values[i], samples.noise[i]
        if np.isfinite(row).all() and np.isfinite(noise).all():
            size = np.abs(row).max()
            if size == 0 or noise.max() <= LOST * size:
                found.append(i)
    return found


def _growth(g: Growth, samples: Samples) -> tuple[tuple[str, ...], str]:
    if EXPONENTIAL in (g.hi, g.lo) or (g.rate and g.hi.power not in (0, 1)):
        return _exponential(g, samples)
    good = usable(samples)
    large = [i for i in good if SCALES[i] >= LARGE]
    if not np.isfinite(samples.values).all():
        overflow = float(g.hi.power) > 8 or g.sparse or g.precision > Precision.EPS
        return ((), "overflow") if overflow else ((f"overflows, though of {_named(g)}",), "")
    if g.hi == VANISHING:
        return _vanishing(samples)
    if len(large) < 2:
        return (), "lost in rounding"
    complaints = [*_slopes(g, samples, large), *_literal(g, samples, good)]
    if not complaints:
        complaints = list(_visible(g, samples, large))
    if complaints and g.precision >= Precision.ASYMPTOTIC and _still_moving(samples, large):
        return (), "not in its limit"
    if complaints and g.precision is Precision.SATURATING and _cancels(samples, large):
        return (), "cancels"
    return tuple(complaints), ""


def _cancels(samples: Samples, large: list[int]) -> bool:
    """Whether a sum of a few values clamped to both ends is 0 in the limit, as one in four of ten is."""
    sums = samples.values[large]
    return bool(sums[0].size == 1 and np.abs(sums).max() < TOLERANCE**3)


def _still_moving(samples: Samples, large: list[int]) -> bool:
    """Whether the slope still changes between the largest scales."""
    if len(large) < 3:
        return True
    sizes = [np.abs(samples.values[i]).max() for i in large[-3:]]
    if min(sizes) == 0:
        return False
    first, second = (
        math.log(sizes[k + 1] / sizes[k]) / (_LOGS[large[-3 + k + 1]] - _LOGS[large[-3 + k]])
        for k in (0, 1)
    )
    return abs(first - second) > TOLERANCE / 2


def _named(g: Growth) -> str:
    ends = f"{g.lo.power}" if g.lo == g.hi else f"{g.lo.power} to {g.hi.power}"
    logs = f" log {g.hi.log}" if g.hi.log else ""
    kind = f"{g.precision.name}{'' if g.attained else ', not attained'}"
    return f"degree {ends}{logs} ({kind}{', sparse' if g.sparse else ''})"


def _vanishing(samples: Samples) -> tuple[tuple[str, ...], str]:
    sizes = np.abs(samples.values).max(axis=1)
    if sizes[0] == 0 or sizes[-1] <= 1e-3 * sizes.max():
        return (), ""
    return ("does not vanish",), ""


def _exponential(g: Growth, samples: Samples) -> tuple[tuple[str, ...], str]:
    """Check what can be told of growth beyond powers: that it outgrows them where it is sure to."""
    if not (g.attained and g.hi == EXPONENTIAL) or g.sparse:
        return (), ""
    if not np.isfinite(samples.values).all():
        return (), ""
    sizes = np.abs(samples.values).max(axis=1)
    if sizes[-1] == 0 or math.log(sizes[-1] / max(sizes[-2], 1e-300)) / math.log(128) < 8:
        return (f"does not grow exponentially, though of {_named(g)}",), ""
    return (), ""


def _slack(degree: Degree) -> float:
    return LOG_TOLERANCE * max(abs(float(degree.log)), 1.0) if degree.log else TOLERANCE


def slope(samples: Samples, i: int, j: int) -> float | None:
    """Return the measured degree of the largest element between two scales."""
    first, second = np.abs(samples.values[i]).max(), np.abs(samples.values[j]).max()
    if first == 0 or second == 0:
        return None
    return float(math.log(second / first) / (_LOGS[j] - _LOGS[i]))


def _slopes(g: Growth, samples: Samples, large: list[int]) -> list[str]:
    i, j = large[-2], large[-1]
    saturating = g.precision is Precision.SATURATING and g.hi == ZERO
    if saturating:
        i = large[0]
    whole = slope(samples, i, j)
    if whole is None:
        gone = np.abs(samples.values[j]).max() == 0
        alive = np.abs(samples.values[0]).max() > 0
        sure = g.attained and not g.sparse and gone and alive
        return [f"becomes 0, though of {_named(g)}"] if sure else []
    found = []
    slack = max(_slack(g.hi), LOG_TOLERANCE if saturating else 0.0)
    if whole > float(g.hi.power) + slack:
        found.append(f"grows with slope {whole:.3f}, though of {_named(g)}")
    few = (g.sparse or g.lo < g.hi) and samples.values.shape[1] < FEW
    if g.attained and whole < float(g.hi.power) - slack and not few:
        found.append(f"grows with slope {whole:.3f}, though of {_named(g)}, attained")
    found.extend(_elements(g, samples, i, j))
    return found


def _elements(g: Growth, samples: Samples, i: int, j: int) -> list[str]:
    """Every element that does not vanish has a degree of at least lo."""
    if g.lo == VANISHING or (g.sparse and g.precision is Precision.SATURATING):
        return []
    first, second = np.abs(samples.values[i]), np.abs(samples.values[j])
    sure = (first > 100 * samples.noise[i]) & (second >= 100 * samples.noise[j])
    sure &= (first > 0) & (np.abs(samples.values[0]) > 0)
    sure &= (second > 0) | (samples.noise[j].max() == 0)  # else rounded to 0
    if not sure.any():
        return []
    with np.errstate(divide="ignore"):
        degrees = (np.log(second[sure]) - np.log(first[sure])) / (_LOGS[j] - _LOGS[i])
    slack = max(_slack(g.lo), _slack(g.hi))
    if g.precision is Precision.ASYMPTOTIC:
        slack = max(slack, LOG_TOLERANCE)  # a logarithm may have cancelled
    if g.precision is Precision.SATURATING or g.hi.log:
        slack = 2.5  # oscillating or crossing 0
    low = degrees < float(g.lo.power) - slack
    if g.precision is Precision.ASYMPTOTIC:  # an element that crosses 0 is still on its way
        with np.errstate(divide="ignore", invalid="ignore"):
            middle = np.abs(samples.values[j - 1])[sure]
            late = (np.log(second[sure]) - np.log(middle)) / (_LOGS[j] - _LOGS[j - 1])
            early = (np.log(middle) - np.log(np.abs(samples.values[j - 2])[sure])) / (
                _LOGS[j - 1] - _LOGS[j - 2]
            )
            low &= ~(np.abs(late - early) > TOLERANCE)
    if g.sparse:
        low &= degrees > -2.0 - slack
    if low.any():
        return [f"an element has slope {degrees[low].max():.3f}, though of {_named(g)}"]
    return []


def _literal(g: Growth, samples: Samples, good: list[int]) -> list[str]:
    """Check how literally the degree holds."""
    if g.hi.log or g.lo.log:
        return _logarithmic(g, samples, good)
    if g.precision is Precision.EXACT:
        return _power_law(g, samples, good, 0, ROUNDING)
    if g.precision is Precision.EPS:
        return _power_law(g, samples, good, SCALES.index(LARGE), 1e-2)
    if g.precision is Precision.ASYMPTOTIC and g.lo == g.hi == ZERO:
        return _converges(samples, good)
    return []


def _power_law(
    g: Growth, samples: Samples, good: list[int], start: int, tolerance: float
) -> list[str]:
    scales = [i for i in good if i >= start]
    if len(scales) < 3 or not math.isfinite(g.hi.power):
        return []
    base, middle, end = scales[0], scales[1], scales[-1]
    v = samples.values
    size = np.abs(v).max(axis=1)
    if g.lo == g.hi:
        factor = (SCALES[end] / SCALES[base]) ** float(g.hi.power)
        expected = v[base] * factor
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            q = np.log(np.abs(v[middle] / v[base])) / (_LOGS[middle] - _LOGS[base])
            expected = v[base] * (SCALES[end] / SCALES[base]) ** q
        expected = np.where(v[base] == 0, v[end] * 0, expected)
    slack = tolerance * (np.abs(expected) if tolerance < 1e-6 else size[end])
    error = np.abs(v[end] - expected) - 100 * samples.noise[end] - slack
    ratio = size[end] / size[base] if size[base] else 1.0
    error -= 100 * samples.noise[base] * ratio
    if g.sparse:
        error = np.where((np.abs(v[end]) < np.abs(expected)) & (v[end] == 0), 0, error)
    if (error > 1e-300).any():
        return [f"is no power of the scale, though of {_named(g)}"]
    return []


def _converges(samples: Samples, good: list[int]) -> list[str]:
    large = [i for i in good if SCALES[i] >= LARGE]
    v = samples.values
    early = np.abs(v[large[-2]] - v[large[0]]).max() if len(large) > 2 else math.inf
    late = np.abs(v[large[-1]] - v[large[-2]]).max()
    size = np.abs(v[large[-1]]).max()
    if late <= 0.05 * size or late <= 0.9 * early:
        return []
    return [f"does not converge: moves by {late:.3g} of {size:.3g}"]


def _logarithmic(g: Growth, samples: Samples, good: list[int]) -> list[str]:
    if g.slope is None or g.hi != Degree(0, 1) or g.lo != g.hi:
        return []
    i, j = [k for k in good if SCALES[k] >= LARGE][-2:]
    step = (samples.values[j] - samples.values[i]) / (_LOGS[j] - _LOGS[i])
    if np.abs(step - float(g.slope)).max() > 0.05 * max(abs(float(g.slope)), 1.0):
        return [f"grows like {step[0]:.3f} log a, not {g.slope}"]
    return []


def _visible(g: Growth, samples: Samples, large: list[int]) -> list[str]:
    """What is called visible moves with the scale, what is called invariant does not."""
    seen = judge.visibility(Scale(g))
    v = samples.values
    moved = np.abs(v[large[-1]] - v[large[0]]).max()
    size = max(np.abs(v[large[-1]]).max(), np.abs(v[large[0]]).max())
    noise = 100 * max(samples.noise[large[-1]].max(), samples.noise[large[0]].max())
    if seen is Visibility.VISIBLE and moved <= 1e-3 * size + noise and not _is_flat(g, size):
        return ["stays, though called visible"]
    if seen is Visibility.INVARIANT and moved > 1e-2 * size + noise:
        return ["moves, though called invariant"]
    return []


def _is_flat(g: Growth, size: float) -> bool:
    return size == 0 or bool(g.sparse)
