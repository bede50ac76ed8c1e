"""The protocol: how a loss answers to scale, then training beside twins until the verdict is clear."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scaleaudit.domain.diagnostics import Diagnostics
from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict, StateProbe
from scaleaudit.domain.probing import ProbeRequest, TrainingRun
from scaleaudit.errors import ProbeError, described
from scaleaudit.probe import thresholds
from scaleaudit.probe.data import Feed, Stream
from scaleaudit.probe.deciding import Decision, Seed, decide, is_clear, span, together
from scaleaudit.probe.depth import cycles
from scaleaudit.probe.diagnostics import diagnose
from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.norms import features
from scaleaudit.probe.program import Program
from scaleaudit.probe.response import Response, respond
from scaleaudit.probe.traces import traced
from scaleaudit.probe.training import Recipe, train
from scaleaudit.probe.twins import Fix, Normed, Penalised, Twin, Untouched

# Standard deviation of what stands for weights that start at zero, which hide what they multiply.
_PERTURBED = 0.02
# Runs that a verdict takes at least: the target and its twin.
_FEWEST_RUNS = 2

# Told what is being done, and which step of it.
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """A target that is ready to be probed.

    Attributes:
        program: Runs on the device.
        wide: The same in float64.
        raw: The same with its readouts raw; None where no norm is in their way.
        weights: Returns parameters and buffers as the target's own code makes them for a seed.
        stream: Where batches come from.
        device: What to call the device.
        group: The processes that probe it together.
        checkpoint: Where the weights come from; empty where the target's own code makes them.
        linear: The states that linear maps carry, by the positions of loop and state.
    """

    program: Program
    wide: Program
    raw: Program | None
    weights: Callable[[int], Mapping[str, Tensor]]
    stream: Stream
    device: str
    group: Group = ALONE
    checkpoint: str = ""
    linear: frozenset[tuple[int, int]] = frozenset()


class _OverBudgetError(Exception):
    """The time for the probe is over."""


def probe(bench: Bench, request: ProbeRequest, tell: Tell = lambda *_: None) -> ProbeOutcome:
    """Confirm or refute that the states of a target grow without anything to restrain them.

    Raises:
        ProbeError: The target cannot be run or trained; says why and what to do.
    """
    return _Probe(bench, request, tell).run()


class _Probe:
    """One probe of one target."""

    def __init__(self, bench: Bench, request: ProbeRequest, tell: Tell) -> None:
        self._bench, self._request, self._tell = bench, request, tell
        self._began = self._now()
        self._states = [
            (i, j)
            for i, loop in enumerate(bench.program.nest.loops)
            for j, _ in enumerate(loop.states)
        ]
        dtype = None if request.dtype in (None, "float32") else getattr(torch, str(request.dtype))
        lr = thresholds.learning_rate(self._width()) if request.lr is None else request.lr
        self._recipe = Recipe(
            steps=request.steps, lr=lr, every=max(1, request.steps // 20), dtype=dtype
        )
        self._runs: dict[tuple[int, Fix], TrainingRun] = {}
        self._notes: list[str] = []
        self._slowest = self._warm = 0.0

    def run(self) -> ProbeOutcome:
        program = self._bench.program
        program.refuse_foreign()
        self._tell("scaling the state", 0, 1)
        responses = [self._respond(i, j) for i, j in self._states]
        diagnostics = self._diagnosed() if self._has_time_to_diagnose() else None
        if self._request.train:
            try:
                self._train(responses)
            except _OverBudgetError:
                self._notes.append(
                    f"the budget of {self._request.budget:g} s was used up before all runs were made"
                )
        found = tuple(
            self._state(place, response)
            for place, response in zip(self._states, responses, strict=True)
        )
        return ProbeOutcome(
            together([each.verdict for each in found]),
            found,
            steps=self._recipe.steps if self._runs else 0,
            seeds=len({seed for seed, _ in self._runs}),
            recipe=self._described(),
            runs=tuple(self._runs.values()),
            notes=tuple(self._notes),
            diagnostics=diagnostics,
            seconds=self._now() - self._began,
        )

    def _width(self) -> int:
        """The features of the widest state."""
        program = self._bench.program
        states = (state for loop in program.nest.loops for state in loop.states)
        return max(features(program.meta(state.boundary[-1]).shape) for state in states)

    def _respond(self, loop: int, state: int) -> Response:
        feed = {**perturbed(self._bench.weights(0)), **next(self._bench.stream.batches(0))}
        try:
            return respond(self._bench.wide, feed, loop, state, self._bench.group)
        except (RuntimeError, NotImplementedError, IndexError, TypeError) as error:
            raise ProbeError(
                f"the captured program cannot be run on numbers: {described(error)}",
                hint=_CANNOT_RUN,
            ) from error

    def _has_time_to_diagnose(self) -> bool:
        """Whether measuring without training leaves most of the budget to training."""
        if self._request.brief:
            return False
        each = (self._now() - self._began) / len(self._states)
        if not self._request.train or _DIAGNOSING * each < self._request.budget / 4:
            return True
        self._notes.append(
            "what needs no training was not measured, to keep to the budget; --no-train measures it"
        )
        return False

    def _diagnosed(self) -> Diagnostics:
        """Measure what needs no training, on this process's share of the first batch."""
        self._tell("following the state", 0, 1)
        bench = self._bench
        feed = {**bench.weights(0), **next(bench.stream.batches(0))}
        return diagnose(bench.wide, feed, bench.checkpoint, bench.linear)

    def _train(self, responses: list[Response]) -> None:
        self._find_rate()
        for seed in range(self._request.seeds):
            for fix in (Fix.NONE, Fix.PENALTY):
                self._once(seed, fix)
            _refuse_constant(self._runs[seed, Fix.NONE])
            if self._clear(responses):
                break
        if self._request.brief:
            return
        self._once(0, Fix.NORM)
        if self._bench.raw is not None:
            self._once(0, Fix.RAW)

    def _find_rate(self) -> None:
        """Train the first twin, at a lower rate where it does not come to rest either."""
        self._once(0, Fix.PENALTY)
        if self._request.lr is not None:
            return
        for _ in range(thresholds.MOST_COOLINGS):
            run = self._runs[0, Fix.PENALTY]
            if run.overflowed is None and fallen(run) > 0:
                return
            lower = self._recipe.lr * thresholds.COOLER
            self._notes.append(
                f"at a learning rate of {self._recipe.lr:.2g} the twin with a penalty came apart "
                f"too, so {lower:.2g} was taken"
            )
            self._recipe = replace(self._recipe, lr=lower)
            del self._runs[0, Fix.PENALTY]
            self._once(0, Fix.PENALTY)

    def _once(self, seed: int, fix: Fix) -> None:
        """Make a run, unless it was made."""
        if (seed, fix) in self._runs:
            return
        self._refuse_to_start()
        bench, start = self._bench, self._now()
        program = bench.raw if fix is Fix.RAW and bench.raw is not None else bench.program
        what = f"seed {seed + 1}, " + (f"with {fix.value}" if fix is not Fix.NONE else "as it is")
        twin = _twin(fix)

        def tick(step: int) -> None:
            self._tell(what, step, self._recipe.steps)
            self._refuse_to_go_on(step)

        weights, last = bench.weights(seed), list[Feed]()

        def batches() -> Iterator[Feed]:
            for batch in bench.stream.batches(seed):
                last[:] = [batch]
                yield batch

        torch.manual_seed(bench.group.seed(seed))  # of what the program itself draws
        trained = train(program, weights, batches(), twin, self._recipe, tick, bench.group)
        self._runs[seed, fix] = traced(
            program, trained, last[0], twin, (seed, fix), start, bench.group
        )
        self._slowest = max(self._slowest, self._now() - start)

    def _refuse_to_start(self) -> None:
        if self._left() < self._slowest:
            raise _OverBudgetError

    def _refuse_to_go_on(self, step: int) -> None:
        """Stop in the first run where the budget has no room for a verdict, later where it ends."""
        if step == _WARM_STEPS:
            self._warm = self._now()
        if step < _WARM_STEPS + _TIMED_STEPS:
            return
        each = (self._now() - self._warm) / (step - _WARM_STEPS)
        runs = 1 if self._runs else _FEWEST_RUNS
        needed = each * (self._recipe.steps * runs - step)
        enough = self._request.budget - self._left() + 1.5 * needed
        if not self._runs and needed > self._left():
            raise ProbeError(
                f"a step of training takes {each:.2g} s, so that a verdict takes about "
                f"{each * self._recipe.steps * runs:.0f} s, and the budget of "
                f"{self._request.budget:g} s has {max(self._left(), 0):.0f} s left",
                hint=f"Give it --budget {math.ceil(enough / 10) * 10}, "
                "fewer --steps, a faster --device, or a smaller model.",
            )
        if self._left() < 0:
            raise _OverBudgetError

    def _left(self) -> float:
        return self._began + self._request.budget - self._now()

    def _now(self) -> float:
        """The time by the clock of the first process, so that all of them stop alike."""
        return self._bench.group.agreed(time.monotonic())

    def _clear(self, responses: list[Response]) -> bool:
        return all(
            is_clear(response, self._seeds(place))
            for place, response in zip(self._states, responses, strict=True)
        )

    def _seeds(self, place: tuple[int, int]) -> list[Seed]:
        """What every finished pair of runs showed of a state."""
        index, found = self._states.index(place), []
        for seed in sorted({seed for seed, _ in self._runs}):
            own, twin = (self._runs.get((seed, fix)) for fix in (Fix.NONE, Fix.PENALTY))
            if own is None or twin is None:
                continue
            mine, other = own.states[index], twin.states[index]
            turns, _ = cycles(self._bench.program.nest.loops[place[0]])
            norms = {each.turns: each.norm for each in mine.depths}
            before, after = norms.get(turns), norms.get(4 * turns)
            found.append(
                Seed(
                    first=mine.turns[0][-1].mean if mine.ended is not None else math.nan,
                    norm=mine.ended if mine.ended is not None else math.nan,
                    twin=other.ended if other.ended is not None else math.nan,
                    deeper=after / before if before and after is not None else None,
                    span=span(norms.values()),
                    overflowed=own.overflowed is not None and twin.overflowed is None,
                    learnt=fallen(twin) > thresholds.LEAST_LEARNT,
                )
            )
        return found

    def _state(self, place: tuple[int, int], response: Response) -> StateProbe:
        loop = self._bench.program.nest.loops[place[0]]
        seeds = self._seeds(place)
        decision = decide(response, seeds) if self._request.train else _UNTRAINED
        deepers = tuple(seed.deeper for seed in seeds if seed.deeper is not None)
        return StateProbe(
            state=loop.states[place[1]].name,
            loop=loop.name,
            verdict=decision.verdict,
            response=response.change if response.is_known else None,
            norm=_mean(seed.norm for seed in seeds),
            twin=Fix.PENALTY.value if seeds else "",
            twin_norm=_mean(seed.twin for seed in seeds),
            deeper=_mean(iter(deepers)),
            reason=decision.reason,
            ratios=tuple(seed.ratio for seed in seeds),
            deepers=deepers,
        )

    def _described(self) -> tuple[tuple[str, str], ...]:
        precision = "float32" if self._recipe.dtype is None else str(self._request.dtype)
        return (
            ("device", self._bench.device),
            ("precision", precision),
            ("optimiser", f"AdamW, learning rate {self._recipe.lr:.2g}, no weight decay, clip 1"),
            ("data", self._bench.stream.source),
        )


