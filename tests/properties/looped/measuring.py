"""Measure a random looped model in float64: no part of the audit takes part in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from looped.model import Looped

FACTORS = (1.0, 1e2, 1e4, 1e6, 1e8, 1e10)
"""As far as float64 lets: a soft cap flattens late where one of its many logits is small."""
EPS_TOLERANCE = 1e-4
"""A norm's eps changes this much at most, where the state has a mean square of 1."""
FLAT = 1e-6
ROUNDING = 1e-9
SHORT = 1e-3
"""A position this much shorter than the others shows the eps of norms, and little else."""
LARGE, LARGER = 1e8, 1e11
EXACT = 1e-5
BOX = 8.0
"""Half the width of the box that bounded turns must not leave."""


class DiscardedError(Exception):
    """The numbers tell nothing."""


def seeded(f: Callable[[], Tensor]) -> Tensor:
    """Evaluate with the same dropout masks every time."""
    torch.manual_seed(7)
    return f()


@dataclass(frozen=True, slots=True)
class Response:
    """How a scalar answers to the scaling of all states, by factor: its value, and its slope.

    Attributes:
        slopes: Derivatives by the logarithm of the factor, along gradient paths.
    """

    values: tuple[float, ...]
    slopes: tuple[float, ...]

    @property
    def kind(self) -> str:
        """Flat, converging, rising or falling, by what a gradient can follow."""
        size = abs(self.values[0])
        first, *_, late, last = self.slopes
        if not any(self.slopes):
            return "flat"  # whatever the value does, no gradient follows it
        if abs(last) > ROUNDING * size and abs(last) > abs(late) / 2:
            return "rising" if last > 0 else "falling"
        by_eps = abs(self.values[0] - self.values[1]) + abs(first)
        if max(map(abs, self.slopes[1:])) <= FLAT * size and by_eps <= EPS_TOLERANCE * size:
            return "flat"
        return "converging"


@dataclass(frozen=True, slots=True)
class Run:
    """The states of one run, with a mean square of 1 each, and the embedded input."""

    model: Looped
    states: list[Tensor]
    embedded: Tensor

    @classmethod
    def of(cls, model: Looped, tokens: Tensor) -> Run:
        """Run the loop."""
        with torch.no_grad():
            e = model.embed(tokens)
            h, states = e, []
            for k in range(model.draw.turns):
                h = seeded(lambda h=h, k=k: model.turn(h, e, k))
                size = h.square().mean().sqrt()
                rows = h.square().mean(dim=-1).sqrt()
                if not torch.isfinite(size) or rows.min() <= SHORT * size:
                    raise DiscardedError("a state is next to zero, or infinite")
                h = h / size
                states.append(h)
        return cls(model, states, e)

    def respond(self, f: Callable[[list[Tensor], Tensor], Tensor]) -> Response:
        """Scale all states by every factor; turns without gradient have none here either."""
        values, slopes = [], []
        records = [self.model.records(k) for k in range(self.model.draw.turns)]
        for factor in FACTORS:
            pairs = zip(self.states, records, strict=True)
            leaves = [(factor * h).requires_grad_(recorded) for h, recorded in pairs]
            value = seeded(lambda leaves=leaves: f(leaves, self.embedded))
            free = [leaf for leaf in leaves if leaf.requires_grad]
            slope = 0.0
            if value.requires_grad:
                found = torch.autograd.grad(value, free, allow_unused=True)
                met = [
                    (x.detach() * g).sum()
                    for x, g in zip(free, found, strict=True)
                    if g is not None
                ]
                slope = float(sum(met))
            values.append(float(value.detach()))
            slopes.append(slope)
        if not all(map(_is_finite, (*values, *slopes))):
            raise DiscardedError("the loss is not finite")
        return Response(tuple(values), tuple(slopes))


def _is_finite(value: float) -> bool:
    return abs(value) < float("inf")


