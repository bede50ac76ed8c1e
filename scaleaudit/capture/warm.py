"""Decides what is loaded before children are forked: all that they use, and nothing else.

It is imported before anything of torch is used, so that what only some models need loads in
their children alone, when they ask for it.
"""

from __future__ import annotations

import contextlib
import importlib

from scaleaudit.capture._torch_deferred import defer
from scaleaudit.capture._torch_private import DEFERRABLE_MODULES, LATE_MODULES

for _name in LATE_MODULES if defer() else (*LATE_MODULES, *DEFERRABLE_MODULES):
    # A torch that has it no more, or no numpy, has no need of it.
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)
