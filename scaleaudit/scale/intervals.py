"""Arithmetic of value ranges, with ends that are never reached kept open."""

from __future__ import annotations

import math
from collections.abc import Callable

from scaleaudit.domain.scale import INFINITY, REALS, Interval


def point(value: float) -> Interval:
    """The range of a number."""
    return Interval(value, value)


def add(x: Interval, y: Interval) -> Interval:
    """Range of x + y."""
    return Interval(
        x.low + y.low, x.high + y.high, x.low_open or y.low_open, x.high_open or y.high_open
    )


def negate(x: Interval) -> Interval:
    """Range of -x."""
    return Interval(-x.high, -x.low, x.high_open, x.low_open)


def multiply(x: Interval, y: Interval) -> Interval:
    """Range of x * y for unrelated x and y."""
    if x is REALS and y is REALS:
        return REALS
    corners = [
        _corner(a, b)
        for a in ((x.low, x.low_open), (x.high, x.high_open))
        for b in ((y.low, y.low_open), (y.high, y.high_open))
    ]
    low, low_open = min(corners)
    high = max(value for value, _ in corners)
    high_open = all(is_open for value, is_open in corners if value == high)
    if 0 in x or 0 in y:
        low_open = low_open and low != 0
        high_open = high_open and high != 0
    return Interval(low, high, low_open, high_open)


def _corner(x: tuple[float, bool], y: tuple[float, bool]) -> tuple[float, bool]:
    (a, a_open), (b, b_open) = x, y
    if a == 0 or b == 0:
        return 0.0, (a == 0 and a_open) or (b == 0 and b_open)
    return a * b, a_open or b_open


def square(x: Interval) -> Interval:
    """Range of x * x."""
    return even(x, lambda v: v * v)


def even(x: Interval, f: Callable[[float], float]) -> Interval:
    """Range of an even function that rises with |x|."""
    if x.low >= 0:
        return monotone(x, f)
    if x.high <= 0:
        return monotone(negate(x), f)
    high, high_open = max((-x.low, not x.low_open), (x.high, not x.high_open))
    return Interval(_apply(f, 0.0), _apply(f, high), high_open=not high_open)


def monotone(x: Interval, f: Callable[[float], float]) -> Interval:
    """Range of a function that rises with x; infinite ends go to the limits."""
    low, high = _apply(f, x.low), _apply(f, x.high)
    low_open = x.low_open or (math.isinf(x.low) and math.isfinite(low))
    high_open = x.high_open or (math.isinf(x.high) and math.isfinite(high))
    return Interval(low, high, low_open, high_open)


def _apply(f: Callable[[float], float], value: float) -> float:
    try:
        return f(value)
    except OverflowError:
        return INFINITY
    except ValueError:  # outside the domain of a logarithm or a root
        return -INFINITY if value <= 0 else INFINITY


def reciprocal(x: Interval) -> Interval:
    """Range of 1 / x."""
    if x.low > 0 or (x.low == 0 and (x.low_open or x.high > 0)):
        low = 0.0 if math.isinf(x.high) else 1 / x.high
        high = INFINITY if x.low == 0 else 1 / x.low
        return Interval(low, high, x.high_open or math.isinf(x.high), x.low_open)
    if x.high < 0:
        return negate(reciprocal(negate(x)))
    return REALS


def power(x: Interval, exponent: float) -> Interval:
    """Range of x ** c."""
    if exponent == 0:
        return point(1.0)
    if exponent < 0:
        return reciprocal(power(x, -exponent))
    if exponent == int(exponent) and int(exponent) % 2 == 0:
        return even(x, lambda v: v**exponent)
    if x.low < 0 and exponent != int(exponent):
        x = Interval(0.0, max(x.high, 0.0))
    return monotone(x, lambda v: v**exponent)


def clamp(x: Interval, low: float, high: float) -> Interval:
    """Range of min(max(x, low), high)."""
    lo = Interval(max(x.low, low), max(x.high, low), x.low_open and x.low > low, x.high_open)
    return Interval(
        min(lo.low, high), min(lo.high, high), lo.low_open, lo.high_open and lo.high < high
    )
