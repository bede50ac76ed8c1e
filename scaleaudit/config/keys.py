"""What a project can settle: every key with its type, its default, and how its value is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from scaleaudit.config.entries import read_entries
from scaleaudit.config.globs import flaw_of, matches
from scaleaudit.config.laws import read_laws
from scaleaudit.config.places import Place
from scaleaudit.config.probes import ProbeSettings, read_probe
from scaleaudit.config.values import Reader, flag, number, word
from scaleaudit.config.words import did_you_mean
from scaleaudit.domain.finding import Severity
from scaleaudit.domain.laws import DeclaredLaw
from scaleaudit.domain.plans import Plan
from scaleaudit.domain.report import OnUnknown
from scaleaudit.domain.selection import ALL
from scaleaudit.errors import ConfigError

_Value = TypeVar("_Value")
# A week, and more memory than any machine has: larger numbers are slips.
MOST_SECONDS, MOST_GIB, MOST_JOBS = 604_800, 65_536, 1024


@dataclass(frozen=True, slots=True)
class FileIgnores:
    """Codes that are left out of the files that a pattern means."""

    pattern: str
    folder: Path
    codes: tuple[str, ...]

    def mean(self, path: Path) -> bool:
        """Tell whether a file is meant."""
        return matches(self.pattern, path, self.folder)


def _codes(value: object, place: Place) -> tuple[str, ...]:
    return tuple(code.strip().upper() for code in _texts(value, place.explained(_CODES_HINT)))


_CODES_HINT = 'Write a list of codes or prefixes, as ["SCL1", "SCL204"].'


def _texts(value: object, place: Place) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise place.error(f"must be a list of strings, not {value!r}")
    return tuple(value)


def _folders(value: object, place: Place) -> tuple[Path, ...]:
    texts = _texts(value, place.explained('Write a list of folders, as ["rules"].'))
    return tuple(place.file.parent / text for text in texts)


def _folder(value: object, place: Place) -> Path:
    if not isinstance(value, str) or not value:
        raise place.error(f"must be a folder, not {value!r}")
    return place.file.parent / value


def _file(value: object, place: Place) -> Path:
    if not isinstance(value, str) or not value:
        raise place.error(f"must be a file, not {value!r}")
    return place.file.parent / value


def _file_ignores(value: object, place: Place) -> tuple[FileIgnores, ...]:
    place = place.explained('Write a table, as {"tests/**" = ["SCL101"]}.')
    if not isinstance(value, dict):
        raise place.error(f"must be a table of lists of codes by pattern, not {value!r}")
    found = []
    for pattern, codes in value.items():
        flaw = flaw_of(pattern)
        if flaw:
            raise place.error(f"has {pattern!r}, which is no pattern of files: {flaw}")
        found.append(FileIgnores(pattern, place.file.parent, _codes(codes, place.at(pattern))))
    return tuple(found)


_severity, _on_unknown = word(Severity), word(OnUnknown)


def _key(default: _Value, read: Reader[object], unset: str = "") -> _Value:
    """Declare a key of the settings, with what holds where it is left out and has no value."""
    return field(default=default, metadata={"read": read, "unset": unset})


@dataclass(frozen=True, slots=True)
class Config:
    """What a project has settled; the command line overrides it.

    Attributes:
        select: Codes or prefixes of the rules to apply.
        extend_select: More of them.
        ignore: Codes or prefixes of the rules to leave out.
        per_file_ignores: The same for some files.
        preview: Whether rules in preview are applied.
        fail_level: The least severity that fails a run.
        exit_zero: Whether findings and unknown verdicts fail none.
        on_unknown: Whether a target without a verdict fails it.
        rule_paths: Folders with more rule pages; relative ones start at the file's folder.
        certify: Whether facts are held against numbers; None for where that takes a moment.
        jobs: How many targets at a time; None for one a processor, four at most.
        timeout: Seconds for a target, all attempts at it together.
        memory_limit: GiB for a target.
        baseline: The file of accepted findings.
        cache_dir: Folder for answers that are kept; None for one in the project.
        probe: How models are probed, where flags say nothing else.
        targets: Models to audit that their files do not declare.
        laws: How operators of the project's own scale.
    """

    select: tuple[str, ...] = _key((ALL,), _codes)
    extend_select: tuple[str, ...] = _key((), _codes)
    ignore: tuple[str, ...] = _key((), _codes)
    per_file_ignores: tuple[FileIgnores, ...] = _key((), _file_ignores)
    preview: bool = _key(default=False, read=flag)
    fail_level: Severity = _key(Severity.ERROR, _severity)  # noqa: RUF009  # a field
    exit_zero: bool = _key(default=False, read=flag)
    on_unknown: OnUnknown = _key(OnUnknown.FAIL, _on_unknown)  # noqa: RUF009  # a field
    rule_paths: tuple[Path, ...] = _key((), _folders)
    certify: bool | None = _key(None, flag, "for models where that takes a moment")
    jobs: int | None = _key(None, number(1, MOST_JOBS, whole=True), "one a processor, four at most")
    timeout: float = _key(120.0, number(0.001, MOST_SECONDS))
    memory_limit: float = _key(8.0, number(0.001, MOST_GIB))
    baseline: Path | None = _key(None, _file, "none")  # noqa: RUF009  # a field
    cache_dir: Path | None = _key(None, _folder, ".scaleaudit_cache in the project")  # noqa: RUF009  # a field
    probe: ProbeSettings = _key(ProbeSettings(), read_probe)  # noqa: RUF009  # a field
    targets: tuple[Plan, ...] = _key((), read_entries)
    laws: tuple[DeclaredLaw, ...] = _key((), read_laws)


KEYS = tuple(each.name.replace("_", "-") for each in fields(Config))
# What holds for keys that nobody settled.
UNSET = {
    key: str(each.metadata["unset"])
    for each, key in zip(fields(Config), KEYS, strict=True)
    if each.default is None
}


# The table that holds the settings of all tools in a pyproject.toml.
_PROJECTS = "tool"


def read_config(table: Mapping[str, object], place: Place) -> Config:
    """Read a table of settings.

    Raises:
        ConfigError: It has an unknown key, or a value that a key may not have.
    """
    for key in table:
        if key not in KEYS:
            hint = f"Known keys: {', '.join(KEYS)}."
            if key == _PROJECTS and not place.table:
                hint = (
                    "Keys stand at the top of this file: only pyproject.toml has a table for them."
                )
            raise ConfigError(
                f"unknown key {key!r} in {place.title}{did_you_mean(str(key), KEYS)}",
                where=str(place.at(key)),
                hint=hint,
            )
    values: dict[str, Any] = {
        each.name: _reader(each)(table[key], place.at(key))
        for each, key in zip(fields(Config), KEYS, strict=True)
        if key in table
    }
    return Config(**values)


def _reader(key: Field[object]) -> Callable[[object, Place], object]:
    return cast("Callable[[object, Place], object]", key.metadata["read"])
