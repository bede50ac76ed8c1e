"""What everything in a process relies on, and whether a user's code has taken it away.

This is no defence: code that means harm can do it unseen. It keeps a careless patch of ``len``
from becoming a wrong verdict, or a fault that looks like ours.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterable, Iterator

# Wrapped by honest programs, and of no account to what is computed.
_MAY_CHANGE = frozenset({
    "__import__", "_", "breakpoint", "copyright", "credits", "exit", "help", "input", "license",
    "open", "print", "quit",
})  # fmt: skip
_MUST_STAY = ("builtins", "msgspec", "networkx", "scaleaudit", "torch")
# Whose names users patch.
_PATCHED = ("torch", "torch.nn", "torch.nn.functional")


class Vitals:
    """The names and modules that all code in a process uses, as they are now.

    To look at one writes to it, so a forked child would copy what it shares with the others. So
    they are noted before the fork, and in the child no more is looked at than what matters.
    """

    def __init__(self) -> None:
        self._builtins = vars(builtins)
        self._modules = dict(sys.modules)
        self._vital = tuple(name for name in self._modules if _is_vital(name))
        self._names = {"builtins": dict(self._builtins)}
        self._names |= {
            name: dict(vars(module))
            for name in _PATCHED
            if (module := self._modules.get(name)) is not None
        }
        self._settings = _settings()

    def changed(self) -> list[str]:
        """Return what was replaced or removed that no result can be trusted without."""
        return [*self._names_of("builtins", but=_MAY_CHANGE), *self._replaced(self._vital)]

    def otherwise_changed(self) -> list[str]:
        """Return what else was, which may explain a failure."""
        names = (found for name in self._names for found in self._names_of(name))
        others = (name for name in self._modules if not _is_vital(name))
        now = _settings()
        settings = (key for key, value in self._settings.items() if now[key] != value)
        return [*names, *self._replaced(others), *settings]

    def _names_of(self, module: str, but: frozenset[str] = frozenset()) -> Iterator[str]:
        now = self._builtins if module == "builtins" else vars(self._modules[module])
        for name, value in self._names[module].items():
            if name not in but and now.get(name) is not value:
                yield f"{module}.{name}"

    def _replaced(self, names: Iterable[str]) -> Iterator[str]:
        now = sys.modules
        for name in names:
            if now.get(name) is not self._modules[name]:
                yield f"sys.modules[{name!r}]"

    def restore(self) -> None:
        """Put everything back, for what is still to be done."""
        self._builtins.update(self._names["builtins"])
        sys.modules.update(self._modules)


def _is_vital(module: str) -> bool:
    return module.partition(".")[0] in _MUST_STAY


def _settings() -> dict[str, object]:
    return {
        "the trace function": sys.gettrace(),
        "the profile function": sys.getprofile(),
        "the recursion limit": sys.getrecursionlimit(),
    }
