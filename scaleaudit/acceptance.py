"""What a team accepts, put to work: sources and baseline are read, findings sifted, files written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from scaleaudit.choosing import RuleBook
from scaleaudit.console import write_atomically
from scaleaudit.domain.finding import Finding, IdleComment, Suppressed, SuppressionKind
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import StaleEntry, TargetReport, verdict_of
from scaleaudit.errors import ConfigError
from scaleaudit.files import read_file
from scaleaudit.sources import is_archive, relative
from scaleaudit.triage.annotating import REASON, Annotated, annotate
from scaleaudit.triage.baseline import Baseline, from_text, to_text
from scaleaudit.triage.sources import SourceFile
from scaleaudit.triage.suppressing import Codes
from scaleaudit.triage.triaging import Ledger, Renewal, Run, sift_baseline, sift_comments

_INSTALLED = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True, slots=True)
class Accepting:
    """What is accepted from now on, beside what comments and the baseline accept already.

    Attributes:
        renewal: What becomes of the baseline.
        add_ignores: Whether comments are written for all findings.
        reason: What they give as the reason.
        tell: Told what was written.
    """

    renewal: Renewal = Renewal.KEEP
    add_ignores: bool = False
    reason: str = REASON
    tell: Callable[[str], None] = lambda _: None


class Acceptance:
    """The comments and the baseline of a run.

    Args:
        baseline: The file of accepted findings; None for none.
        warn: Told what could not be written.

    Raises:
        ConfigError: The baseline cannot be read, or is none.
    """

    def __init__(
        self,
        accepting: Accepting = Accepting(),
        baseline: Path | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._accepting, self._file = accepting, baseline
        self._tell, self._warn = accepting.tell, warn
        self._known = Baseline()
        if baseline is not None:
            self._known = _read(baseline, new=accepting.renewal is Renewal.WRITE)

    def apply(
        self, targets: tuple[TargetReport, ...], book: RuleBook, whole: frozenset[str]
    ) -> tuple[tuple[TargetReport, ...], tuple[StaleEntry, ...]]:
        """Return the targets with what counts of their findings, and what is stale.

        Args:
            whole: The files of which every target was audited.

        Raises:
            ConfigError: A file cannot be written.
        """
        run = _run(targets, book, whole)
        targets = sift_comments(targets, run)
        stale: tuple[StaleEntry, ...] = ()
        if self._file is not None:
            targets, stale = self._sift_baseline(targets, run, self._file, book)
        return (self._annotate(targets, run) if self._accepting.add_ignores else targets), stale

    def _sift_baseline(
        self, targets: tuple[TargetReport, ...], run: Run, file: Path, book: RuleBook
    ) -> tuple[tuple[TargetReport, ...], tuple[StaleEntry, ...]]:
        folder = Path(os.path.abspath(file)).parent  # noqa: PTH100  # of a link, its own
        ledger = Ledger(
            self._known,
            seen=lambda path: Path(os.path.relpath(book.meant(path), folder)).as_posix(),
            is_file=lambda path: (folder / path).is_file(),
            renewal=self._accepting.renewal,
        )
        triaged = sift_baseline(targets, run, ledger)
        if self._accepting.renewal is Renewal.KEEP:
            return triaged.targets, tuple(_from_here(entry, folder) for entry in triaged.stale)
        write_atomically(file, to_text(triaged.baseline))
        entries, stale = _counted(triaged.baseline.size, "finding"), len(triaged.stale)
        self._tell(f"{file} accepts {entries}; {stale} no longer found were taken out")
        return triaged.targets, ()

    def _annotate(self, targets: tuple[TargetReport, ...], run: Run) -> tuple[TargetReport, ...]:
        done = annotate(targets, run.files, self._accepting.reason, _refusal)
        for path, data in done.files.items():
            if read_file(path) != run.files[path].data:
                raise ConfigError("was changed meanwhile; nothing was written to it", where=path)
            write_atomically(Path(path), data)
        for each in done.left_out:
            place = each.finding.location or "no place"
            self._warn(f"{place}: no comment accepts {each.finding.code}: {each.why}")
        findings, files = len(done.accepted), len(done.files)
        self._tell(
            f"comments accept {_counted(findings, 'finding')}; {_counted(files, 'file')} written"
        )
        return tuple(_with_comments(target, done, self._accepting.reason) for target in targets)


def _from_here(entry: StaleEntry, folder: Path) -> StaleEntry:
    """Name the file of an entry as all others are named in a report."""
    return replace(entry, path=relative(str(folder / entry.path), Path.cwd()))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _read(file: Path, *, new: bool) -> Baseline:
    """Read a baseline; there may be none yet where one is to be written."""
    try:
        return from_text(read_file(file), str(file))
    except FileNotFoundError:
        if new:
            return Baseline()
        raise ConfigError(
            "no such baseline", where=str(file), hint=f"Write it with --write-baseline={file}."
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(file)) from None


def _run(targets: tuple[TargetReport, ...], book: RuleBook, whole: frozenset[str]) -> Run:
    here = Path.cwd()
    located = partial(relative, folder=here)
    paths = dict.fromkeys(located(target.path) for target in targets)
    named = (place.path for target in targets for f in target.findings for place in _places(f))
    files = (_source(path) for path in dict.fromkeys((*paths, *named)))
    spelled = {located(target.path): target.path for target in targets}
    known = dict.fromkeys(code for target in targets for code in book.codes(target.path))

    def asked(path: str, code: str) -> bool:
        return any(rule.code == code for rule in book.for_file(spelled.get(path, path)))

    return Run(
        files={file.path: file for file in files if file is not None},
        whole=whole,
        codes=Codes(tuple(known), asked),
        judge=partial(_judged, book),
        located=located,
    )


def _judged(book: RuleBook, idle: IdleComment) -> tuple[Finding, ...]:
    from scaleaudit.rules.engine import of_comment  # noqa: PLC0415 - loads CEL

    return of_comment(book.for_file(idle.location.path), idle)


def _places(finding: Finding) -> Iterable[Location]:
    return (place for place in (finding.location, *finding.anchors) if place is not None)


def _source(path: str) -> SourceFile | None:
    """Read a file that may hold comments; exported programs hold none."""
    try:
        readable = Path(path).is_file() and not is_archive(path)
        return SourceFile(path, read_file(path)) if readable else None
    except (OSError, ValueError):
        return None


def _refusal(target: TargetReport, path: str) -> str:
    """Say why nothing is to be written to a file for a target; empty where it may be."""
    if is_archive(target.path):
        return "its program was exported, and the file may have changed since"
    if _INSTALLED & set(Path(path).parts):
        return f"{path} belongs to an installed package"
    if Path(path).is_absolute() and relative(target.path, Path.cwd()) != path:
        return f"{path} is outside of the working directory"
    return "" if os.access(path, os.W_OK) else f"{path} may not be written"


def _with_comments(target: TargetReport, done: Annotated, reason: str) -> TargetReport:
    written = {id(finding): place for finding, place in done.accepted}
    accepted = [finding for finding in target.findings if id(finding) in written]
    if not accepted:
        return target
    left = tuple(finding for finding in target.findings if id(finding) not in written)
    more = (
        Suppressed(finding, SuppressionKind.COMMENT, reason, written[id(finding)])
        for finding in accepted
    )
    return replace(
        target,
        findings=left,
        suppressed=(*target.suppressed, *more),
        verdict=verdict_of(left, target.undecided),
    )
