"""The file of findings that a team has accepted as they were, and what of it findings answer to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from scaleaudit.domain.report import StaleEntry
from scaleaudit.domain.selection import ALWAYS_REPORTED
from scaleaudit.errors import ConfigError

DEFAULT_FILE = ".scaleaudit-baseline.json"
_FORMAT = "scaleaudit-baseline"
_VERSION = 1
_TEXTS = ("path", "target", "code", "fingerprint", "subject", "message")
_REWRITE = (
    "Restore it from version control; or remove it, and write it with --write-baseline={file}."
)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """An accepted finding, as often as it is accepted.

    Attributes:
        path: The file, seen from the folder of the baseline, with slashes.
        fingerprint: Without the number that tells equal ones apart.
    """

    path: str
    target: str
    code: str
    fingerprint: str
    subject: str = ""
    message: str = ""
    count: int = 1

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two entries one."""
        return (self.path, self.target, self.code, self.fingerprint)

    @property
    def stale(self) -> StaleEntry:
        """What a report says of it when no finding answers to it."""
        return StaleEntry(self.path, self.target, self.code, self.fingerprint, self.message)


@dataclass(frozen=True, slots=True)
class Baseline:
    """All accepted findings, each key once and in order."""

    entries: tuple[Entry, ...] = ()

    @property
    def size(self) -> int:
        """How many findings it accepts."""
        return sum(entry.count for entry in self.entries)


def gathered(entries: Iterable[Entry]) -> Baseline:
    """Join entries with one key, as two branches bring them together, and sort them."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    first: dict[tuple[str, str, str, str], Entry] = {}
    for entry in entries:
        counts[entry.key] += entry.count
        first.setdefault(entry.key, entry)
    kept = (replace(first[key], count=counts[key]) for key in sorted(first))
    return Baseline(tuple(entry for entry in kept if entry.count > 0))


def to_text(baseline: Baseline) -> str:
    """Write a baseline so that two branches that add to it merge well: a field a line, sorted."""
    findings = [_fields(entry) for entry in baseline.entries]
    document = {"format": _FORMAT, "version": _VERSION, "findings": findings}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _fields(entry: Entry) -> dict[str, str | int]:
    fields: dict[str, str | int] = {name: getattr(entry, name) for name in _TEXTS}
    return fields if entry.count == 1 else {**fields, "count": entry.count}


def from_text(data: bytes, file: str) -> Baseline:
    """Read a baseline.

    Raises:
        ConfigError: It is damaged, no baseline, or one of a newer version; says where.
    """
    hint = _REWRITE.format(file=file)
    try:
        document = json.loads(data.decode("utf-8"))
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}"
        raise ConfigError(f"no valid JSON: {error.msg}", where=place, hint=hint) from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"no valid JSON: {error}", where=file, hint=hint) from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ConfigError(
            "is no baseline of scaleaudit",
            where=file,
            hint="Name the file that --write-baseline wrote; it is never written over another.",
        )
    version = document.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version > _VERSION:
        raise ConfigError(
            f"was written by a newer scaleaudit (version {version} of the format; this one knows "
            f"{_VERSION})",
            where=file,
            hint="Update scaleaudit where it runs.",
        )
    if version != _VERSION or not isinstance(document.get("findings"), list):
        raise ConfigError("is damaged: no version, or no findings", where=file, hint=hint)
    entries = enumerate(document["findings"])
    return gathered(_entry(each, f"findings[{i}]", file, hint) for i, each in entries)


def _entry(value: object, name: str, file: str, hint: str) -> Entry:
    if not isinstance(value, dict):
        raise ConfigError(f"{name} is damaged: no object", where=file, hint=hint)
    for field in _TEXTS:
        if not isinstance(value.get(field), str):
            raise ConfigError(f"{name} is damaged: {field} is no text", where=file, hint=hint)
    count = value.get("count", 1)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ConfigError(f"{name} is damaged: count is no number from 1", where=file, hint=hint)
    if value["code"] in ALWAYS_REPORTED:
        raise ConfigError(
            f"{name} names {value['code']}, which cannot be accepted",
            where=file,
            hint="Take the entry out, and do as the finding says.",
        )
    return Entry(**{field: value[field] for field in _TEXTS}, count=count)


def remaining(entries: Iterable[Entry], taken: Counter[Entry]) -> Iterator[Entry]:
    """Yield what is left of entries when findings have answered to some."""
    for entry in entries:
        if entry.count > taken[entry]:
            yield replace(entry, count=entry.count - taken[entry])
