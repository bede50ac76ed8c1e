"""Every format of a report by its name; a renderer is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from scaleaudit.domain.comparison import Comparison  # noqa: TC004  # as below
    from scaleaudit.domain.finding import Severity  # noqa: TC004  # an annotation is never read
    from scaleaudit.domain.report import Report
    from scaleaudit.domain.traced import Traced  # noqa: TC004  # as above


@dataclass(frozen=True, slots=True)
class Look:
    """How a report is to be shown, as far as a format can.

    Attributes:
        show_output: Whether to show what the models' code printed.
        failing: The severities that fail the run.
        unknown_fails: Whether a target without a verdict does.
        quiet: Whether to leave out all but findings, and why a verdict is unknown.
        columns: How wide the terminal is; 0 for no terminal.
        comparison: What changed since another report; a page of HTML tells it.
        traces: Training that was kept; a page plots it.
    """

    failing: tuple[Severity, ...]
    colour: bool = False
    show_output: bool = False
    unknown_fails: bool = True
    quiet: bool = False
    columns: int = 0
    comparison: Comparison | None = None
    traces: tuple[Traced, ...] = ()


Renderer: TypeAlias = "Callable[[Report, Look], str]"


def _full(report: Report, look: Look) -> str:
    from scaleaudit.report.text import Detail, to_text

    return to_text(
        report,
        Detail.FULL,
        colour=look.colour,
        show_output=look.show_output,
        quiet=look.quiet,
        columns=look.columns,
    )


def _concise(report: Report, look: Look) -> str:
    from scaleaudit.report.text import Detail, to_text

    return to_text(
        report,
        Detail.CONCISE,
        colour=look.colour,
        show_output=look.show_output,
        quiet=look.quiet,
    )


def _json(report: Report, _: Look) -> str:
    from scaleaudit.report.structure import to_json

    return to_json(report)


def _sarif(report: Report, _: Look) -> str:
    from scaleaudit.report.sarif import to_sarif

    return to_sarif(report)


def _github(report: Report, _: Look) -> str:
    from scaleaudit.report.github import to_github

    return to_github(report)


def _gitlab(report: Report, _: Look) -> str:
    from scaleaudit.report.gitlab import to_gitlab

    return to_gitlab(report)


def _junit(report: Report, look: Look) -> str:
    from scaleaudit.report.junit import to_junit

    return to_junit(report, look.failing, unknown_fails=look.unknown_fails)


def _markdown(report: Report, _: Look) -> str:
    from scaleaudit.report.markdown import to_markdown

    return to_markdown(report)


def _html(report: Report, look: Look) -> str:
    from scaleaudit.report.html.page import to_html

    return to_html(
        report,
        comparison=look.comparison,
        traces=look.traces,
        show_output=look.show_output,
    )


# In the order in which `--help` lists them.
FORMATS: dict[str, Renderer] = {
    "full": _full,
    "concise": _concise,
    "json": _json,
    "sarif": _sarif,
    "github": _github,
    "gitlab": _gitlab,
    "junit": _junit,
    "markdown": _markdown,
    "html": _html,
}
