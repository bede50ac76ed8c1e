"""Search a file for what can be audited: which models, built how, called with what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from torch import nn

from scaleaudit.capture.discovery.advice import advice
from scaleaudit.capture.discovery.assumptions import assumptions
from scaleaudit.capture.discovery.bench import Bench
from scaleaudit.capture.discovery.calling import Found, find_call
from scaleaudit.capture.discovery.classes import FileIndex, roots
from scaleaudit.capture.discovery.construction import Way, ways_to_build
from scaleaudit.capture.discovery.limits import Budget, TooLong, quietly
from scaleaudit.capture.discovery.losses import find_loss_function
from scaleaudit.capture.discovery.numbers import Numbers, fitting_numbers
from scaleaudit.capture.discovery.slices import Script
from scaleaudit.capture.planned import Scope, check_names, imported
from scaleaudit.domain.plans import Plan
from scaleaudit.errors import TargetError

# Trials for one class; most fail at once, within milliseconds.
_TRIALS = 3000
# Ways to build that are followed up with calls.
_WAYS = 12


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a file holds.

    Attributes:
        plans: The targets that were found.
        failures: For every class that was given up, why, and whether it is made of other classes
            of the file.
    """

    plans: tuple[Plan, ...]
    failures: tuple[tuple[str, TargetError, bool], ...]


@dataclass
class Search:
    """A search through one file."""

    path: Path
    module: ModuleType
    seconds: float

    def __post_init__(self) -> None:
        self.index = FileIndex.of(self.path, self.module)
        source = self.path.read_text(encoding="utf-8", errors="replace")
        self.script = Script(self.index.tree, source, vars(self.module))

    def run(self, only: str = "") -> Discovery:
        """Look for models.

        Args:
            only: A class that was asked for, be it a part of others or not.
        """
        names = (only,) if only else roots(self.index)
        plans: list[Plan] = []
        failures: list[tuple[str, TargetError, bool]] = []
        with quietly():
            for name in names:
                found = self._class(name, tuple(plan.model for plan in plans))
                if isinstance(found, Plan):
                    plans.append(found)
                elif found is not None:
                    whole = bool(self.index.uses(name) & self.index.classes().keys())
                    failures.append((name, found, whole or bool(only)))
        return Discovery(self._outermost(plans), tuple(failures))

    def completed(self, plan: Plan) -> Plan:
        """Find what an entry leaves open: the inputs, the loss.

        Raises:
            TargetError: The entry does not fit the file, or no inputs were found.
        """
        check_names(plan, Scope(self.module, self.path))
        plan = replace(plan, loss=imported(plan.loss, self.module))
        if plan.args is not None and plan.loss:
            return plan
        budget = Budget.of(_TRIALS, self.seconds)
        with quietly():
            try:
                bench = Bench(replace(plan, loss="", loss_args=()), self.module, budget)
            except (Exception, SystemExit, TooLong):  # noqa: BLE001 - the audit says what failed
                return replace(plan, args=plan.args or ())
            if plan.args is not None:
                found = Found(plan, bench.attempt(plan))
            else:
                found = find_call(bench)
                if not found.outcome.works:
                    raise advice(self.index, plan.name, found, None)
            if plan.loss:
                return replace(found.plan, loss=plan.loss, loss_args=found.plan.args or ())
            if found.outcome.works and not found.has_loss:
                found = find_loss_function(bench, found, self.index)
        return replace(found.plan, assumed=assumptions(found))

    def _class(self, name: str, models: tuple[str, ...]) -> Plan | TargetError | None:
        """Find how a class is built and called; None where it has no weights to audit."""
        budget = Budget.of(_TRIALS, self.seconds / max(len(roots(self.index)), 1))
        best: Found | None = None
        error: BaseException | None = None
        for bench in self._benches(name, models, budget):
            if isinstance(bench, BaseException):
                error = error or bench
                continue
            if not any(True for _ in bench.model.parameters()):
                return None
            found = find_call(bench)
            if found.outcome.works:
                return self._finished(bench, found)
            if best is None or found.outcome.progress > best.outcome.progress:
                best = found
        return advice(self.index, name, best, error)

    def _finished(self, bench: Bench, found: Found) -> Plan:
        if not found.has_loss:
            found = find_loss_function(bench, found, self.index)
        return replace(found.plan, assumed=assumptions(found))

    def _benches(
        self, name: str, models: tuple[str, ...], budget: Budget
    ) -> Iterator[Bench | BaseException]:
        """Yield the class built in one way after the other, or why it could not be."""
        tried: set[str] = set()
        for way in ways_to_build(self.index, self.script, name, models):
            for text in self._texts(name, way, budget):
                if budget.spent or len(tried) >= _WAYS:
                    return
                if text not in tried:
                    tried.add(text)
                    yield self._bench(name, replace(way, text=text), budget)

    def _bench(self, name: str, way: Way, budget: Budget) -> Bench | BaseException:
        plan = Plan(str(self.path), name, way.text, setup=way.setup, assumed=(way.how,))
        try:
            return Bench(plan, self.module, budget)
        except (Exception, SystemExit, TooLong) as error:  # noqa: BLE001 - all is an answer
            return error

    def _texts(self, name: str, way: Way, budget: Budget) -> Iterator[str]:
        if not way.holes:
            yield way.text
            return

        def build(numbers: Numbers) -> nn.Module | None:
            bench = self._bench(name, replace(way, text=way.filled(numbers)), budget)
            return bench.model if isinstance(bench, Bench) else None

        for numbers in fitting_numbers(build, way.holes):
            yield way.filled(numbers)

    def _outermost(self, plans: list[Plan]) -> tuple[Plan, ...]:
        """Leave out models that another found one is built around."""
        return tuple(
            plan
            for plan in plans
            if not any(plan.model in other.model for other in plans if other is not plan)
        )
