"""How to start a Python of our own."""

from __future__ import annotations

import sys
from pathlib import Path

import scaleaudit


def interpreter(boot: str, *arguments: str) -> list[str]:
    """Return the command of a Python that can import this package and shadows nothing.

    Without -P the working directory would come first on the path, and a user's ``types.py``
    would break the standard library.
    """
    root = str(Path(scaleaudit.__file__).resolve().parent.parent)
    return [sys.executable, "-P", "-c", boot, root, *arguments]
