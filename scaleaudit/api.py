"""The audit from end to end: `audit` here, in the parent; `audit_facts` in the child.

The parent never imports torch nor a user's file. What it knows of a target came back from a
child process as data.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import scaleaudit
from scaleaudit.acceptance import Acceptance, Accepting
from scaleaudit.answers import GivenUp, Survey, TargetFacts
from scaleaudit.children import Audited, Desk, Watch, audit_all, is_empty, look_all, survey_all
from scaleaudit.choosing import RuleBook
from scaleaudit.config import Settings, laws_for
from scaleaudit.domain.attempts import Attempt, Certify, Failure
from scaleaudit.domain.collecting import collector_held
from scaleaudit.domain.facts import ScaleFacts
from scaleaudit.domain.finding import Finding
from scaleaudit.domain.laws import declare_all
from scaleaudit.domain.places import finding_places
from scaleaudit.domain.probing import ProbeRequest
from scaleaudit.domain.report import Report, Skipped, TargetReport, Verdict
from scaleaudit.errors import ScaleAuditError
from scaleaudit.isolation.child import Original
from scaleaudit.isolation.interpreters import torch_version
from scaleaudit.isolation.jobs import (
    DEFAULT_LIMITS,
    Limits,
    TroubleKind,
    decode_laws,
    decode_plans,
    trouble_of,
)
from scaleaudit.isolation.pool import open_pool
from scaleaudit.isolation.workers import rehearse, workers
from scaleaudit.probing import probed
from scaleaudit.recall import Recall
from scaleaudit.sources import (
    Request,
    find_requests,
    is_archive,
    portable,
    read_source,
    read_sources,
)

if TYPE_CHECKING:
    from scaleaudit.capture.capturing import Captured
    from scaleaudit.capture.programs import ProgramFile
    from scaleaudit.capture.targets import Rebuild, TargetFile
    from scaleaudit.isolation.runner import OnDemand
    from scaleaudit.rules.rule import Rule

# The share of a child's time in which a model is looked for.
_SEARCHING = 0.6
# The share in which its facts may be held against numbers.
_CERTIFYING = 0.3
# Bytes that it may take: half of what a target may use by default.
_ROOM = DEFAULT_LIMITS.memory // 2


@dataclass(frozen=True, slots=True)
class Options:
    """How to audit.

    Attributes:
        select: Codes or prefixes of the rules to apply; empty for what the settings say.
        ignore: More codes or prefixes to leave out.
        preview: Whether rules in preview are applied, whatever the settings say.
        rule_paths: More folders with rule pages.
        jobs: How many targets at a time; 0 for one a processor, four at most.
        skip_non_models: Whether files may hold no model though they were named.
        accepting: What is accepted from now on: in a baseline, or by comments.
        cache: The folder where answers are kept for the next time; None for none.
        settings: Where everything else is settled: files of settings, and flags over them.
        probe: How every target is trained for a moment as well; None for not at all.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    preview: bool = False
    rule_paths: tuple[Path, ...] = ()
    limits: Limits = DEFAULT_LIMITS
    jobs: int = 0
    skip_non_models: bool = False
    accepting: Accepting = Accepting()  # noqa: RUF009  # frozen
    cache: Path | None = None
    settings: Settings = field(default_factory=Settings)
    probe: ProbeRequest | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        skip_non_models: bool = False,
        cache: Path | None = None,
        probe: ProbeRequest | None = None,
    ) -> Options:
        """Return the options that settings ask for.

        Raises:
            ConfigError: A file of settings is not in order.
        """
        asked = {None: Certify.SMALL, True: Certify.ANY, False: Certify.NEVER}
        config = settings.for_run()
        limits = Limits(
            certify=asked[config.certify],
            seconds=config.timeout,
            memory=int(config.memory_limit * 2**30),
        )
        return cls(
            limits=limits,
            jobs=config.jobs or 0,
            skip_non_models=skip_non_models,
            cache=cache,
            settings=settings,
            probe=probe,
        )

    def in_force(self) -> Settings:
        """Return the settings with these options over them."""
        given = {
            "select": self.select,
            "ignore": self.ignore,
            "preview": self.preview,
            "rule_paths": self.rule_paths,
        }
        return self.settings.with_flags({name: value for name, value in given.items() if value})


DEFAULT_OPTIONS = Options()


