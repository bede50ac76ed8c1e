"""What a computation looked at outside of itself, so that its answer can be kept and found again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# The event that says that an answer was cut short by the clock and may come out otherwise.
OUT_OF_TIME = "scaleaudit.out_of_time"
# The variable that names a folder for the temporary files of a run's jobs alone.
OWN_FOLDER = "SCALEAUDIT_FOLDER"


class Sort(Enum):
    """What was looked at.

    FILE: whether a path exists, and what is in it. FOLDER: the names in a folder. MODULE: which
    module of a name a folder has. VARIABLE: an environment variable; without a name, all of them.
    """

    FILE = "file"
    FOLDER = "folder"
    MODULE = "module"
    VARIABLE = "variable"


@dataclass(frozen=True, slots=True)
class Read:
    """A look at something.

    Attributes:
        name: An absolute path, or the name of a variable.
        part: The name of a module, of which the path is the folder.
        existed: Whether the path existed then.
    """

    sort: Sort
    name: str
    part: str = ""
    existed: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a computation looked at.

    Attributes:
        began: When it started, in nanoseconds of the clock that files are dated by.
        unsteady: Why the same may come out otherwise though nothing of it has changed.
    """

    began: int
    reads: tuple[Read, ...] = ()
    unsteady: tuple[str, ...] = ()

    def and_then(self, other: Seen) -> Seen:
        """Return what this one and a later one looked at together."""
        reads = dict.fromkeys((*self.reads, *other.reads))
        reasons = dict.fromkeys((*self.unsteady, *other.unsteady))
        return Seen(min(self.began, other.began), tuple(reads), tuple(reasons))
