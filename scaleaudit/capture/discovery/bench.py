"""The bench: a model built as a plan says, and calls of it that are tried on fake tensors."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from scaleaudit.capture.building import Building
from scaleaudit.capture.discovery.limits import Budget, TooLong, time_limit
from scaleaudit.capture.discovery.watching import Counter, Watched, watched
from scaleaudit.capture.engines import FakeEngine
from scaleaudit.capture.planned import Scope, declared_by
from scaleaudit.capture.targets import Target
from scaleaudit.domain.plans import Plan

# Weights up to which a call that fakes accept is checked on real tensors, in bytes.
_REAL_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial went.

    Attributes:
        progress: Operators that ran as they would on real tensors; -1 where it did not begin.
        seen: What was recorded; None where the trial failed or took too long.
    """

    progress: int
    error: BaseException | None = None
    seen: Watched | None = None

    @property
    def works(self) -> bool:
        """Whether the call can be made; one that goes on for long can."""
        return self.error is None or isinstance(self.error, TooLong)


class Bench:
    """Build the model of a plan and try calls of it.

    Raises:
        Exception: Whatever the user's constructor raises.
        TooLong: It takes too long.
    """

    def __init__(self, plan: Plan, module: ModuleType, budget: Budget) -> None:
        self.plan = plan
        self.module = module
        self.budget = budget
        budget.spend()
        with time_limit(budget.each):
            self._build()

    def _build(self) -> None:
        try:
            self._build_of(FakeEngine(building=True))
        except (Exception, SystemExit):  # noqa: BLE001 - of real tensors it may go well
            self._build_of(None)
        self.scope.names["model"] = self.model
        if not isinstance(self.model, torch.nn.Module):
            raise TypeError(f"{self.plan.model} is no torch.nn.Module")
        self._state = _state(self.model)

    def _build_of(self, fakes: FakeEngine | None) -> None:
        """Build the model of fakes, or of real tensors where fakes do not suit its constructor."""
        self.engine = fakes or FakeEngine(building=False)
        self.scope = Scope(self.module, Path(self.plan.path))
        with Building(fakes) if fakes else nullcontext():
            self.scope.run(self.plan.setup)
            self.model: Any = self.scope.value(self.plan.model)

    @property
    def weights(self) -> int:
        """The bytes of the model's parameters."""
        return sum(p.numel() * p.element_size() for p in self.model.parameters())

    def attempt(self, plan: Plan) -> Outcome:
        """Make the call of a plan whose model is the bench's."""
        self.budget.spend()
        try:
            with time_limit(self.budget.each):
                if _state(self.model) != self._state:  # a call left caches behind
                    self._build()
                target = self._target(plan)
                seen = watched(target, self.engine)
        except (Exception, SystemExit, TooLong) as error:  # noqa: BLE001 - all is an answer
            return Outcome(-1, error)
        return Outcome(seen.progress, seen.error, None if seen.error else seen)

    def _target(self, plan: Plan) -> Target:
        self.engine.building = True
        with Building(self.engine):
            declared = self.scope.call_of(plan)
        self.engine.building = False
        return Target(
            path=Path(plan.path),
            name=plan.name,
            model=self.model,
            args=declared["args"],
            kwargs=declared["kwargs"],
            loss=declared.get("loss"),
            loss_args=declared.get("loss_args", ()),
            batches=None,
            engine=None,
            rebuild=_never,
        )

    def on_real_tensors(self, plan: Plan) -> Outcome:
        """Make a call in plain Python too, where the model is small enough."""
        if self.weights > _REAL_BYTES:
            return Outcome(0)
        counter = Counter()
        try:
            with time_limit(self.budget.each):
                declared = declared_by(plan, self.module)
                with counter:
                    _called(declared)
        except TooLong:
            return Outcome(counter.count)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - all is an answer
            return Outcome(counter.count, error)
        return Outcome(counter.count)


def _called(declared: dict[str, Any]) -> Any:
    if "loss" in declared:
        return declared["loss"](declared["model"], *declared["loss_args"])
    return declared["model"](*declared["args"], **declared["kwargs"])


def _never(*, fake: bool) -> Target:
    raise NotImplementedError(f"a trial is not rebuilt, fake or not: {fake}")


def _state(model: torch.nn.Module) -> list[tuple[int, ...]]:
    """Fingerprint what a model's modules hold, so that what a call left there shows."""
    return [
        (*map(id, vars(module).values()), *map(id, module._buffers.values()))
        for module in model.modules()
    ]