@dataclass(frozen=True, slots=True)
class Motion:
    """What one period of a loop does to long states.

    Attributes:
        growth: Exponent of the length that comes out over the length that goes in.
        branch: Exponent of what is written beside the state.
        low: Smallest factor on an element of the state alone.
        high: Largest factor on an element of the state alone.
        lowest: The smallest for weights of any size.
        highest: The largest for weights of any size.
        identity: Whether what is kept of the state is the state, element by element.
        stays: Whether a box is mapped into itself, for weights of several sizes.
    """

    growth: float
    branch: float
    low: float
    high: float
    lowest: float
    highest: float
    identity: bool
    stays: bool


SIZES = (1.0, 3.0, -3.0, 300.0, -300.0)


def move(run: Run) -> Motion:
    """Measure the last period of the loop."""
    model = run.model
    h = torch.randn(8, *run.states[0].shape[1:], dtype=torch.float64)
    h = h + 0.1 * h.sign()  # a factor on next to nothing would be lost in what is written
    e = run.embedded[:1].expand_as(h)
    with torch.no_grad():
        here, there = (_period(model, a * h, e) for a in (LARGE, LARGER))
        bare = [_period(model, a * h, e, write=False) for a in (LARGE, LARGER)]
        factors = [_factors(model, h, e, size) for size in SIZES]
        return Motion(
            growth=_exponent(here, there),
            branch=_exponent(here - bare[0], there - bare[1]),
            low=float(factors[0].min()),
            high=float(factors[0].abs().max()),
            lowest=min(float(f.min()) for f in factors),
            highest=max(float(f.abs().max()) for f in factors),
            identity=_keeps_zeros(model, h, e),
            stays=all(_stays(model, e, size) for size in (1.0, 30.0)),
        )


def _period(model: Looped, h: Tensor, e: Tensor, *, write: bool = True) -> Tensor:
    last = model.draw.turns
    for k in range(last - model.draw.period, last):
        h = seeded(lambda h=h, k=k: model.turn(h, e, k, write=write))
    return h


def _exponent(here: Tensor, there: Tensor) -> float:
    """Growth of the length from one large scale to the next, as a power of the scale."""
    a, b = float(here.norm()), float(there.norm())
    if not (_is_finite(a) and _is_finite(b)):
        raise DiscardedError("a turn overflows")
    if b == 0 or a == 0:
        return 0.0
    return float(torch.tensor(b / a).log() / torch.tensor(LARGER / LARGE).log())


def _factors(model: Looped, h: Tensor, e: Tensor, size: float) -> Tensor:
    """The factor that a turn without its writes puts on every element."""
    with Resized(model.turn, size):
        kept = _period(model, LARGER * h, e, write=False)
    return kept / (LARGER * h)


def _keeps_zeros(model: Looped, h: Tensor, e: Tensor) -> bool:
    """Whether an element that is zero stays so, to leading order, where nothing is written."""
    h = h.clone()
    h[..., 0] = 0
    kept = _period(model, LARGER * h, e, write=False)
    return float(kept[..., 0].abs().max()) < EXACT * LARGER < float(kept.abs().max())


def _stays(model: Looped, e: Tensor, size: float) -> bool:
    """Whether states in a box stay there, for weights and inputs of some size."""
    h = BOX * (2 * torch.rand_like(e) - 1)
    with Resized(model.turn, size):
        return float(_period(model, h, size * e).abs().max()) <= BOX * (1 + EXACT)


class Resized:
    """All weights of a module times a number, for a while."""

    def __init__(self, module: nn.Module, size: float) -> None:
        self._parameters = list(module.parameters())
        self._size = size
        self._before = [p.clone() for p in self._parameters]

    def __enter__(self) -> None:
        for parameter in self._parameters:
            parameter.mul_(self._size)

    def __exit__(self, *_: object) -> None:
        for parameter, value in zip(self._parameters, self._before, strict=True):
            parameter.copy_(value)
