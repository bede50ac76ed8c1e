"""What the calibration runs: models of known truth, at sizes, initialisations, data and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatch

from benchmarks.calibration.idioms import idioms
from scaleaudit.reference.config import CONDITIONS, SIZES, Size


class Truth(Enum):
    """What is so, by construction: whether anything restrains the length of a carried state.

    EITHER: nothing in the loss does, and the loop forgets it, bit by bit.
    """

    BLIND = "blind"
    CONTROLLED = "controlled"
    EITHER = "either"


class Part(Enum):
    """What a run is for: the first sets thresholds, the second shares neither data nor seeds."""

    SETS = "small, text, even seeds"
    JUDGED = "small, chain, odd seeds"
    MIXED = "small, the rest"
    LARGE = "44m"
    EXAMPLES = "examples"
    IDIOMS = "idioms"


TEXT, CHAIN, MADE = "text", "chain", "made"
UNIT, SMALL, OWN = "N(0, 1)", "N(0, 0.02)", "own"
EXAMPLE, IDIOM = "example", "idiom"
# As many as the command takes at most where nobody asks for more, and for the family more.
SEEDS, SEEDS_OF_IDIOMS = 5, 3
_OF_DATA = {TEXT: Part.SETS, CHAIN: Part.JUDGED}
# The deviation of the embeddings that every initialisation starts from.
DEVIATIONS = {UNIT: 1.0, SMALL: 0.02}
# The reference model narrower and wider than its tiny size, which has 64 features, and large.
WIDTHS = {
    "32": Size(vocabulary=256, dim=32, heads=4, layers=2, hidden=128, context=64),
    "64": SIZES["tiny"],
    "128": Size(vocabulary=256, dim=128, heads=4, layers=2, hidden=512, context=64),
    "44m": SIZES["44m"],
}
LARGE_SIZES = ("44m",)
# Models that are not of the reference family, by what stands for their size.
_FOUND = {EXAMPLE: Part.EXAMPLES, IDIOM: Part.IDIOMS}
_BLIND = ("terminal_rmsnorm", "per_loop_rmsnorm")
TRUTHS = {name: Truth.BLIND if name in _BLIND else Truth.CONTROLLED for name in CONDITIONS}
# As each example says of itself. One without a loop has nothing to be probed.
EXAMPLES = {
    "damped_injection": Truth.BLIND,
    "exits_blind": Truth.BLIND,
    "exits_fixed": Truth.CONTROLLED,
    "fast_slow_blind": Truth.BLIND,
    "gru_refinement_blind": Truth.BLIND,
    "gru_refinement_fixed": Truth.CONTROLLED,
    "injection_coda_blind": Truth.BLIND,
    "injection_coda_fixed": Truth.CONTROLLED,
    "looped_gpt_blind": Truth.BLIND,
    "looped_gpt_fixed": Truth.CONTROLLED,
    "lstm_language_model": Truth.CONTROLLED,
}


_BY_ANALYSIS = {True: Truth.BLIND, False: Truth.CONTROLLED, None: Truth.EITHER}


@dataclass(frozen=True, slots=True, order=True)
class Family:
    """A model with its data: what is captured once and run with every seed.

    Attributes:
        model: A condition of the reference models, an example, or an idiom.
        data: What it is trained on.
    """

    model: str
    size: str
    initialisation: str
    data: str

    @property
    def truth(self) -> Truth:
        """What a probe has to find."""
        if self.size == IDIOM:
            return _BY_ANALYSIS[idioms()[self.model]]
        return EXAMPLES[self.model] if self.size == EXAMPLE else TRUTHS[self.model]

    @property
    def seeds(self) -> int:
        """With how many seeds it is run."""
        return SEEDS_OF_IDIOMS if self.size == IDIOM else SEEDS

    def __str__(self) -> str:
        """Name it, for progress and patterns."""
        return f"{self.model}/{self.size}/{self.initialisation}/{self.data}"


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One run: a target and its twin, from one seed."""

    family: Family
    seed: int

    @property
    def part(self) -> Part:
        """What it is for."""
        if self.family.size in _FOUND:
            return _FOUND[self.family.size]
        if self.family.size in LARGE_SIZES:
            return Part.LARGE
        return Part.MIXED if self.is_mixed else _OF_DATA[self.family.data]

    @property
    def is_mixed(self) -> bool:
        """Whether it has the data of one half, and a seed of the other."""
        if self.family.size in _FOUND:
            return False
        return (self.seed % 2 == 0) != (self.family.data != CHAIN)

    def __str__(self) -> str:
        """Name it, for progress and patterns."""
        return f"{self.family}/{self.seed}"


def families(sizes: Iterable[str]) -> tuple[Family, ...]:
    """Return all models of these sizes with all their data."""
    found = []
    for size in sizes:
        if size in _FOUND:
            names = EXAMPLES if size == EXAMPLE else idioms()
            found += [Family(name, size, OWN, MADE) for name in names]
            continue
        for initialisation in DEVIATIONS:
            for data in (TEXT, CHAIN):
                found += [Family(name, size, initialisation, data) for name in CONDITIONS]
    return tuple(found)


def wanted(found: Iterable[Family], patterns: Sequence[str] | None) -> list[Case]:
    """Return the runs that fit a pattern, the most telling first.

    A half's own seeds of every model come before those that have the other half's data.
    """
    cases = [
        Case(family, seed)
        for family in found
        for seed in range(family.seeds)
        if patterns is None or any(fnmatch(f"{family}/{seed}", each) for each in patterns)
    ]
    return sorted(cases, key=lambda case: (case.is_mixed, case.seed))


def shares(cases: Sequence[Case], jobs: int) -> list[list[Case]]:
    """Deal runs out to processes, all of a family to one, which then captures it once."""
    order = dict.fromkeys(case.family for case in cases)
    place = {family: i % jobs for i, family in enumerate(order)}
    dealt = [[case for case in cases if place[case.family] == job] for job in range(jobs)]
    return [share for share in dealt if share]
