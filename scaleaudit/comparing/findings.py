"""What became of findings: matched by fingerprint, then by what they are about, never by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scaleaudit.comparing.matching import pair
from scaleaudit.domain.comparison import FindingChange, FindingStatus
from scaleaudit.domain.finding import Finding
from scaleaudit.domain.report import TargetReport


class _Told(NamedTuple):
    """A finding, what it is about in the names of today, and whether it is accepted."""

    finding: Finding
    subject: str
    accepted: bool


def finding_changes(
    before: TargetReport | None, after: TargetReport | None, renamed: Mapping[str, str]
) -> Iterator[FindingChange]:
    """Yield the findings that came, went, or changed.

    Args:
        before: The target as it was; None where there was none.
        after: The target as it is.
        renamed: What subjects of the first are called in the second.
    """
    keys = (
        lambda told: (told.finding.code, told.finding.fingerprint, told.subject),
        lambda told: (told.finding.code, told.finding.fingerprint),
        lambda told: (told.finding.code, told.subject),
    )
    for old, new in pair(list(_told(before, renamed)), list(_told(after, {})), keys):
        if old is None and new is not None:
            if not new.accepted:
                yield FindingChange(FindingStatus.NEW, new.finding)
        elif new is None and old is not None:
            if not old.accepted:
                yield FindingChange(FindingStatus.FIXED, old.finding)
        elif old is not None and new is not None:
            status = _status(old, new)
            if status is not None:
                yield FindingChange(status, new.finding, old.finding)


def _told(target: TargetReport | None, renamed: Mapping[str, str]) -> Iterator[_Told]:
    if target is not None:
        for finding in target.findings:
            yield _Told(finding, renamed.get(finding.subject, finding.subject), accepted=False)
        for suppressed in target.suppressed:
            finding = suppressed.finding
            yield _Told(finding, renamed.get(finding.subject, finding.subject), accepted=True)


def _status(before: _Told, after: _Told) -> FindingStatus | None:
    match before.accepted, after.accepted:
        case True, True:
            return None
        case False, True:
            return FindingStatus.ACCEPTED
        case True, False:
            return FindingStatus.NO_LONGER_ACCEPTED
        case _:
            old, new = before.finding, after.finding
            same = (old.fingerprint, old.severity) == (new.fingerprint, new.severity)
            return None if same else FindingStatus.CHANGED
