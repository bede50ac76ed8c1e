"""The trained reference models side by side, and what became of the claims of the paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scaleaudit.domain.evaluation import Evaluation
from scaleaudit.domain.training import Text, TrainingRequest

# From here on three digits are whole, and there they are the least of a number.
_WHOLE, _HUGE = 100, 1e6


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """How a trained model is evaluated.

    Attributes:
        sequences: The most sequences of held-out text, of the model's context each.
        target: The perplexity that early exits may cost, in terms of the one after all turns.
        device: "auto", or a device as torch names it.
        cache: Where prepared text is kept; None for the user's cache.
    """

    sequences: int = 256
    target: float = 1.02
    device: str = "auto"
    cache: str | None = None


@dataclass(frozen=True, slots=True)
class CampaignRequest:
    """Models of one size that are to be trained and compared. What is None is as its recipe says.

    Attributes:
        seeds: How many a condition is trained with.
        accumulate: How many parts of a batch are computed one after another.
        out: The folder of their runs.
        threads: How many a run may compute with.
        compile: Whether to compile; None for on CUDA.
    """

    size: str
    seeds: int
    out: str
    text: Text
    evaluation: EvaluationRequest
    steps: int | None = None
    lr: float | None = None
    batch: int | None = None
    accumulate: int = 1
    threads: int | None = None
    compile: bool | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run to train, unless that is done, and to evaluate, unless that is known.

    Attributes:
        place: The folder of the run, or a checkpoint.
        name: What it is called before it is known what it is of.
        training: How it is trained; None for one that is only evaluated.
        threads: How many it may compute with; None for as many as torch takes.
    """

    place: str
    name: str
    evaluation: EvaluationRequest
    training: TrainingRequest | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """What came of a run.

    Attributes:
        run: What it gives; None where it is not trained to its end.
        why: Why it is not.
        overflowed: How its training came to another end: it is done, and there is no model.
    """

    run: ReferenceRun | None
    why: str = ""
    overflowed: OverflowedRun | None = None


@dataclass(frozen=True, slots=True)
class ReferenceRun:
    """One model, trained and evaluated.

    Attributes:
        condition: Its name.
        per_loop: Whether every turn is in the loss, not the last alone.
        blind: Whether nothing in its loss sees the length of the state.
        step: Steps of training.
        seen: Tokens of training.
        recipe: How it was trained and evaluated, as names and values.
    """

    condition: str
    per_loop: bool
    blind: bool
    size: str
    seed: int
    step: int
    seen: int
    recipe: tuple[tuple[str, str], ...]
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class OverflowedRun:
    """A training that ended because its loss was no number any more.

    Attributes:
        step: The first step without a number.
        length: Mean length of the state after the last turn, as last measured before it; None
            where it was never measured.
        measured: The step at which it was measured.
    """

    condition: str
    blind: bool
    size: str
    seed: int
    step: int
    length: float | None
    measured: int

    @property
    def before(self) -> str:
        """Say what the length was before."""
        if self.length is None:
            return "not measured"
        return f"{figure(self.length)} at step {self.measured:,}"


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that is said of the models, beside what was measured.

    Attributes:
        said: The claim.
        found: What was measured.
        holds: Whether that agrees; None where the runs at hand cannot tell.
    """

    said: str
    found: str
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Spread:
    """A number over the seeds."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{figure(self.mean)} ({figure(self.low)} to {figure(self.high)})"


@dataclass(frozen=True, slots=True)
class ConditionRuns:
    """The runs of one condition, one for every seed.

    Attributes:
        length: What the paper says of the state's length.
        perplexity: What it says beside the blind condition of the same supervision; None of blind
            ones.
    """

    condition: str
    per_loop: bool
    blind: bool
    runs: tuple[ReferenceRun, ...]
    length: Claim
    perplexity: Claim | None

    @property
    def turns(self) -> tuple[int, ...]:
        """The depths that were measured."""
        return tuple(depth.turns for depth in self.runs[0].evaluation.depths)

    def over_seeds(self, read: Callable[[Evaluation], float]) -> Spread:
        """Return a number of every run's evaluation as mean and range."""
        return spread(read(run.evaluation) for run in self.runs)

    def lengths(self, turns: int) -> Spread:
        """Return the mean length of the state after so many turns."""
        return self.over_seeds(lambda found: found.at(turns).lengths.mean)

    def perplexities(self, turns: int) -> Spread:
        """Return the perplexity after so many turns."""
        return self.over_seeds(lambda found: found.at(turns).perplexity)


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A table of conditions and seeds, all of one size.

    Attributes:
        recipe: How the models were trained and evaluated, as names and values.
        claims: Those of the paper about all conditions together.
        separation: What is asked of every size, however brief its training: the gap between blind
            and controlled conditions.
        missing: Runs that were asked for and are not done, in words.
        overflowed: Runs that are done and left no model.
    """

    size: str
    recipe: tuple[tuple[str, str], ...]
    conditions: tuple[ConditionRuns, ...]
    claims: tuple[Claim, ...]
    separation: tuple[Claim, ...]
    missing: tuple[str, ...] = ()
    overflowed: tuple[OverflowedRun, ...] = ()


def spread(values: Iterable[float]) -> Spread:
    """Return the mean of some numbers, at least one, and their range."""
    held = tuple(values)
    return Spread(sum(held) / len(held), min(held), max(held))


def figure(value: float) -> str:
    """Write a number to three digits: whole ones with separators, huge ones as powers of ten."""
    if _HUGE <= abs(value) < math.inf:
        return f"{value:.2e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.3g}"
