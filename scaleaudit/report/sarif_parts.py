"""Parts of a SARIF log: places, messages, and changes of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from scaleaudit.domain.finding import Finding
from scaleaudit.domain.graph import Location
from scaleaudit.report.encoding import Json, uri_path
from scaleaudit.report.patches import UNTRIED, Change, changes_of, path_of
from scaleaudit.report.terminal import printable

ROOT = "SRCROOT"


def sarif_location(location: Location) -> dict[str, Json]:
    """Write a place."""
    place: dict[str, Json] = {"artifactLocation": sarif_artifact(location.path)}
    if location.line > 0:
        place["region"] = _region(location)
    return {"physicalLocation": place}


def sarif_artifact(path: str) -> Json:
    """Write a path as a URI: of a file outside the folder absolutely, else relative to it."""
    if PurePosixPath(path).is_absolute():
        return {"uri": f"file://{uri_path(path)}"}
    return {"uri": uri_path(path), "uriBaseId": ROOT}


def _region(location: Location) -> Json:
    region: dict[str, Json] = {"startLine": location.line}
    last = max(location.end_line, location.line)
    if location.end_line:
        region["endLine"] = last
    if location.column:
        region["startColumn"] = location.column
        if location.end_column and (last > location.line or location.end_column >= location.column):
            region["endColumn"] = location.end_column
    return region


def sarif_message(text: str) -> Json:
    """Write a message in which nothing is a placeholder and nothing is a link (3.11.5, 3.11.6)."""
    escaped = text.replace("{", "{{").replace("}", "}}")
    return {"text": escaped.replace("](", "\\](") if "](" in escaped else escaped}


def fixes_of(finding: Finding, paths: Iterable[str]) -> Iterator[Json]:
    """Yield the fixes that change the user's lines.

    Args:
        paths: The files that the report knows, as it names them.
    """
    known = {path.lstrip("/"): path for path in paths}
    for fix in finding.fixes:
        path, changes = known.get(path_of(fix.diff)), changes_of(fix.diff)
        if path is None or not changes or not all(change.ends for change in changes):
            continue
        replacements: list[Json] = [_replacement(change) for change in changes]
        change: Json = {"artifactLocation": sarif_artifact(path), "replacements": replacements}
        said = sarif_message(f"{printable(fix.text)} ({UNTRIED})")
        yield {"description": said, "artifactChanges": [change]}


def _replacement(change: Change) -> Json:
    return {
        "deletedRegion": {
            "startLine": change.line,
            "startColumn": 1,
            "endLine": change.line + len(change.taken),
            "endColumn": 1,
        },
        "insertedContent": {"text": "".join(f"{line}\n" for line in change.added)},
    }
