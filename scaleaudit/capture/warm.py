"""Loads what torch loads only when it is first used, so that forked children find it loaded."""

from __future__ import annotations

import contextlib
import importlib

from scaleaudit.capture._torch_private import LATE_MODULES

for _name in LATE_MODULES:
    # A torch that has it no more, or no numpy, has no need of it.
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)
