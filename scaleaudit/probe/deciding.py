"""The verdict: flat and growing is confirmed, rising or staying is refuted, the rest is open."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.facts import ProbeVerdict
from scaleaudit.domain.probing import NOT_MEASURED, Carry
from scaleaudit.probe import thresholds as at
from scaleaudit.probe.response import Response


class Growth(Enum):
    """What one seed says of a state's length."""

    GROWS = "grows"
    STAYS = "stays"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Seed:
    """What one seed showed of one state.

    Attributes:
        first: Its length at the first step.
        norm: The same at the end of training.
        twin: The same in the twin with a penalty.
        deeper: Factor on the length at four times the turns; None where it cannot be run deeper.
        span: The largest of its lengths over the smallest, at any number of turns.
        overflowed: Whether numbers ended in the target and not in the twin.
        learnt: Whether the loss fell.
        late: By what it grew over the last three quarters of training; None where that is not known.
        again: Whether it was trained for longer, as the first run left it open.
        carry: What the trained weights make of its length.
    """

    first: float
    norm: float
    twin: float
    deeper: float | None
    span: float = 1.0
    overflowed: bool = False
    learnt: bool = True
    late: float | None = None
    again: bool = False
    carry: Carry = NOT_MEASURED

    @property
    def ratio(self) -> float:
        """The length over that of the twin."""
        return self.norm / self.twin if self.twin > 0 else math.inf

    def growth(self, response: Response, *, margin: float = 1.0) -> Growth:
        """Say whether the length grows, by thresholds that a margin moves apart."""
        if self.overflowed:
            return Growth.GROWS
        if not math.isfinite(self.ratio):
            return Growth.UNSURE
        if not response.is_flat:
            escapes = self.ratio * margin >= at.ESCAPED_RATIO or self._gets_away(response)
            return Growth.UNSURE if escapes else Growth.STAYS
        return self._by_itself(margin) if response.is_rewarded else self._where_free(margin)

    def _where_free(self, margin: float) -> Growth:
        """Judge where the loss leaves the length as it is."""
        if self.carry.kept is None:
            return self._by_depth(margin)
        if self.is_held:
            return Growth.STAYS
        found = self._by_carry(margin) if self.is_kept else self._by_training(margin)
        if found is Growth.GROWS:
            return found
        # That it did not grow yet says little where nothing keeps turns from holding on to it.
        stays = self._fades and (found is Growth.STAYS or self._rests)
        return Growth.STAYS if stays else Growth.UNSURE

    def _gets_away(self, response: Response) -> bool:
        """Whether it grows as what nothing restrains does, in a longer run too, or along what is not seen."""
        grows = self.is_kept and self.piles_up and self.is_longer and self.ratio >= at.GROWN_RATIO
        rests = self.again and self.late is not None and self.late < at.STILL_GROWING
        seen = response.directions is None or response.directions >= at.MOST_DIRECTIONS
        return grows and not (rests and seen)

    @property
    def is_kept(self) -> bool:
        """Whether a turn keeps length whole."""
        return self.carry.kept is not None and self.carry.kept >= at.WHOLE

    @property
    def is_held(self) -> bool:
        """Whether the loop forgets length, at once or while what it writes is bounded."""
        if self.carry.kept is None or self.is_kept:
            return False
        return self.carry.kept <= at.FORGOTTEN or (self._is_bounded and self._is_shortened)

    @property
    def _is_shortened(self) -> bool:
        """Whether turns shorten all that they read, and cannot be trained to lengthen it."""
        attainable = self.carry.attainable
        expands = attainable is not None and attainable >= at.EXPANDING
        return not (expands or self.carry.untouched)

    @property
    def _fades(self) -> bool:
        """Whether turns forget all length bit by bit, however they are trained."""
        kept, attainable = self.carry.kept, self.carry.attainable
        if kept is None or attainable is None or self.carry.untouched:
            return False
        return max(kept, attainable) <= at.FADING

    @property
    def _rests(self) -> bool:
        """Whether neither training nor more turns have lengthened it, whatever became of the twin."""
        return not self.is_longer and self.deeper is not None and self.deeper <= at.STAYED_DEEPER

    @property
    def is_longer(self) -> bool:
        """Whether training has lengthened it."""
        return self.norm >= at.GROWN_ITSELF * self.first

    def _by_itself(self, margin: float) -> Growth:
        """Judge where length is rewarded, which may draw out the twin as well."""
        if self.is_held:
            return Growth.STAYS
        drawn_out = self.norm >= at.ESCAPED_RATIO * margin * self.first
        grows = drawn_out or self._where_free(margin) is Growth.GROWS
        return Growth.GROWS if grows else Growth.UNSURE

    @property
    def _is_bounded(self) -> bool:
        """Whether what turns write is bounded, however large weights become."""
        return self.carry.reach is not None and self.carry.reach <= at.BOUNDED_REACH

    @property
    def piles_up(self) -> bool:
        """Whether more turns lengthen it further."""
        return self.deeper is not None and self.deeper >= at.GROWN_DEEPER

    def _by_carry(self, margin: float) -> Growth:
        """Judge a loop that keeps length whole, so that whatever turns add piles up."""
        if self.piles_up:
            grows = self.ratio >= at.STAYED_RATIO * margin
            return Growth.GROWS if grows else Growth.UNSURE
        return self._by_training(margin)

    def _by_training(self, margin: float) -> Growth:
        """Judge by training alone, as more turns do not lengthen what is forgotten bit by bit."""
        if self.is_longer and self.ratio >= at.GROWN_RATIO * margin:
            return Growth.GROWS
        # Where the twin grew alike, the penalty had no time to take hold of it.
        stays = self.ratio <= at.STAYED_RATIO and not (self.is_longer and self.piles_up)
        return Growth.STAYS if stays else Growth.UNSURE

    @property
    def _has_escaped(self) -> bool:
        return self.is_longer and self.ratio >= at.ESCAPED_RATIO

    def _by_depth(self, margin: float) -> Growth:
        """Judge by training and by more turns, where what a turn keeps could not be measured."""
        deeper, ratio = self.deeper, self.ratio
        # A blind loop that solved its task in one turn may turn around, as long as it has become.
        around = self._has_escaped and self.span >= at.GROWN_DEEPER
        if deeper is None or not math.isfinite(deeper):
            alike = ratio <= at.STAYED_RATIO and not self.is_longer
            return Growth.GROWS if around else Growth.STAYS if alike else Growth.UNSURE
        if self.is_longer and (deeper >= at.GROWN_DEEPER or around):
            # Where the twin grew alike, the penalty had no time to take hold of it.
            return Growth.GROWS if ratio >= at.GROWN_RATIO * margin else Growth.UNSURE
        stays = (deeper <= at.STAYED_DEEPER and not self._has_escaped) or ratio <= at.STAYED_RATIO
        return Growth.STAYS if stays else Growth.UNSURE


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, and where it is open, why and what would settle it."""

    verdict: ProbeVerdict
    reason: str = ""


def is_clear(response: Response, seeds: Sequence[Seed]) -> bool:
    """Tell whether more seeds would change nothing: all say the same, and are far from unsure.

    One seed will do where training only bears out what the trained weights show by themselves.
    """
    flat = response.is_flat
    found = {seed.growth(response, margin=at.CLEAR) for seed in seeds}
    if found == {Growth.STAYS}:
        return len(seeds) > 1 or not flat or all(seed.is_held for seed in seeds)
    sure = all(seed.is_kept and seed.growth(response, margin=at.SURE) in found for seed in seeds)
    return found == {Growth.GROWS} and (len(seeds) > 1 or sure)


def decide(response: Response, seeds: Sequence[Seed]) -> Decision:
    """Put together what scaling and training showed of one state."""
    if not response.is_known:
        return _open(_NO_RESPONSE)
    if not seeds:
        return _open(_NO_SEED)
    flat = response.is_flat
    found = {seed.growth(response) for seed in seeds}
    if found == {Growth.STAYS}:
        idle = flat and not _keeps(seeds) and not all(each.learnt for each in seeds)
        return _open(_NOTHING_LEARNT) if idle else Decision(ProbeVerdict.REFUTED)
    if found == {Growth.GROWS} and flat:
        return Decision(ProbeVerdict.CONFIRMED)
    return _open(_why_unsure(response, seeds, found))


def _open(reason: str) -> Decision:
    return Decision(ProbeVerdict.INCONCLUSIVE, reason)


def together(verdicts: Sequence[ProbeVerdict]) -> ProbeVerdict:
    """The verdict of a target: confirmed by one state, refuted by all."""
    if ProbeVerdict.CONFIRMED in verdicts:
        return ProbeVerdict.CONFIRMED
    if verdicts and set(verdicts) == {ProbeVerdict.REFUTED}:
        return ProbeVerdict.REFUTED
    return ProbeVerdict.INCONCLUSIVE


def span(norms: Iterable[float]) -> float:
    """Return the largest of the lengths that were measured over the smallest; 1 where none was."""
    found = [norm for norm in norms if 0 < norm < math.inf]
    return max(found) / min(found) if found else 1.0


def _keeps(seeds: Sequence[Seed]) -> bool:
    """Whether the loop itself holds the length, which needs no training to be seen."""
    return all(
        seed.is_held or (seed.deeper is not None and seed.deeper <= at.STAYED_DEEPER)
        for seed in seeds
    )


def _why_unsure(response: Response, seeds: Sequence[Seed], found: set[Growth]) -> str:
    """Say what is in the way of a verdict, what would hide the rest first."""
    if any(not math.isfinite(seed.ratio) and not seed.overflowed for seed in seeds):
        return _BOTH_OVERFLOW
    if not response.is_flat:
        return _SEEN_AND_GROWS
    if len(found) > 1:
        return _SEEDS_DIFFER
    return _REWARDED if response.is_rewarded else _why_between(seeds)


def _why_between(seeds: Sequence[Seed]) -> str:
    """Say why every seed is unsure, where the loss leaves the length as it is."""
    if all(seed.deeper is None for seed in seeds):
        return _NOT_DEEPER
    ratios = sorted(seed.ratio for seed in seeds)
    reason = _BETWEEN
    if ratios[-1] <= at.STAYED_RATIO:
        reason = _ALIKE if any(seed.piles_up for seed in seeds) else _KEPT
    return reason.format(times=_from_to(ratios[0], ratios[-1]))


def _from_to(low: float, high: float) -> str:
    """Write a range, as one number where both ends read alike."""
    first, last = f"{low:.2g}", f"{high:.2g}"
    return first if first == last else f"{first} to {last}"


_NO_RESPONSE = (
    "the objective is no number where the state is scaled, so whether it sees the length is not "
    "known; a loss that stays finite for large states would settle it"
)
_NO_SEED = "no training run was finished; a larger --budget or fewer --steps would settle it"
_NOTHING_LEARNT = (
    "the loss did not fall, so that its length stays says nothing; batches with something to learn "
    "or more --steps would settle it"
)
_SEEN_AND_GROWS = (
    "scaling the state changes the loss, yet its norm grows beyond that of the twin: the loss may "
    "restrain some of its positions or directions alone, or too weakly; more --steps would tell whether "
    "it comes back"
)
_NOT_DEEPER = (
    "the loop cannot be run deeper (it has a single turn, or a turn reads more than the one before it "
    "left), so what more turns do to its norm cannot be measured"
)
_BOTH_OVERFLOW = (
    "numbers end in the twin too, which the target is held against; a lower --lr would settle it"
)
_SEEDS_DIFFER = "the seeds do not agree; more --seeds or --steps would settle it"
_REWARDED = (
    "the objective falls as the state becomes longer, which may draw out the twin as well, and its norm "
    "did not become much longer than at first; more --steps would settle it"
)
_BETWEEN = (
    "its norm ends at {times} times that of the twin, between what blind and what controlled states "
    "do; more --steps would settle it"
)
_ALIKE = (
    "its norm ends at {times} times that of the twin, so the penalty had no time to hold the twin "
    "back, while more turns lengthen the state further; more --steps would settle it"
)
_KEPT = (
    "its norm ends at {times} times that of the twin and more turns do not lengthen it, but a turn "
    "keeps length, or can be trained to, so that it has not grown yet says little; more --steps would "
    "settle it"
)
