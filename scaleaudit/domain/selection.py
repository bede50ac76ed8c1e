"""Which rules are wanted: what was selected and ignored, in the order in which it was settled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# Neither can be left out: a target that was not audited, and an analysis that was refuted.
ALWAYS_REPORTED = ("SCL901", "SCL904")
# Stands for every rule.
ALL = "ALL"


@dataclass(frozen=True, slots=True)
class Choice:
    """What one place settles: the settings of a project, or the flags of a run.

    Attributes:
        select: Codes or prefixes to apply, and nothing that was settled before; None to go on
            from that.
        extend_select: More of them.
        ignore: Codes or prefixes to leave out.
    """

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def prefixes(self) -> Iterator[str]:
        """Yield every code and prefix that is named."""
        yield from (*(self.select or ()), *self.extend_select, *self.ignore)


@dataclass(frozen=True, slots=True)
class Selection:
    """Choices, of which the later ones override the earlier.

    Attributes:
        ignored_here: Codes or prefixes that are left out of a file, whatever was selected.
        preview: Whether rules in preview are applied.
    """

    choices: tuple[Choice, ...] = ()
    ignored_here: tuple[str, ...] = ()
    preview: bool = False

    def wants(self, code: str) -> bool:
        """Tell whether a rule is to be applied.

        Within a choice the longest prefix decides, and of equal ones that which ignores.
        """
        if code in ALWAYS_REPORTED:
            return True
        if _longest(code, self.ignored_here) >= 0:
            return False
        wanted = True
        for choice in self.choices:
            wanted = _answer(choice, code, before=wanted)
        return wanted

    def selected(self) -> tuple[str, ...]:
        """Return every code and prefix that is selected."""
        choices = self.choices
        return tuple(p for each in choices for p in (*(each.select or ()), *each.extend_select))

    def prefixes(self) -> tuple[str, ...]:
        """Return every code and prefix that is named."""
        named = (prefix for choice in self.choices for prefix in choice.prefixes())
        return tuple(dict.fromkeys((*named, *self.ignored_here)))


def _answer(choice: Choice, code: str, *, before: bool) -> bool:
    selected = _longest(code, (*(choice.select or ()), *choice.extend_select))
    ignored = _longest(code, choice.ignore)
    if selected < 0 and ignored < 0:
        return before and choice.select is None
    return selected > ignored


def _longest(code: str, prefixes: Iterable[str]) -> int:
    """Return how much of a code the most exact of some prefixes names; -1 where none fits."""
    fitting = (0 if prefix == ALL else len(prefix) for prefix in prefixes if fits(code, prefix))
    return max(fitting, default=-1)


def fits(code: str, prefix: str) -> bool:
    """Tell whether a code is meant by a prefix."""
    return prefix == ALL or code.startswith(prefix)
