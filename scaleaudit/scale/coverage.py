"""Which positions and channels of a state are read, and by what: visibility where it is least."""

from __future__ import annotations

from dataclasses import dataclass

from scaleaudit.domain.facts import Visibility
from scaleaudit.domain.scale import Scale
from scaleaudit.scale import judge

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

    def share(self, rank: int) -> float | None:
        """Share of the positions that are read."""
        if self.masks is None:
            return None
        total = 1.0
        for axis in _judged_axes(rank):
            mask = self.masks[axis]
            size = max(mask.bit_length(), 1)
            total *= mask.bit_count() / size
        return total

    def leaves_out(self, others: list[Reads], rank: int) -> bool:
        """Whether this leaves most of the positions to the others alone."""
        if self.masks is None:
            return bool(others)
        for axis in _judged_axes(rank):
            read = 0
            for other in others:
                read |= other.masks[axis] if other.masks is not None else 0
            missing = (read & ~self.masks[axis]).bit_count()
            if missing / max(read.bit_count(), 1) > MOST:
                return True
        return False


def _judged_axes(rank: int) -> range:
    """The axes between the batch, whose examples are exchangeable, and the features.

    A readout of some features sees the length of the whole position.
    """
    return range(1, rank - 1)


def judged_where_least(
    readouts: list[tuple[Visibility, Reads]], through: list[Visibility], rank: int
) -> Visibility:
    """Return the visibility of a state where it is read least.

    A raw readout of one position beside a normed readout of all leaves the other positions to
    the latter.
    """
    answers = [seen for seen, _ in readouts]
    if not answers and not through:
        return Visibility.INVARIANT
    best = judge.most([*answers, *through])
    if best is not Visibility.VISIBLE or Visibility.VISIBLE in through:
        return best
    seeing = [reads for seen, reads in readouts if seen is Visibility.VISIBLE]
    rest = [(seen, reads) for seen, reads in readouts if seen is not Visibility.VISIBLE]
    if not rest:
        return best
    covered = seeing[0]
    for reads in seeing[1:]:
        covered = covered.union(reads)
    if not covered.leaves_out([reads for _, reads in rest], rank):
        return best
    if covered.masks is None:
        return Visibility.UNKNOWN
    return judge.most([seen for seen, _ in rest])