def audit(
    paths: Iterable[str],
    options: Options = DEFAULT_OPTIONS,
    watch: Watch = lambda *_: None,
    warn: Callable[[str], None] = lambda _: None,
    staff: OnDemand | None = None,
) -> Report:
    """Audit every target of the given files and folders.

    Args:
        paths: Files, folders, and ``file.py::Name``.
        options: How to audit.
        watch: Told of every target done.
        warn: Told where the options don't do what they seem to.
        staff: What runs the children, to go on with after this run unless that fails; without it
            the run has its own.

    Raises:
        ConfigError: A path does not exist, a rule code is unknown, or a baseline is none.
        RuleError: A rule page cannot be loaded.
    """
    requests = find_requests(paths, skip_non_models=options.skip_non_models)
    settings = options.in_force()
    acceptance = Acceptance(options.accepting, settings.for_run().baseline, warn)
    desk = Desk(staff or workers(), Recall.at(options.cache, warn), options.limits, settings)
    jobs = options.jobs or min(4, os.cpu_count() or 1)
    with open_pool(desk.workers, jobs, keep=staff is not None) as pool:
        looked = look_all(requests, desk)  # torch starts to load at the first that is not known
        rehearse(desk.workers, looked.count(None))
        book = RuleBook(settings, warn)
        known = zip(requests, looked, strict=True)
        _open(book, [request for request, found in known if not is_empty(found)])
        surveyed = survey_all(requests, looked, pool, desk, watch)
        audited = audit_all(surveyed, pool, desk, watch)
        if options.probe is not None:
            audited = probed(audited, desk, options.probe, watch)
    skipped = tuple(left_out for file in surveyed for left_out in file.skipped)
    whole = frozenset(request.path for request in requests if request.name is None)
    return reported(audited, book, acceptance, whole, skipped)


def _open(book: RuleBook, requests: Sequence[Request]) -> None:
    """Tell of mistakes in settings and rule pages before the work starts, if there is any."""
    if requests:
        book.for_run()
    for request in requests:
        book.for_file(request.path)


def reported(
    audited: tuple[Audited, ...],
    book: RuleBook,
    acceptance: Acceptance,
    whole: frozenset[str] = frozenset(),
    skipped: tuple[Skipped, ...] = (),
) -> Report:
    """Ask the rules of what was audited, sift what is accepted, and write the report.

    Args:
        whole: The files of which every target was audited.
    """
    judged = tuple(_judge(target, book.for_file(target.path)) for target in audited)
    targets, stale = acceptance.apply(judged, book, whole)
    applied = {rule.code: rule for target in audited for rule in book.for_file(target.path)}
    report = _report(targets, skipped, tuple(applied[code] for code in sorted(applied)))
    return replace(report, stale=stale)


def audit_facts(path: str, name: str, certify: Certify = Certify.NEVER) -> ScaleFacts:
    """Build a target, capture it and analyse it, trying every way in this process.

    It runs the user's code, so call it in a process that may come to harm.
    """
    from scaleaudit.capture.capturing import capture
    from scaleaudit.capture.targets import load_target

    declare_all(laws_for(Path(path)))
    if is_archive(path):
        from scaleaudit.capture.programs import open_programs

        target = open_programs(Path(path)).build(name, fake=True)
    else:
        target = load_target(Path(path), name)
    return analysed(capture(target), certify)


def attempt_audit(
    path: str,
    name: str,
    entries: str,
    laws: str,
    attempt: str,
    since: str,
    seconds: str,
    certify: str,
) -> Survey:
    """List the targets of a file and audit one in one way; runs the user's code in a child.

    Args:
        name: Which target to audit; empty for the only one, if there is only one.
        entries: Plans that the project's settings hold for the file.
        laws: Laws of operators that these settings declare.
        attempt: How to capture it, a value of Attempt.
        since: Why a better way did not do.
        seconds: How long the child may run.
        certify: Which models' facts are held against numbers, a value of Certify.
    """
    from scaleaudit.capture.targets import open_file

    declare_all(decode_laws(laws))
    way = _Way(Attempt(attempt), since, Certify(certify), float(seconds))
    if is_archive(path):
        from scaleaudit.capture.programs import open_programs  # loads torch.export

        return _surveyed(open_programs(Path(path)), name, way)
    original = Original()
    file = open_file(Path(path))
    original.end_copies()
    if not file.functions:
        return _searched(file, name, entries, float(seconds))
    return _surveyed(file, name, way)


def _surveyed(file: TargetFile | ProgramFile, name: str, way: _Way) -> Survey:
    """List what a file declares; a single target, or the one asked for, is audited."""
    if not name and len(file.names) > 1:
        return Survey(file.names)
    name = name or file.names[0]
    try:
        found = _attempted(partial(file.build, name), name, way)
    except ScaleAuditError as error:
        found = TargetFacts(name, trouble=trouble_of(error))
    return Survey((name,), found)


def _searched(file: TargetFile, name: str, entries: str, seconds: float) -> Survey:
    """Find what to audit in a file that has no target function."""
    from scaleaudit.capture.discovery.finding import find_targets

    found = find_targets(file, decode_plans(entries), name, _SEARCHING * seconds)
    lost = tuple(GivenUp(n, trouble_of(error), whole) for n, error, whole in found.failures)
    return Survey(plans=found.plans, given_up=lost)


