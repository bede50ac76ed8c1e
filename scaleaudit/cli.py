"""The command line: reads what the user wants, calls the audit, writes, and chooses the exit code.

Nothing heavy is imported before a command runs, and torch never is: `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

import scaleaudit
from scaleaudit.console import (
    Progress,
    complain,
    confess,
    forgive_characters,
    say,
    wants_colour,
    write_atomically,
)
from scaleaudit.errors import ConfigError, ScaleAuditError

if TYPE_CHECKING:
    from scaleaudit.config import Config
    from scaleaudit.domain.finding import Severity
    from scaleaudit.domain.report import Report
    from scaleaudit.isolation.jobs import Limits

FORMATS = ("full", "concise", "json")
LEVELS = ("error", "warning", "note")
EXIT_CLEAN, EXIT_FOUND, EXIT_USAGE = 0, 1, 2
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
# A week, and more memory than any machine has: larger numbers are slips.
_MOST_SECONDS, _MOST_GIB = 604_800, 65_536
# 128 + SIGINT, as shells have it.
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; whatever happens, the user sees no traceback."""
    forgive_characters()
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        return commands.main(arguments, prog_name="scaleaudit", standalone_mode=False) or 0
    except ScaleAuditError as error:
        complain(error)
    except click.ClickException as error:
        error.show()
    except (KeyboardInterrupt, click.Abort):
        say("stopped")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`): nothing is left to say, nor anywhere to say it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FOUND
    except Exception:  # noqa: BLE001  # the last resort
        confess()
    return EXIT_USAGE


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(scaleaudit.__version__, prog_name="scaleaudit")
def commands() -> None:
    """Audit looped models for recurrent states whose scale no loss polices."""


@commands.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--format",
    "shown",
    type=click.Choice(FORMATS),
    default="full",
    show_default=True,
    help="What to print.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT:FILE",
    help="Write a format to a file as well; may be given again.",
)
@click.option(
    "--select",
    multiple=True,
    metavar="CODES",
    help="Apply these rules alone: codes or prefixes, with commas between.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="CODES",
    help="Leave these rules out: codes or prefixes, with commas between.",
)
@click.option(
    "--fail-level",
    type=click.Choice(LEVELS),
    help="Least severity that makes the exit code 1.  [default: error]",
)
@click.option(
    "--on-unknown",
    type=click.Choice(["fail", "warn"]),
    help="Whether an undecided target makes the exit code 1.  [default: fail]",
)
@click.option(
    "--rules",
    "rule_paths",
    multiple=True,
    metavar="DIR",
    type=_FOLDER,
    help="Folder with more rule pages; may be given again.",
)
@click.option(
    "--certify/--no-certify",
    default=None,
    help="Hold the facts against numbers for models of any size, or of none."
    "  [default: where that takes a moment]",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Targets at a time.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=_MOST_SECONDS),
    metavar="SECONDS",
    help="Time limit for a target, all attempts at it together.  [default: 120]",
)
@click.option(
    "--memory-limit",
    type=click.FloatRange(min=0, min_open=True, max=_MOST_GIB),
    metavar="GIB",
    help="Memory limit for a target.  [default: 8]",
)
@click.option("--show-output", is_flag=True, help="Show what the models' code printed.")
@click.option(
    "--skip-non-models",
    is_flag=True,
    help="Accept files without a model, as when a hook hands over all changed files.",
)
def check(  # noqa: PLR0913, PLR0917  # one parameter an option
    paths: tuple[str, ...],
    shown: str,
    outputs: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_level: str | None,
    on_unknown: str | None,
    rule_paths: tuple[Path, ...],
    certify: bool | None,  # a flag
    jobs: int | None,
    timeout: float | None,
    memory_limit: float | None,
    show_output: bool,
    skip_non_models: bool,
) -> int:
    """Audit the models in files, folders, or one target as file.py::Name.

    Exit code: 0 nothing found at or above the fail level; 1 something found, or a verdict is
    unknown; 2 wrong usage, or a target that could not be audited.
    """
    from scaleaudit.isolation.workers import start_workers

    files = _parse_outputs(outputs)
    with closing(start_workers()) as workers:  # torch loads while we read on
        from scaleaudit.api import Options, audit
        from scaleaudit.config import load_config
        from scaleaudit.domain.report import OnUnknown

        config = _overridden(load_config(Path.cwd()), select, ignore, fail_level, on_unknown)
        options = Options(
            select=config.select,
            ignore=config.ignore,
            rule_paths=(*config.rule_paths, *rule_paths),
            limits=_limits(timeout, memory_limit, certify=certify),
            jobs=jobs or 0,
            skip_non_models=skip_non_models,
        )
        progress = Progress(sys.stderr)
        try:
            report = audit(paths, options, workers, progress.show)
        finally:
            progress.clear()
    for form, file in files:
        write_atomically(file, render(report, form, colour=False, show_output=show_output))
    click.echo(
        render(report, shown, colour=wants_colour(sys.stdout), show_output=show_output),
        nl=False,
        color=True,
    )
    return exit_code(report, config.fail_level, unknown_fails=config.on_unknown is OnUnknown.FAIL)


@commands.command()
@click.argument("code")
@click.option(
    "--rules",
    "rule_paths",
    multiple=True,
    metavar="DIR",
    type=_FOLDER,
    help="Folder with more rule pages; may be given again.",
)
def rule(code: str, rule_paths: tuple[Path, ...]) -> None:
    """Print the page of a rule."""
    from scaleaudit.config import did_you_mean
    from scaleaudit.rules.loader import load_rules

    pages = {found.code: found.page for found in load_rules(rule_paths)}
    page = pages.get(code.upper())
    if page is None:
        raise ConfigError(
            f"no rule has the code {code!r}{did_you_mean(code.upper(), pages)}",
            hint="List the rules with `scaleaudit rules`.",
        )
    if not wants_colour(sys.stdout):
        click.echo(page, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(force_terminal=True).print(Markdown(page))


@commands.command()
@click.option(
    "--rules",
    "rule_paths",
    multiple=True,
    metavar="DIR",
    type=_FOLDER,
    help="Folder with more rule pages; may be given again.",
)
def rules(rule_paths: tuple[Path, ...]) -> None:
    """List the rules."""
    from scaleaudit.rules.loader import load_rules

    found = load_rules(rule_paths)
    width = max(len(rule.name) for rule in found)
    for rule in found:
        click.echo(f"{rule.code}  {rule.severity.value:<7}  {rule.name:<{width}}  {rule.summary}")


def render(report: Report, form: str, *, colour: bool, show_output: bool) -> str:
    """Write a report in one of FORMATS."""
    if form == "json":
        from scaleaudit.report.structure import to_json

        return to_json(report)
    from scaleaudit.report.text import Detail, to_text

    return to_text(report, Detail(form), colour=colour, show_output=show_output)


def exit_code(report: Report, fail_level: Severity, *, unknown_fails: bool) -> int:
    """Choose the exit code of a report: 2 outranks 1, and 1 outranks 0."""
    from scaleaudit.domain.finding import Severity
    from scaleaudit.domain.report import Verdict

    # Severities are declared from the gravest to the least.
    failing = tuple(Severity)[: tuple(Severity).index(fail_level) + 1]
    if any(target.facts is None for target in report.targets):
        return EXIT_USAGE
    found = any(f.severity in failing for target in report.targets for f in target.findings)
    unknown = any(target.verdict is Verdict.UNKNOWN for target in report.targets)
    return EXIT_FOUND if found or (unknown and unknown_fails) else EXIT_CLEAN


def _parse_outputs(outputs: tuple[str, ...]) -> list[tuple[str, Path]]:
    parsed: list[tuple[str, Path]] = []
    for text in outputs:
        form, colon, file = text.partition(":")
        if form not in FORMATS or not colon or not file:
            raise ConfigError(
                f"--output takes FORMAT:FILE with a format of {', '.join(FORMATS)}, not {text!r}",
                hint="Write --output json:report.json.",
            )
        if not Path(file).parent.is_dir():
            raise ConfigError(f"--output {text}: no such folder: {Path(file).parent}")
        parsed.append((form, Path(file)))
    return parsed


def _overridden(
    config: Config,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_level: str | None,
    on_unknown: str | None,
) -> Config:
    from scaleaudit.api import ALWAYS_REPORTED
    from scaleaudit.config import Config
    from scaleaudit.domain.finding import Severity
    from scaleaudit.domain.report import OnUnknown

    chosen = Config(
        select=_codes(select) or config.select,
        ignore=_codes(ignore) or config.ignore,
        fail_level=Severity(fail_level) if fail_level else config.fail_level,
        on_unknown=OnUnknown(on_unknown) if on_unknown else config.on_unknown,
        rule_paths=config.rule_paths,
    )
    for code in sorted(set(chosen.ignore) & set(ALWAYS_REPORTED)):
        say(f"warning: {code} cannot be ignored: without an audit there is no verdict")
    return chosen


def _codes(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        code.strip().upper() for text in values for code in text.split(",") if code.strip()
    )


def _limits(timeout: float | None, memory_limit: float | None, *, certify: bool | None) -> Limits:
    from scaleaudit.domain.attempts import Certify
    from scaleaudit.isolation.jobs import DEFAULT_LIMITS, Limits

    asked = {None: Certify.SMALL, True: Certify.ANY, False: Certify.NEVER}
    return Limits(
        certify=asked[certify],
        seconds=timeout or DEFAULT_LIMITS.seconds,
        memory=int(memory_limit * 2**30) if memory_limit else DEFAULT_LIMITS.memory,
    )
