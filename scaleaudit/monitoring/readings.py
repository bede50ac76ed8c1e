"""What is read off a state, turn by turn and step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scaleaudit.domain.probing import Turn
from scaleaudit.monitoring.signs import Sign


@dataclass(frozen=True, slots=True)
class Reading:
    """One state at one step.

    Attributes:
        turns: Its lengths over tokens after every turn.
    """

    loop: str
    state: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """All states at one step.

    Attributes:
        signs: The early signs that were seen for the first time.
    """

    step: int
    readings: tuple[Reading, ...]
    signs: tuple[Sign, ...] = ()

    def scalars(self) -> Mapping[str, float]:
        """Return mean lengths by names for loggers, as ``scaleaudit/h/turn_4``.

        Where two loops have states of one name, the name of the loop comes before it.
        """
        return dict(self._scalars())

    def _scalars(self) -> Iterator[tuple[str, float]]:
        names = [each.state for each in self.readings]
        for place, each in enumerate(self.readings):
            single = names.count(each.state) == 1
            name = each.state if single else f"{place + 1}.{each.loop}/{each.state}"
            for number, turn in enumerate(each.turns, 1):
                yield f"scaleaudit/{name}/turn_{number}", turn.mean
