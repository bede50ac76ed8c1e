"""Settings of a project: the table ``[tool.scaleaudit]`` in its pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TypeVar

from scaleaudit.config.entries import read_entries
from scaleaudit.config.laws import read_laws
from scaleaudit.config.words import did_you_mean
from scaleaudit.domain.finding import Severity
from scaleaudit.domain.laws import DeclaredLaw
from scaleaudit.domain.plans import Plan
from scaleaudit.domain.report import OnUnknown
from scaleaudit.errors import ConfigError

__all__ = ["Config", "did_you_mean", "entries_for", "laws_for", "load_config"]

_FILE = "pyproject.toml"
_Choice = TypeVar("_Choice", bound=Enum)


@dataclass(frozen=True, slots=True)
class Config:
    """What a project has settled; the command line overrides it.

    Attributes:
        select: Codes or prefixes of the rules to apply; empty for all.
        ignore: Codes or prefixes of the rules to leave out.
        fail_level: The least severity that fails a run.
        on_unknown: Whether a target without a verdict fails it.
        rule_paths: Folders with more rule pages; relative ones start at the file's folder.
        targets: Models to audit that their files do not declare.
        laws: How operators of the project's own scale.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_level: Severity = Severity.ERROR
    on_unknown: OnUnknown = OnUnknown.FAIL
    rule_paths: tuple[Path, ...] = ()
    targets: tuple[Plan, ...] = ()
    laws: tuple[DeclaredLaw, ...] = ()


def load_config(folder: Path) -> Config:
    """Read the settings of the project that a folder belongs to; defaults where it has none.

    Raises:
        ConfigError: The file is no TOML, or the table holds what it may not.
    """
    file = next(_files(folder.resolve()), None)
    return Config() if file is None else _read(file, file.stat().st_mtime_ns)


def entries_for(path: Path) -> tuple[Plan, ...]:
    """Return the targets that the nearest project with any for a file declares for it.

    Raises:
        ConfigError: A file on the way is no TOML, or holds what it may not.
    """
    wanted = path.resolve()
    for file in _files(wanted.parent):
        found = [
            plan
            for plan in _read(file, file.stat().st_mtime_ns).targets
            if Path(plan.path).resolve() == wanted
        ]
        if found:
            return tuple(replace(plan, path=str(path)) for plan in found)
    return ()


def laws_for(path: Path) -> tuple[DeclaredLaw, ...]:
    """Return the laws that the projects of a file declare, those of the nearest last.

    Raises:
        ConfigError: A file on the way is no TOML, or holds what it may not.
    """
    files = list(_files(path.resolve().parent))
    return tuple(law for file in files[::-1] for law in _read(file, file.stat().st_mtime_ns).laws)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the settings of a folder and those above it, the nearest first."""
    return (file for parent in (folder, *folder.parents) if (file := parent / _FILE).is_file())


@cache
def _read(file: Path, _changed: int) -> Config:
    """Read a file of settings, once as long as it does not change."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(file)) from error
    tool = document.get("tool", {})
    table = tool.get("scaleaudit", {}) if isinstance(tool, dict) else {}
    return _config(table, str(file))


def _config(table: object, where: str) -> Config:
    if not isinstance(table, dict):
        raise ConfigError("[tool.scaleaudit] must be a table", where=where)
    known = [field.name.replace("_", "-") for field in fields(Config)]
    for key in table:
        if key not in known:
            raise ConfigError(
                f"unknown key {key!r} in [tool.scaleaudit]{did_you_mean(str(key), known)}",
                where=where,
                hint=f"Known keys: {', '.join(known)}.",
            )
    return Config(
        select=_texts(table, "select", '["SCL1"]', where),
        ignore=_texts(table, "ignore", '["SCL201"]', where),
        fail_level=_choice(Severity, "fail-level", table.get("fail-level", "error"), where),
        on_unknown=_choice(OnUnknown, "on-unknown", table.get("on-unknown", "fail"), where),
        rule_paths=tuple(
            Path(where).parent / path for path in _texts(table, "rule-paths", '["rules"]', where)
        ),
        targets=read_entries(table.get("targets", []), Path(where)),
        laws=read_laws(table.get("laws", []), Path(where)),
    )


def _texts(table: Mapping[str, object], key: str, example: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(
            f"{key} must be a list of strings, not {value!r}",
            where=where,
            hint=f"Write {key} = {example}.",
        )
    return tuple(value)


def _choice(kind: type[_Choice], key: str, value: object, where: str) -> _Choice:
    """Read one of a few words."""
    words = [str(choice.value) for choice in kind]
    if value not in words:
        raise ConfigError(
            f"{key} must be one of {', '.join(words)}, not {value!r}"
            f"{did_you_mean(str(value), words)}",
            where=where,
        )
    return kind(value)
