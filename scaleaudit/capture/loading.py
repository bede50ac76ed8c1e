"""Run a user's file as Python would, with errors that name the user's line."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from scaleaudit.capture.places import is_user
from scaleaudit.errors import TargetError


def load_module(path: Path) -> ModuleType:
    """Run a file afresh and return its module; modules beside it can be imported.

    Raises:
        TargetError: It does not exist, does not parse, or fails while it runs.
    """
    if not path.is_file():
        raise TargetError(f"{path} does not exist", where=str(path))
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = path.stem if path.stem.isidentifier() else "scaleaudit_user_file"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise TargetError(f"{path} is no Python file", where=str(path))
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise _syntax(path, error) from error
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"{path.name} cannot be imported: {reason(error)}",
            where=innermost_line(error, str(path)),
            hint=_hint(error),
        ) from error
    finally:
        if before is not None:
            sys.modules[name] = before
    return module


def reason(error: BaseException) -> str:
    """Say what an exception says, in one line."""
    text = str(error).strip().splitlines()
    message = text[0] if text else ""
    kind = type(error).__name__
    return f"{kind}: {message}" if message else kind


def innermost_line(error: BaseException, default: str) -> str:
    """Return the user's line at which an exception passed, as "file:line"."""
    found = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if is_user(frame.f_code)
    ]
    return found[-1] if found else default


def _syntax(path: Path, error: SyntaxError) -> TargetError:
    place = f"{error.filename or path}:{error.lineno or 1}"
    return TargetError(f"{path.name} does not parse: {error.msg}", where=place)


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"install {error.name} beside scaleaudit, or run scaleaudit from the model's environment"
    if isinstance(error, SystemExit):
        return "guard what should only run as a script with: if __name__ == '__main__':"
    return ""
