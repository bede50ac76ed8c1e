"""Places in files of settings, for messages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scaleaudit.config.lines import line_of
from scaleaudit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """A key of a file of settings.

    Attributes:
        key: As a message has it; empty for the whole table.
        text: What the file holds.
        table: The names of the table with the settings.
        hint: What a right value looks like.
    """

    file: Path
    key: str = ""
    text: str = ""
    table: tuple[str, ...] = ()
    hint: str = ""

    @property
    def title(self) -> str:
        """Name the table with the settings."""
        return f"[{'.'.join(self.table)}]" if self.table else self.file.name

    def at(self, step: str | int) -> Place:
        """Go one step further in."""
        if isinstance(step, int):
            return self._to(f"{self.key}[{step}]")
        return self._to(f"{self.key}.{step}" if self.key else step)

    def _to(self, key: str) -> Place:
        return Place(self.file, key, self.text, self.table, self.hint)

    def explained(self, hint: str) -> Place:
        """Return the place with what a right value looks like."""
        return Place(self.file, self.key, self.text, self.table, hint)

    def __str__(self) -> str:
        """Name the file as seen from the working directory, and the line where it can be told."""
        line = line_of(self.text, self.table, self.key) if self.text and self.key else 0
        return f"{seen(self.file)}:{line}" if line else seen(self.file)

    def error(self, problem: str, hint: str = "") -> ConfigError:
        """Say what is wrong here."""
        return ConfigError(f"{self.key} {problem}", where=str(self), hint=hint or self.hint)


def seen(file: Path) -> str:
    """Return the path of a file as seen from the working directory, where it lies inside it."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
