"""A report as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scaleaudit.domain.comparison import Comparison
from scaleaudit.domain.report import Report, Run
from scaleaudit.domain.traced import Traced
from scaleaudit.report.comparison import change_name, closing_of, told, verdicts_text
from scaleaudit.report.embedding import embedded
from scaleaudit.report.html import drawing, palette
from scaleaudit.report.html.headline import headline
from scaleaudit.report.html.listing import Listing
from scaleaudit.report.html.plots import StatePlots, plots_of_traces
from scaleaudit.report.html.rules import rule_page
from scaleaudit.report.html.text import LONG_NAME, clipped, drawn, name, prose, shown
from scaleaudit.report.html.views import TargetView, rule_views, target_views
from scaleaudit.report.html.wording import FILTERS, opening
from scaleaudit.report.quoting import quotes
from scaleaudit.report.structure import report_document
from scaleaudit.report.summaries import closing_text, verdict_text

_TEMPLATES = "templates"


def to_html(
    report: Report,
    *,
    comparison: Comparison | None = None,
    traces: tuple[Traced, ...] = (),
    show_output: bool = False,
) -> str:
    """Write a report as a page.

    Args:
        report: The finished audit.
        comparison: What changed since another one.
        traces: Training that was kept, to be plotted beside.
        show_output: Whether to show what the models' code printed.
    """
    listing = Listing(quotes(report))
    targets, rules = target_views(report, listing.href), rule_views(report)
    trained = tuple(_trained(traces))
    page = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            report=report,
            headline=opening(headline(report)),
            closing=closing_text(report),
            targets=targets,
            rules=rules,
            rule_anchors={rule.code: rule.anchor for rule in rules},
            verdicts={verdict_text(target) for target in report.targets},
            listing=listing,
            comparison=comparison,
            trained=trained,
            command=_command(report.run),
            show_output=show_output,
            results=Markup(embedded(report_document(report))),  # noqa: S704  # escaped there
            style=_Part("".join(_styles(targets, plotted=bool(trained)))),
            script=_Part(_text("script.js")),
        )
    )
    return page.encode("utf-8", "replace").decode() + "\n"


def _styles(targets: tuple[TargetView, ...], *, plotted: bool) -> Iterator[str]:
    """Yield the style sheets that the page needs."""
    states = [state for view in targets for state in view.states]
    yield _text("style.css")
    if any(state.picture for state in states):
        yield drawing.style_sheet()
    if plotted or any(probed.plots for view in targets for probed in view.probed):
        yield palette.style_sheet()


def _trained(traces: tuple[Traced, ...]) -> Iterator[tuple[str, tuple[StatePlots, ...]]]:
    """Yield what was trained, with its plots."""
    for number, traced in enumerate(traces, 1):
        called = f"{traced.path}::{traced.name}" if traced.name else traced.path
        yield called, plots_of_traces(traced.runs, f"trace{number}")


def _command(run: Run | None) -> str:
    return shlex.join(run.command) if run is not None else ""


class _Part:
    """A style sheet or a script, and the hash by which the page allows it and nothing else."""

    def __init__(self, text: str) -> None:
        self.text = Markup(text)  # noqa: S704  # a file of this package
        digest = hashlib.sha256(text.encode()).digest()
        self.hash = f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _text(file: str) -> str:
    folder = files("scaleaudit.report.html").joinpath(_TEMPLATES)
    return folder.joinpath(file).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("scaleaudit.report.html", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.filters.update(drawn=drawn, name=name, prose=prose, clipped=clipped, rule_page=rule_page)
    made.globals.update(
        long_name=LONG_NAME,
        told=told,
        verdicts_text=verdicts_text,
        closing_of=closing_of,
        change_name=change_name,
    )
    return made