def attempt_plan(
    path: str,  # noqa: ARG001 - the plan names it too
    plans: str,
    laws: str,
    attempt: str,
    since: str,
    seconds: str,
    certify: str,
) -> Survey:
    """Audit the target of a plan in one way; runs the user's code in a child."""
    from scaleaudit.capture.targets import build_plan

    declare_all(decode_laws(laws))
    (plan,) = decode_plans(plans)
    try:
        way = _Way(Attempt(attempt), since, Certify(certify), float(seconds))
        found = _attempted(partial(build_plan, plan), plan.name, way)
    except ScaleAuditError as error:
        found = TargetFacts(plan.name, trouble=trouble_of(error))
    return Survey((plan.name,), found)


@dataclass(frozen=True, slots=True)
class _Way:
    """How an attempt goes about it: why another way did not do, how much it may certify."""

    attempt: Attempt
    since: str
    certify: Certify
    seconds: float


def _attempted(build: Rebuild, name: str, way: _Way) -> TargetFacts:
    from scaleaudit.capture.capturing import Unfit, capture_by, not_built
    from scaleaudit.capture.targets import BuildError

    original = Original()
    try:
        target = build(fake=way.attempt.builds_fakes)
    except BuildError as error:
        return _failed(name, error, not_built(way.attempt, error))
    original.end_copies()
    try:
        captured = capture_by(way.attempt, target, way.since)
        return TargetFacts(target.name, analysed(captured, way.certify, way.seconds))
    except Unfit as error:
        return _failed(target.name, error, error.failure)
    except ScaleAuditError as error:
        return TargetFacts(target.name, trouble=trouble_of(error))


def _failed(name: str, error: ScaleAuditError, failure: Failure) -> TargetFacts:
    trouble = trouble_of(error)
    # Real tensors take more memory, not less.
    curable = failure.curable and trouble.kind is not TroubleKind.MEMORY
    return TargetFacts(name, None, trouble, replace(failure, curable=curable))


def analysed(
    captured: Captured, certify: Certify, seconds: float = DEFAULT_LIMITS.seconds
) -> ScaleFacts:
    """Find the loops of a captured program, and derive how everything in it scales.

    Args:
        captured: The program.
        certify: Whether what is claimed is held against numbers.
        seconds: How long all of it may take; certification has its share of that.
    """
    from scaleaudit.fixing.places import with_footholds
    from scaleaudit.loops.finder import find_loops
    from scaleaudit.picturing.picturing import with_pictures
    from scaleaudit.scale.analysis import analyse, study

    graph = captured.graph
    with collector_held():
        nest = find_loops(graph)
        studied = study(graph, nest)
        facts = with_pictures(graph, nest, studied.facts, studied.judged())
        facts = with_footholds(graph, nest, facts, analyse)
        if certify is Certify.NEVER:
            return facts
        claims = studied.claims()
    from scaleaudit.capture.building import running_on_cpu
    from scaleaudit.certify.certifying import certify_if_fit

    with running_on_cpu(graph):
        outcome = certify_if_fit(captured, claims, certify, seconds * _CERTIFYING, _ROOM)
    return replace(facts, certification=outcome)


def _judge(target: Audited, rules: tuple[Rule, ...]) -> TargetReport:
    from scaleaudit.fixing.fixing import with_diffs
    from scaleaudit.rules.engine import evaluate

    found, here = target.found, Path.cwd()
    report = TargetReport(
        path=target.path,
        name=found.name,
        verdict=Verdict.UNKNOWN,
        facts=portable(found.facts, here),
        findings=(),
        seconds=target.seconds,
        output=target.output,
    )
    if report.facts is None:
        findings = portable(_not_audited(target, rules), here)
        undecided = tuple(finding.message for finding in findings)
        return replace(report, findings=findings, undecided=undecided)
    judged = evaluate(rules, target.path, found.name, report.facts)
    coverage = replace(report.facts.coverage, deciding=judged.deciding)
    return replace(
        report,
        verdict=judged.verdict,
        facts=replace(report.facts, coverage=coverage),
        findings=with_diffs(judged.findings, report.facts, read_source),
        undecided=judged.undecided,
    )


def _not_audited(target: Audited, rules: tuple[Rule, ...]) -> tuple[Finding, ...]:
    from scaleaudit.rules.engine import not_audited

    trouble = target.found.trouble
    assert trouble is not None
    if trouble.kind is TroubleKind.BUG:
        with tempfile.NamedTemporaryFile(
            "w", prefix="scaleaudit-", suffix=".log", delete=False
        ) as log:
            log.write(trouble.details)
        hint = f"This is a bug of scaleaudit; please report it with {log.name}."
        trouble = replace(trouble, hint=hint, message=f"scaleaudit failed on it: {trouble.message}")
    error = ScaleAuditError(trouble.message, where=trouble.where, hint=trouble.hint)
    return not_audited(rules, target.path, target.found.name, error)


def _report(
    targets: tuple[TargetReport, ...],
    skipped: tuple[Skipped, ...],
    rules: tuple[Rule, ...],
) -> Report:
    named = (place.path for target in targets for place in finding_places(target))
    return Report(
        version=scaleaudit.__version__,
        torch_version=torch_version(),
        targets=targets,
        skipped=skipped,
        sources=read_sources(named),
        rules=tuple(rule.document for rule in rules),
    )
