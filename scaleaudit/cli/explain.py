"""`explain`: one finding with its whole proof, and what the rules would say if the model changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from scaleaudit.cli.flags import SettingsFlags, read_settings, settings_flags
from scaleaudit.cli.manners import colour_flag, columns_of, use_colour, write_out
from scaleaudit.console import Progress, say
from scaleaudit.errors import ConfigError

if TYPE_CHECKING:
    from scaleaudit.config import Settings
    from scaleaudit.domain.explanation import Condition, Match
    from scaleaudit.domain.facts import ScaleFacts
    from scaleaudit.domain.finding import Finding
    from scaleaudit.domain.report import Report, Verdict
    from scaleaudit.rules.rule import Rule


class Flags(SettingsFlags):
    """The options of `explain`, by the names that click gives them."""

    report_file: Path | None
    code: str
    state: str


@click.command()
@click.argument("finding", metavar="FILE:LINE|FINGERPRINT")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option(
    "--from",
    "report_file",
    type=click.Path(path_type=Path),
    metavar="REPORT",
    help="Look it up in a report that `--output json:REPORT` wrote, and audit nothing.",
)
@click.option("--code", default="", metavar="CODE", help="The rule, where a line has several.")
@click.option("--state", default="", metavar="NAME", help="The state, where a line has several.")
@settings_flags
@colour_flag
def explain(finding: str, paths: tuple[str, ...], **flags: Unpack[Flags]) -> None:
    """Explain a finding: its proof, the numbers behind it, and what would change the answer.

    A finding is named by its line, as model.py:79, or by the first digits of its fingerprint with
    the paths to audit.
    """
    from scaleaudit.explaining.explaining import explain as explained
    from scaleaudit.explaining.lookup import find, read_question
    from scaleaudit.report.explanation import explanation_text

    question = read_question(finding, flags["code"], flags["state"])
    settings = read_settings(flags)
    report = _report(question.path, paths, flags["report_file"], settings)
    matches = find(report, question)
    rules = _rules(matches[0], settings)

    def judge(facts: ScaleFacts) -> tuple[tuple[Finding, ...], Verdict]:
        from scaleaudit.rules.engine import evaluate

        target = matches[0].target
        judged = evaluate(rules, target.path, target.name, facts)
        return judged.findings, judged.verdict

    explanation = explained(matches, judge, _condition(matches[0], rules))
    colour, columns = use_colour(sys.stdout), columns_of(sys.stdout)
    write_out(explanation_text(explanation, report, colour=colour, columns=columns))


def _report(path: str, paths: tuple[str, ...], file: Path | None, settings: Settings) -> Report:
    if file is not None:
        if paths:
            raise ConfigError("--from reads a report, so that no path is audited")
        return _read(file)
    if not (paths or path):
        raise ConfigError(
            "a fingerprint alone does not say what to audit",
            hint="Name the paths behind it, or a report with --from.",
        )
    from scaleaudit.api import Options, audit

    progress = Progress(sys.stderr)
    try:
        return audit(paths or (path,), Options.of(settings), progress.show, _warn)
    finally:
        progress.clear()


def _warn(text: str) -> None:
    say(f"warning: {text}")


def _read(file: Path) -> Report:
    """Read a report, and the sources that it names where they are at hand."""
    from dataclasses import replace

    from scaleaudit.cli.reports import read_report
    from scaleaudit.domain.places import finding_places
    from scaleaudit.sources import read_sources

    report = read_report(file)
    named = (place.path for target in report.targets for place in finding_places(target))
    at_hand = dict(read_sources(named))
    return replace(report, sources=tuple({**dict(report.sources), **at_hand}.items()))


def _rules(match: Match, settings: Settings) -> tuple[Rule, ...]:
    from scaleaudit.choosing import RuleBook

    return RuleBook(settings).for_file(match.target.path)


def _condition(match: Match, rules: tuple[Rule, ...]) -> Condition | None:
    """Return what the finding's rule asked, with the facts that it named."""
    from scaleaudit.domain.explanation import Condition
    from scaleaudit.rules.engine import known_facts

    rule = next((rule for rule in rules if rule.code == match.finding.code), None)
    if rule is None:
        return None
    target = match.target
    named: dict[tuple[str, str], None] = {}
    if target.facts is not None:
        for subject, values in known_facts(rule, target.path, target.name, target.facts):
            if subject == match.finding.subject:
                named |= dict.fromkeys((name, _spelled(value)) for name, value in values)
    return Condition(rule.when.source.strip(), tuple(named))


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
