"""Settings of a project: the table ``[tool.scaleaudit]`` in its pyproject.toml."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from scaleaudit.domain.finding import Severity
from scaleaudit.errors import ConfigError

_FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Config:
    """What a project has settled; the command line overrides it.

    Attributes:
        select: Codes or prefixes of the rules to apply; empty for all.
        ignore: Codes or prefixes of the rules to leave out.
        fail_level: The least severity that fails a run.
        rule_paths: Folders with more rule pages; relative ones start at the file's folder.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_level: Severity = Severity.ERROR
    rule_paths: tuple[Path, ...] = ()


def load_config(folder: Path) -> Config:
    """Read the settings of the project that a folder belongs to; defaults where it has none.

    Raises:
        ConfigError: The file is no TOML, or the table holds what it may not.
    """
    file = _find(folder)
    if file is None:
        return Config()
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(file)) from error
    table = document.get("tool", {}).get("scaleaudit", {})
    return _config(table, str(file))


def _find(folder: Path) -> Path | None:
    here = folder.resolve()
    return next(
        (file for parent in (here, *here.parents) if (file := parent / _FILE).is_file()), None
    )


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
        fail_level=_severity(table.get("fail-level", Severity.ERROR.value), where),
        rule_paths=tuple(
            Path(where).parent / path for path in _texts(table, "rule-paths", '["rules"]', where)
        ),
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


def _severity(value: object, where: str) -> Severity:
    levels = [level.value for level in Severity]
    if value not in levels:
        raise ConfigError(
            f"fail-level must be one of {', '.join(levels)}, not {value!r}"
            f"{did_you_mean(str(value), levels)}",
            where=where,
        )
    return Severity(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known word, else nothing."""
    nearest = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
