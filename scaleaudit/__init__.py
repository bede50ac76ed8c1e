"""Audit looped language models for recurrent states whose scale no loss polices."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from scaleaudit.domain.laws import law

if TYPE_CHECKING:
    from scaleaudit.api import Options
    from scaleaudit.api import audit as check
    from scaleaudit.domain.report import Report, Verdict
    from scaleaudit.errors import ScaleWarning
    from scaleaudit.live import audit
    from scaleaudit.monitoring.monitor import monitor
    from scaleaudit.report.text import to_text

__all__ = [
    "Options",
    "Report",
    "ScaleWarning",
    "Verdict",
    "audit",
    "check",
    "law",
    "monitor",
    "to_text",
]

__version__ = "0.1.0"

# Names that are loaded when somebody asks for them, so that a model's file imports this cheaply.
_LATER = {
    "Options": ("scaleaudit.api", "Options"),
    "Report": ("scaleaudit.domain.report", "Report"),
    "ScaleWarning": ("scaleaudit.errors", "ScaleWarning"),
    "Verdict": ("scaleaudit.domain.report", "Verdict"),
    "audit": ("scaleaudit.live", "audit"),
    "monitor": ("scaleaudit.monitoring.monitor", "monitor"),
    "check": ("scaleaudit.api", "audit"),
    "to_text": ("scaleaudit.report.text", "to_text"),
}


def __getattr__(name: str) -> object:
    """Load what is asked for the first time."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LATER[name]
    found: object = getattr(importlib.import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Name the lazy ones, too."""
    return sorted({*globals(), *_LATER})
