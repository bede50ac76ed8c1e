"""How to start a Python of our own."""

from __future__ import annotations

import sys
from pathlib import Path

import scaleaudit


def torch_version() -> str:
    """Return the version of torch that children load, without what it costs to look it up.

    Raises:
        PackageNotFoundError: It is not installed.
    """
    for folder in map(Path, sys.path):
        for found in folder.glob("torch-*.dist-info"):
            return found.name.removeprefix("torch-").removesuffix(".dist-info")
    from importlib.metadata import version  # noqa: PLC0415 - as slow as it is thorough

    return version("torch")


def interpreter(boot: str, *arguments: str) -> list[str]:
    """Return the command of a Python that can import this package and shadows nothing.

    Without -P the working directory would come first on the path, and a user's ``types.py``
    would break the standard library.
    """
    root = str(Path(scaleaudit.__file__).resolve().parent.parent)
    return [sys.executable, "-P", "-c", boot, root, *arguments]
