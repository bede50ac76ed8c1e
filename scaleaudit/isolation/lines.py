"""Which of the lines that ran is the user's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_OWN = Path(__file__).resolve().parents[1]


def folder_of(arguments: tuple[str, ...]) -> Path | None:
    """Return the folder of the file that a job is about, its first argument.

    To be asked before the job's code can change the working directory.
    """
    return Path(arguments[0]).resolve().parent if arguments else None


def innermost(frames: Iterable[tuple[str, int]], folder: Path | None) -> str:
    """Return the first of some lines that lies in a folder, as "file:line"; '' for none.

    Args:
        frames: Paths and lines, the innermost frame first.
    """
    return next((f"{path}:{line}" for path, line in frames if _is_user(path, folder)), "")


def is_users_fault(frames: Iterable[tuple[str, int]], folder: Path | None) -> bool:
    """Tell whether an error passed through the user's code after it left ours."""
    for path, _ in frames:
        if Path(path).resolve().is_relative_to(_OWN):
            return False
        if _is_user(path, folder):
            return True
    return False


def _is_user(path: str, folder: Path | None) -> bool:
    if folder is None or path.startswith("<"):
        return False
    found = Path(path).resolve()
    installed = "site-packages" in found.parts
    return found.is_relative_to(folder) and not installed and not found.is_relative_to(_OWN)
