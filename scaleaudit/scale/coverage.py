"""Which positions and channels of a state are read, and by what: visibility where it is least."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scaleaudit.domain.facts import Visibility
from scaleaudit.domain.scale import Scale
from scaleaudit.scale import judge


@dataclass(frozen=True, slots=True)
class Axes:
    """What the axes of a state are: its positions, and its features (channels).

    The first of several axes is the batch, whose examples are exchangeable. Features are not:
    those that only a norm reads are free to grow beside those that are read raw (measured: a
    penalty on one of 16 channels holds that one).
    """

    positions: tuple[int, ...]
    features: int

    @classmethod
    def of(cls, rank: int, *, convolved: bool = False) -> Axes:
        """Return the axes of a state; images and sequences of convolutions have features first.

        Args:
            convolved: Whether the loop's body convolves.
        """
        features = 1 if convolved and rank > MATRIX_RANK else max(rank - 1, 0)
        return cls(tuple(axis for axis in range(1, rank) if axis != features), features)


MATRIX_RANK = 2

# Positions share the loop's weights, so what holds most of them holds the rest (a shift by one
# token leaves the last one out); a raw readout of one token in many does not.
MOST = 0.5


@dataclass(frozen=True, slots=True)
class Reads:
    """The indices of every axis of a state that a value reads; None where not known."""

    masks: tuple[int, ...] | None

    @classmethod
    def of(cls, value: Scale) -> Reads:
        """Return what a value reads."""
        support = value.support
        if support is None or not support.exact:
            return cls(None)
        return cls(support.reads)

    def union(self, other: Reads) -> Reads:
        """Return what either value reads."""
        if self.masks is None or other.masks is None:
            return Reads(None)
        return Reads(tuple(a | b for a, b in zip(self.masks, other.masks, strict=True)))

    def share(self, axes: Axes, shape: tuple[int, ...]) -> float | None:
        """Share of the positions of a state that are read."""
        if self.masks is None:
            return None
        counts = [self.masks[axis].bit_count() / max(shape[axis], 1) for axis in axes.positions]
        return math.prod(counts)

    def leaves_out(self, others: list[Reads], axes: Axes) -> bool:
        """Whether this leaves most of the positions, or any features, to the others alone."""
        if self.masks is None:
            return bool(others)
        limits = {**dict.fromkeys(axes.positions, MOST), axes.features: 0.0}
        for axis, limit in limits.items():
            read = 0
            for other in others:
                read |= other.masks[axis] if other.masks else 0
            missing = (read & ~self.masks[axis]).bit_count()
            if missing > limit * (read | self.masks[axis]).bit_count():
                return True
        return False


# What may see some positions and leave the others to readouts that don't.
_SEEING = frozenset({Visibility.VISIBLE, Visibility.SATURATING})


def judged_where_least(
    readouts: list[tuple[Visibility, Reads]], through: list[Visibility], axes: Axes
) -> Visibility:
    """Return the visibility of a state where it is read least.

    A raw readout of one position beside a normed readout of all leaves the other positions to
    the latter; so does one that flattens.
    """
    answers = [seen for seen, _ in readouts]
    if not answers and not through:
        return Visibility.INVARIANT
    best = judge.most([*answers, *through])
    if best not in _SEEING or best in through:
        return best
    seeing = [reads for seen, reads in readouts if seen is best]
    rest = [(seen, reads) for seen, reads in readouts if seen is not best]
    if not rest:
        return best
    covered = seeing[0]
    for reads in seeing[1:]:
        covered = covered.union(reads)
    if not covered.leaves_out([reads for _, reads in rest], axes):
        return best
    if covered.masks is None:
        return Visibility.UNKNOWN
    return judged_where_least(rest, through, axes)