def _twin(fix: Fix) -> Twin:
    """Make what is put on a program for a fix; a raw readout is another program."""
    match fix:
        case Fix.NONE | Fix.RAW:
            return Untouched()
        case Fix.PENALTY:
            return Penalised()
        case Fix.NORM:
            return Normed()


def perturbed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of which none is all zeros, as what they multiply would be hidden."""
    source = torch.Generator().manual_seed(0)
    return {
        name: value.detach() + _PERTURBED * torch.randn(value.shape, generator=source).to(value)
        if value.is_floating_point() and value.requires_grad and not value.detach().any()
        else value.detach()
        for name, value in weights.items()
    }


def _refuse_constant(run: TrainingRun) -> None:
    """Complain of a loss that no step of training moves."""
    low, high = min(run.losses), max(run.losses)
    if len(run.losses) > 1 and high - low <= thresholds.CONSTANT * max(abs(low), abs(high)):
        raise ProbeError(
            f"the loss is constant: it is {high:.6g} at every step, so there is nothing to train on",
            hint="Is it multiplied by zero, or computed from a constant output?",
        )


def fallen(run: TrainingRun) -> float:
    """Return by what share of its first value the loss fell."""
    last = run.losses[-thresholds.LAST_LOSSES :]
    first, ended = run.losses[0], sum(last) / len(last)
    if not (math.isfinite(first) and math.isfinite(ended)):
        return -math.inf
    return (first - ended) / max(abs(first), 1e-30)


def _mean(values: Iterator[float]) -> float | None:
    """The geometric mean, as norms differ by factors."""
    found = list(values)
    if not found or not all(0 < value < math.inf for value in found):
        return None
    return math.exp(sum(map(math.log, found)) / len(found))


# How much longer measuring a state without training takes than scaling it, as measured.
_DIAGNOSING = 5
# The first steps set up what later ones use again (seconds, on a GPU); after so many more the time of
# one is known.
_WARM_STEPS, _TIMED_STEPS = 2, 3
_UNTRAINED = Decision(
    ProbeVerdict.INCONCLUSIVE,
    "it was not trained; training it, as `scaleaudit probe` does, would settle it",
)
_CANNOT_RUN = (
    "The probe trains the captured graph. Operators that only know shapes, or that depend on values "
    "in ways a recording does not keep, cannot be run there."
)
