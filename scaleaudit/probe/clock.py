"""The time that a probe may take, by the clock of the first process, so that all stop alike."""

from __future__ import annotations

import math
import time

from scaleaudit.errors import ProbeError
from scaleaudit.probe.group import Group

# Runs that a verdict takes at least: the target and its twin.
FEWEST_RUNS = 2
# The first steps set up what later ones use again (seconds, on a GPU); after so many more the time of
# one is known.
_WARM_STEPS, _TIMED_STEPS = 2, 3


class OverBudgetError(Exception):
    """The time for the probe is over."""


class Clock:
    """Knows how much of a budget is left, and what a run takes."""

    def __init__(self, budget: float, group: Group) -> None:
        """Begin to count."""
        self._budget, self._group = budget, group
        self._began = self.now()
        self._slowest = self._warm = 0.0
        self._runs = 0

    def now(self) -> float:
        """Return the time by the clock of the first process."""
        return self._group.agreed(time.monotonic())

    @property
    def taken(self) -> float:
        """Seconds since it began."""
        return self.now() - self._began

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._budget - self.taken

    def has_room_for(self, runs: int) -> bool:
        """Whether so many runs like the slowest would be over in time."""
        return runs * self._slowest < self.left

    def start(self) -> float:
        """Return the time at which a run begins.

        Raises:
            OverBudgetError: It would not be over in time.
        """
        if not self.has_room_for(1):
            raise OverBudgetError
        return self.now()

    def finish(self, start: float) -> None:
        """Note that a run is over."""
        self._runs += 1
        self._slowest = max(self._slowest, self.now() - start)

    def tick(self, step: int, steps: int) -> None:
        """Stop in the first run where the budget has no room for a verdict, later where it ends.

        Args:
            step: The step of the run that comes next.
            steps: How many the run has.

        Raises:
            ProbeError: A verdict takes more than the budget.
            OverBudgetError: The budget is used up.
        """
        if step == _WARM_STEPS:
            self._warm = self.now()
        if step < _WARM_STEPS + _TIMED_STEPS:
            return
        each, left = (self.now() - self._warm) / (step - _WARM_STEPS), self.left
        if not self._runs and each * (steps * FEWEST_RUNS - step) > left:
            raise self._too_costly(each, step, steps)
        if left < 0:
            raise OverBudgetError

    def _too_costly(self, each: float, step: int, steps: int) -> ProbeError:
        left, all_steps = self.left, steps * FEWEST_RUNS
        enough = self._budget - left + 1.5 * each * (all_steps - step)
        return ProbeError(
            f"a step of training takes {each:.2g} s, so that a verdict takes about "
            f"{each * all_steps:.0f} s, and the budget of "
            f"{self._budget:g} s has {max(left, 0):.0f} s left",
            hint=f"Give it --budget {math.ceil(enough / 10) * 10}, "
            "fewer --steps, a faster --device, or a smaller model.",
        )
