"""What everything in a process relies on, and whether a user's code has taken it away.

This is no defence: code that means harm can do it unseen. It keeps a careless patch of ``len``
from becoming a wrong verdict or a fault that looks like ours.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator

# Wrapped by honest programs, and of no account to what is computed.
_MAY_CHANGE = frozenset({
    "__import__", "_", "breakpoint", "copyright", "credits", "exit", "help", "input", "license",
    "open", "print", "quit",
})  # fmt: skip
_MODULES = ("builtins", "msgspec", "networkx", "scaleaudit", "torch")


class Vitals:
    """The names and modules that all code in a process uses, as they are now."""

    def __init__(self) -> None:
        self._now = vars(builtins)
        self._names = dict(self._now)
        self._modules = {
            name: module
            for name, module in sys.modules.items()
            if name.partition(".")[0] in _MODULES
        }

    def changed(self) -> list[str]:
        """Return what was replaced or removed since, in words."""
        return [*self._changed_names(), *self._changed_modules()]

    def _changed_names(self) -> Iterator[str]:
        for name, value in self._names.items():
            if name not in _MAY_CHANGE and self._now.get(name) is not value:
                yield f"builtins.{name}"

    def _changed_modules(self) -> Iterator[str]:
        for name, module in self._modules.items():
            if sys.modules.get(name) is not module:
                yield f"sys.modules[{name!r}]"

    def restore(self) -> None:
        """Put everything back, for what is still to be done."""
        self._now.update(self._names)
        sys.modules.update(self._modules)
