"""Run a user's file as Python would, with errors that name the user's line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from sysconfig import get_paths
from types import ModuleType

from scaleaudit.capture.naming import ModuleName, alias_of, folder_of_module, module_name
from scaleaudit.capture.places import is_user, is_user_file
from scaleaudit.errors import TargetError, described

# Folders and modules that the last load brought in; the next load starts without them.
_FOLDERS: list[str] = []
_MODULES: list[str] = []
# How often a file is run anew with more packages around it, or more folders to import from.
_RETRIES = 4


def load_module(path: Path) -> ModuleType:
    """Run a file afresh and return its module, under the name that its siblings know it by.

    Modules beside it can be imported, and those of the packages and folders above it.

    Raises:
        TargetError: It does not exist, does not parse, or fails while it runs.
    """
    if not path.is_file():
        raise TargetError(f"{path} does not exist", where=str(path))
    _forget()
    before = set(sys.modules)
    try:
        with script_arguments(path):
            return _run(path)
    except TargetError:
        raise
    except SyntaxError as error:
        raise _syntax(path, error) from error
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"{path.name} cannot be imported: {reason(error)}",
            where=innermost_line(error, str(path)),
            hint=_hint(error),
        ) from error
    finally:
        _MODULES.extend(name for name in set(sys.modules) - before if _is_users(name))


@contextmanager
def script_arguments(path: Path) -> Iterator[None]:
    """Let the file see the command line of a script that was started without arguments."""
    before, sys.argv = sys.argv, [str(path)]
    try:
        yield
    finally:
        sys.argv = before


def _run(path: Path) -> ModuleType:
    """Run a file; what its imports miss may be found above it."""
    depth = 0
    for _ in range(_RETRIES):
        before = set(sys.modules)
        try:
            return _import(path, module_name(path, depth))
        except ModuleNotFoundError as error:
            folder = folder_of_module((error.name or "").split(".")[0], path)
            if folder is None or str(folder) in sys.path:
                raise
            _add_folder(folder)
        except ImportError as error:
            if "relative import" not in str(error):
                raise
            depth += 1
        _drop(name for name in set(sys.modules) - before if _is_users(name))
    return _import(path, module_name(path, depth))


def _import(path: Path, name: ModuleName) -> ModuleType:
    _add_folder(name.root)
    _add_folder(path.resolve().parent)
    importlib.invalidate_caches()
    if name.is_importable and "." in name.name:
        return importlib.import_module(name.name)
    return _import_alone(path, name.name if name.is_importable else alias_of(path))


def _import_alone(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise TargetError(f"{path} is no Python file", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    spec.loader.exec_module(module)
    return module


def _add_folder(folder: Path) -> None:
    """Make a folder's modules importable: before installed ones, after the standard library's.

    A user's ``queue.py`` must not be what torch imports.
    """
    if str(folder) in sys.path:
        return
    here = [entry for entry in sys.path if entry in {"", str(Path.cwd())}]
    others = [entry for entry in sys.path if entry not in here]
    library = [i for i, entry in enumerate(others) if _is_library(entry)]
    place = library[-1] + 1 if library else 0
    sys.path[:] = [*others[:place], *_FOLDERS, str(folder), *here, *others[place:]]
    sys.path[:] = list(dict.fromkeys(sys.path))
    _FOLDERS.append(str(folder))


def _is_library(entry: str) -> bool:
    paths = get_paths()
    return entry.startswith((paths["stdlib"], paths["platstdlib"])) and "-packages" not in entry


def _forget() -> None:
    """Undo what the last load left behind, so that this one runs every file anew."""
    sys.path[:] = [entry for entry in sys.path if entry not in _FOLDERS]
    _drop(_MODULES)
    _FOLDERS.clear()
    _MODULES.clear()


def _drop(names: Iterable[str]) -> None:
    for name in names:
        sys.modules.pop(name, None)


def _is_users(name: str) -> bool:
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    places = [file] if file else list(getattr(module, "__path__", ()))
    return any(is_user_file(place) and "-packages" not in place for place in places)


def reason(error: BaseException) -> str:
    """Say what an exception says, in one line."""
    return described(error)


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
