"""From what the rules found to what counts: comments first, then the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from scaleaudit.domain.finding import Finding, IdleComment, Severity, Suppressed, SuppressionKind
from scaleaudit.domain.report import StaleEntry, TargetReport, verdict_of
from scaleaudit.domain.selection import ALWAYS_REPORTED
from scaleaudit.triage.baseline import Baseline, Entry, gathered, remaining
from scaleaudit.triage.fingerprints import completed, parsed
from scaleaudit.triage.matching import Known, Matching
from scaleaudit.triage.sources import SourceFile
from scaleaudit.triage.suppressing import Codes, Comments


@dataclass(frozen=True, slots=True)
class Run:
    """What was audited, beyond what its targets tell.

    Attributes:
        files: The sources of the audited files and of those that findings name, by path.
        whole: The files of which every target was audited, not one that was asked for.
        judge: What the rules say of an idle comment.
        located: Turns the path of a target into that by which findings name its file.
    """

    files: Mapping[str, SourceFile]
    whole: frozenset[str]
    codes: Codes
    judge: Callable[[IdleComment], tuple[Finding, ...]]
    located: Callable[[str], str]


class Renewal(Enum):
    """What becomes of a baseline."""

    KEEP = "keep"
    WRITE = "write"
    PRUNE = "prune"


@dataclass(frozen=True, slots=True)
class Ledger:
    """A baseline, with how its paths are to be read.

    Attributes:
        seen: Turns the path of a target into one seen from the folder of the baseline.
        is_file: Whether a path seen from there is that of a file.
    """

    baseline: Baseline
    seen: Callable[[str], str]
    is_file: Callable[[str], bool]
    renewal: Renewal = Renewal.KEEP


@dataclass(frozen=True, slots=True)
class Triaged:
    """What is left of findings, and of a baseline."""

    targets: tuple[TargetReport, ...]
    stale: tuple[StaleEntry, ...]
    baseline: Baseline


def sift_comments(targets: tuple[TargetReport, ...], run: Run) -> tuple[TargetReport, ...]:
    """Suppress what comments accept, report those that accept nothing, and draw the verdicts."""
    comments = Comments(run.files)
    sifted = [comments.sift(target) for target in targets]
    bearers = _bearers(sifted, run)
    for path, index in bearers.items():
        idle = comments.idle(path, run.codes)
        sifted[index] = comments.sift(_with(sifted[index], idle, run))
    # Whether a comment accepts a report of an idle one is known only now.
    for path, index in bearers.items():
        sifted[index] = _with(sifted[index], comments.idle_of_idle(path, run.codes), run)
    return tuple(_settled(completed(target, run.files)) for target in sifted)


def _bearers(targets: list[TargetReport], run: Run) -> dict[str, int]:
    """For every file that was audited with success, the target that its comments are told with."""
    failed = {target.path for target in targets if target.facts is None}
    bearers: dict[str, int] = {}
    for index, target in enumerate(targets):
        if target.path in run.whole and target.path not in failed:
            bearers.setdefault(run.located(target.path), index)
    return bearers


def _with(target: TargetReport, idle: Iterable[IdleComment], run: Run) -> TargetReport:
    more = (finding for comment in idle for finding in run.judge(comment))
    return replace(target, findings=(*target.findings, *more))


def _settled(target: TargetReport) -> TargetReport:
    """Sort the findings, the gravest first, and draw the verdict from them."""
    findings = tuple(sorted(target.findings, key=_gravity))
    if target.facts is None:
        return replace(target, findings=findings)
    return replace(target, findings=findings, verdict=verdict_of(findings, target.undecided))


def _gravity(finding: Finding) -> int:
    return tuple(Severity).index(finding.severity)


def sift_baseline(targets: tuple[TargetReport, ...], run: Run, ledger: Ledger) -> Triaged:
    """Suppress what the baseline knows, say what of it is stale, and renew it where asked."""
    audited = tuple(target for target in targets if target.facts is not None)
    offered = [
        (index, finding, _entry(target, finding, ledger))
        for index, target in enumerate(targets)
        for finding in target.findings
        if target.facts is not None and finding.code not in ALWAYS_REPORTED
    ]
    known = Known(
        frozenset((ledger.seen(target.path), target.name) for target in audited), ledger.is_file
    )
    matching = Matching(ledger.baseline.entries, known)
    matched = matching.match([entry for _, _, entry in offered])
    accepted = [
        (index, finding, entry)
        for (index, finding, entry), found in zip(offered, matched, strict=True)
        if found is not None or ledger.renewal is Renewal.WRITE
    ]
    left = tuple(remaining(ledger.baseline.entries, matching.taken))
    asked = _Asked(run, ledger, known, targets)
    stale = tuple(entry for entry in left if asked.includes(entry))
    kept = (entry for entry in left if entry not in stale)
    return Triaged(
        tuple(
            _accepted(target, [finding for at, finding, _ in accepted if at == index])
            for index, target in enumerate(targets)
        ),
        tuple(entry.stale for entry in stale),
        gathered((*kept, *(entry for _, _, entry in accepted))),
    )


class _Asked:
    """Which entries this run could have found: of what it audited, or of a file that is gone."""

    def __init__(
        self, run: Run, ledger: Ledger, known: Known, targets: tuple[TargetReport, ...]
    ) -> None:
        failed = {target.path for target in targets if target.facts is None}
        there = {target.path for target in targets} & run.whole
        self._whole = {ledger.seen(path) for path in there - failed}
        self._spelled = {ledger.seen(target.path): target.path for target in targets}
        self._run, self._known = run, known

    def includes(self, entry: Entry) -> bool:
        if not self._run.codes.asked(self._spelled.get(entry.path, entry.path), entry.code):
            return False
        one = (entry.path, entry.target) in self._known.targets
        return one or entry.path in self._whole or not self._known.is_file(entry.path)


def _entry(target: TargetReport, finding: Finding, ledger: Ledger) -> Entry:
    return Entry(
        path=ledger.seen(target.path),
        target=target.name,
        code=finding.code,
        fingerprint=str(parsed(finding.fingerprint)),
        subject=finding.subject,
        message=finding.message,
    )


def _accepted(target: TargetReport, findings: list[Finding]) -> TargetReport:
    """Move findings of a target to those suppressed."""
    if not findings:
        return target
    more = (Suppressed(finding, SuppressionKind.BASELINE) for finding in findings)
    left = tuple(each for each in target.findings if not any(each is f for f in findings))
    return _settled(replace(target, findings=left, suppressed=(*target.suppressed, *more)))
