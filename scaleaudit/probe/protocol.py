"""The protocol: how a loss answers to scale, then training beside twins until the verdict is clear."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scaleaudit.domain.diagnostics import Diagnostics
from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict, StateProbe
from scaleaudit.domain.probing import ProbeRequest, TrainingRun
from scaleaudit.errors import ProbeError, described
from scaleaudit.probe import thresholds
from scaleaudit.probe.carry import carries
from scaleaudit.probe.clock import FEWEST_RUNS, Clock, OverBudgetError
from scaleaudit.probe.data import Feed, Stream
from scaleaudit.probe.deciding import Decision, Seed, decide, is_clear, together
from scaleaudit.probe.diagnostics import diagnose
from scaleaudit.probe.evidence import (
    fallen,
    probed_state,
    refuse_constant,
    refuse_half,
    refuse_no_number,
    seeds_of,
)
from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.norms import Recorder, features
from scaleaudit.probe.parts import Part, shifted
from scaleaudit.probe.program import Program
from scaleaudit.probe.response import Response, respond
from scaleaudit.probe.traces import traced
from scaleaudit.probe.training import Recipe, train
from scaleaudit.probe.twins import Fix, Normed, Penalised, Twin, Untouched

# Standard deviation of what stands for weights that start at zero, which hide what they multiply.
_PERTURBED = 0.02

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
        self._clock = Clock(request.budget, bench.group)
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
        self._longer: dict[tuple[int, Fix], TrainingRun] = {}
        self._notes: list[str] = []
        self._parts: dict[tuple[int, int], Part] = {}

    def run(self) -> ProbeOutcome:
        program = self._bench.program
        program.refuse_foreign()
        self._tell("scaling the state", 0, 1)
        responses = [self._respond(i, j) for i, j in self._states]
        self._judged_in_part(responses)
        diagnostics = self._diagnosed() if self._has_time_to_diagnose() else None
        if self._request.train:
            try:
                self._train(responses)
            except OverBudgetError:
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
            runs=(*self._runs.values(), *self._longer.values()),
            notes=tuple(self._notes),
            diagnostics=diagnostics,
            seconds=self._clock.taken,
        )

    def _width(self) -> int:
        """The features of the widest state."""
        program = self._bench.program
        states = (state for loop in program.nest.loops for state in loop.states)
        return max(features(program.meta(state.boundary[-1]).shape) for state in states)

    def _respond(self, loop: int, state: int) -> Response:
        weights, batches = perturbed(self._bench.weights(0)), self._bench.stream.batches(0)
        feed, other = {**weights, **next(batches)}, {**weights, **shifted(next(batches))}
        try:
            return respond(self._bench.wide, feed, loop, state, self._bench.group, other)
        except (RuntimeError, NotImplementedError, IndexError, TypeError) as error:
            raise ProbeError(
                f"the captured program cannot be run on numbers: {described(error)}",
                hint=_CANNOT_RUN,
            ) from error

    def _judged_in_part(self, responses: list[Response]) -> None:
        """Remember the states of which a part is judged by itself, and say so."""
        nest = self._bench.program.nest
        for (i, j), response in zip(self._states, responses, strict=True):
            if response.part is not None:
                self._parts[i, j] = response.part
                self._notes.append(
                    f"the loss does not see the length of state {nest.loops[i].states[j].name} at "
                    f"{response.part}: what is said of its norm is said of these"
                )

    def _has_time_to_diagnose(self) -> bool:
        """Whether measuring without training leaves most of the budget to training."""
        if self._request.brief:
            return False
        each = self._clock.taken / len(self._states)
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
            refuse_constant(self._runs[seed, Fix.NONE])
            if self._clear(responses):
                break
        if self._is_open(responses) and self._clock.has_room_for(FEWEST_RUNS * _LONGER):
            self._train_for_longer()
        if self._request.brief:
            return
        self._once(0, Fix.NORM)
        if self._bench.raw is not None:
            self._once(0, Fix.RAW)

    def _find_rate(self) -> None:
        """Train the first twin, at a lower rate where it does not come to rest either."""
        self._once(0, Fix.PENALTY)
        refuse_no_number(self._runs[0, Fix.PENALTY])
        if self._request.lr is None:
            self._cool()
        if self._is_half():
            refuse_half(self._runs[0, Fix.PENALTY])

    def _cool(self) -> None:
        """Lower the rate until the first twin comes to rest, a few times at most."""
        for _ in range(thresholds.MOST_COOLINGS):
            run = self._runs[0, Fix.PENALTY]
            if run.overflowed == 0 or (run.overflowed is None and fallen(run) > 0):
                return  # what is no number before any step is no fault of the rate
            lower = self._recipe.lr * thresholds.COOLER
            self._notes.append(
                f"at a learning rate of {self._recipe.lr:.2g} the twin with a penalty came apart "
                f"too, so {lower:.2g} was taken"
            )
            self._recipe = replace(self._recipe, lr=lower)
            del self._runs[0, Fix.PENALTY]
            self._once(0, Fix.PENALTY)

    def _is_half(self) -> bool:
        """Whether a weight that is trained is float16."""
        weights = self._bench.weights(0)
        found = (weights[name] for name in self._bench.program.parameters)
        return any(each.requires_grad and each.dtype is torch.float16 for each in found)

    def _is_open(self, responses: list[Response]) -> bool:
        """Whether what was trained so far leaves a state open that more steps may settle."""
        return any(
            response.is_known
            and decide(response, self._seeds(place)).verdict is ProbeVerdict.INCONCLUSIVE
            for place, response in zip(self._states, responses, strict=True)
        )

    def _train_for_longer(self) -> None:
        """Train the first seed and its twin once more, for more steps."""
        recipe = replace(self._recipe, steps=_LONGER * self._recipe.steps)
        self._notes.append(
            f"what {self._recipe.steps} steps left open was trained for {recipe.steps}, with one seed"
        )
        for fix in (Fix.PENALTY, Fix.NONE):
            self._longer[0, fix] = self._made(0, fix, recipe)

    def _once(self, seed: int, fix: Fix) -> None:
        """Make a run, unless it was made."""
        if (seed, fix) not in self._runs:
            start = self._clock.start()
            self._runs[seed, fix] = self._made(seed, fix, self._recipe)
            self._clock.finish(start)

    def _made(self, seed: int, fix: Fix, recipe: Recipe) -> TrainingRun:
        bench, start = self._bench, self._clock.now()
        program = bench.raw if fix is Fix.RAW and bench.raw is not None else bench.program
        what = f"seed {seed + 1}, " + (f"with {fix.value}" if fix is not Fix.NONE else "as it is")
        twin = _twin(fix)

        def tick(step: int) -> None:
            self._tell(what, step, recipe.steps)
            self._clock.tick(step, recipe.steps)

        weights, last = bench.weights(seed), list[Feed]()

        def batches() -> Iterator[Feed]:
            for batch in bench.stream.batches(seed):
                last[:] = [batch]
                yield batch

        torch.manual_seed(bench.group.seed(seed))  # of what the program itself draws
        recorder = Recorder(
            bench.group,
            {
                at: part
                for place, part in self._parts.items()
                for at in program.crossings_of(*place)
            },
        )
        trained = train(program, weights, batches(), twin, recipe, tick, bench.group, recorder)
        run = traced(program, trained, last[0], twin, (seed, fix), bench.group, self._parts)
        if fix is Fix.NONE and trained.overflowed is None:
            run = self._with_carries(run, {**trained.feed, **last[0]}, weights)
        return replace(run, seconds=self._clock.now() - start)

    def _with_carries(
        self, run: TrainingRun, feed: Feed, weights: Mapping[str, Tensor]
    ) -> TrainingRun:
        """Measure with the weights as they ended what the loops make of length."""
        moved = [name for name in self._bench.program.parameters if weights[name].requires_grad]
        found = [
            each
            for loop, _ in enumerate(self._bench.wide.nest.loops)
            for each in carries(self._bench.wide, feed, moved, loop, self._bench.group, self._parts)
        ]
        states = (
            replace(trace, carry=carry) for trace, carry in zip(run.states, found, strict=True)
        )
        return replace(run, states=tuple(states))

    def _clear(self, responses: list[Response]) -> bool:
        return all(
            is_clear(response, self._seeds(place))
            for place, response in zip(self._states, responses, strict=True)
        )

    def _seeds(self, place: tuple[int, int]) -> list[Seed]:
        """What every finished pair of runs showed of a state."""
        loop = self._bench.program.nest.loops[place[0]]
        return seeds_of(self._runs, loop, self._states.index(place))

    def _state(self, place: tuple[int, int], response: Response) -> StateProbe:
        loop, seeds = self._bench.program.nest.loops[place[0]], self._seeds(place)
        decision = decide(response, seeds) if self._request.train else _UNTRAINED
        longer = seeds_of(self._longer, loop, self._states.index(place), again=True)
        steps = self._recipe.steps
        if longer and decision.verdict is ProbeVerdict.INCONCLUSIVE:
            seeds, decision, steps = longer, decide(response, longer), _LONGER * steps
        return probed_state(loop, place[1], response, seeds, decision, steps)

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


# How many times the steps a state is trained for that they leave open.
_LONGER = 4
# How much longer measuring a state without training takes than scaling it, as measured.
_DIAGNOSING = 5
_UNTRAINED = Decision(
    ProbeVerdict.INCONCLUSIVE,
    "it was not trained; training it, as `scaleaudit probe` does, would settle it",
)
_CANNOT_RUN = (
    "The probe trains the captured graph. Operators that only know shapes, or that depend on values "
    "in ways a recording does not keep, cannot be run there."
)
