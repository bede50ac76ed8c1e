"""`diff`: what changed between two reports, or between two revisions of the same paths."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, chdir, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from scaleaudit.cli.flags import SettingsFlags, read_settings, settings_flags
from scaleaudit.cli.manners import colour_flag, columns_of, use_colour, write_out
from scaleaudit.cli.outcomes import EXIT_CLEAN, EXIT_FOUND, failing
from scaleaudit.cli.revisions import Repository, Revision
from scaleaudit.console import Progress, say
from scaleaudit.errors import ConfigError

if TYPE_CHECKING:
    from scaleaudit.config import Config, Settings
    from scaleaudit.domain.comparison import Comparison
    from scaleaudit.domain.report import Report

FORMATS = ("text", "json", "markdown")
_PATHS = "scaleaudit.paths"
_WORKING_TREE = "the working tree"
_TWO = 2  # before and after


class Flags(SettingsFlags):
    """The options of `diff`, by the names that click gives them."""

    shown: str


class _WithPaths(click.Command):
    """A command whose arguments behind ``--`` are paths, whatever they look like."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            split = args.index("--")
            ctx.meta[_PATHS] = tuple(args[split + 1 :])
            args = args[:split]
        return super().parse_args(ctx, args)


@click.command(cls=_WithPaths)
@click.argument("sides", nargs=-1, required=True, metavar="BEFORE [AFTER] [--] [PATH...]")
@click.option(
    "--format",
    "shown",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="What to print.",
)
@settings_flags
@colour_flag
@click.pass_context
def diff(context: click.Context, sides: tuple[str, ...], **flags: Unpack[Flags]) -> int:
    """Say what changed in facts and findings.

    BEFORE and AFTER are two reports in JSON, or two git revisions, and then the paths to audit in
    both; without AFTER a revision is held against the working tree.

    Exit code: 0 nothing new at or above the fail level; 1 a new finding, or a verdict that is no
    longer known; 2 wrong usage.
    """
    settings = read_settings(_whole(flags))
    given: tuple[str, ...] | None = context.meta.get(_PATHS)
    if given is None and _are_reports(sides):
        comparison = _reports(sides[0], sides[1])
    else:
        comparison = _revisions(sides, given, settings)
    write_out(_written(comparison, flags["shown"]))
    return _exit_code(comparison, settings.for_run())


def _whole(flags: Flags) -> Flags:
    """Make paths absolute: revisions are audited in folders of their own."""
    baseline, config = flags["baseline"], flags["config"]
    return {
        **flags,
        "rule_paths": tuple(path.absolute() for path in flags["rule_paths"]),
        "baseline": baseline.absolute() if baseline else None,
        "config": config.absolute() if config else None,
    }


def _are_reports(sides: tuple[str, ...]) -> bool:
    return len(sides) == _TWO and all(_is_report(Path(side)) for side in sides)


def _is_report(side: Path) -> bool:
    """Tell by its name whether somebody means a report; a missing one is complained of as one."""
    return side.suffix == ".json" or (side.is_file() and side.suffix not in {".py", ".pt2"})


def _reports(before: str, after: str) -> Comparison:
    from scaleaudit.cli.reports import read_report
    from scaleaudit.comparing.comparing import compare

    return compare(read_report(Path(before)), read_report(Path(after)), (before, after))


def _revisions(
    sides: tuple[str, ...], given: tuple[str, ...] | None, settings: Settings
) -> Comparison:
    from scaleaudit.comparing.comparing import compare

    repository = Repository(Path.cwd())
    asked = _asked(sides, given, repository)
    before, after = names = str(asked.before), str(asked.after or _WORKING_TREE)
    with _files(repository, asked.before) as old, _files(repository, asked.after) as new:
        for path in asked.paths:
            if not (_has(old, path) or _has(new, path)):
                raise ConfigError(
                    f"{before} has no {path}, nor has {after}",
                    hint="Name files and folders as seen from the working directory.",
                )
        reports = _audited(old, asked, before, settings), _audited(new, asked, after, settings)
    return compare(*reports, names)


def _files(repository: Repository, revision: Revision | None) -> AbstractContextManager[Path]:
    return nullcontext(Path.cwd()) if revision is None else repository.files(revision)


def _has(folder: Path, path: str) -> bool:
    from scaleaudit.sources import split_target

    return Path(split_target(str(folder / path))[0]).exists()


@dataclass(frozen=True, slots=True)
class _Asked:
    """Two revisions, the second None for the working tree, and the paths to audit in both."""

    before: Revision
    after: Revision | None
    paths: tuple[str, ...]


def _asked(sides: tuple[str, ...], given: tuple[str, ...] | None, repository: Repository) -> _Asked:
    """Tell revisions from paths as git does: what is a revision, until something is none."""
    found: list[Revision] = []
    rest = list(sides)
    while rest and len(found) < _TWO:
        revision = repository.find(rest[0])
        if revision is None:
            break
        if given is None and Path(rest[0]).exists():
            raise ConfigError(
                f"{rest[0]} is a revision as well as a path",
                hint="Write -- between revisions and paths.",
            )
        found.append(revision)
        rest.pop(0)
    if not found or (given is not None and rest):
        raise ConfigError(
            f"{rest[0]} is no revision of this repository, and no report in JSON",
            hint="Write scaleaudit diff BEFORE.json AFTER.json, or scaleaudit diff REVISION "
            "[REVISION] -- PATH...",
        )
    paths = given if given is not None else tuple(rest)
    if not paths:
        raise ConfigError("no path to audit", hint="Write -- and the paths behind the revisions.")
    for path in paths:
        if Path(path).is_absolute():
            raise ConfigError(f"{path} is absolute, and would be the same file in both revisions")
    return _Asked(found[0], found[1] if len(found) > 1 else None, paths)


def _audited(
    folder: Path,
    asked: _Asked,
    name: str,
    settings: Settings,
) -> Report:
    """Audit the paths that there are in a folder; one that is not there has no targets."""
    from scaleaudit.api import Options, audit

    progress = Progress(sys.stderr)
    options = Options.of(settings)
    with chdir(folder):
        there = [path for path in asked.paths if _has(folder, path)]
        for path in asked.paths:
            if path not in there:
                say(f"note: {name} has no {path}")
        try:
            return audit(there, options, progress.show)
        finally:
            progress.clear()


def _written(comparison: Comparison, form: str) -> str:
    from scaleaudit.report.comparison import (
        comparison_json,
        comparison_markdown,
        comparison_text,
    )

    match form:
        case "json":
            return comparison_json(comparison)
        case "markdown":
            return comparison_markdown(comparison)
        case _:
            colour, columns = use_colour(sys.stdout), columns_of(sys.stdout)
            return comparison_text(comparison, colour=colour, columns=columns)


def _exit_code(comparison: Comparison, config: Config) -> int:
    from scaleaudit.domain.comparison import FindingStatus
    from scaleaudit.domain.report import OnUnknown, Verdict

    levels = failing(config.fail_level)
    come = (FindingStatus.NEW, FindingStatus.NO_LONGER_ACCEPTED)
    for target in comparison.targets:
        for change in target.findings:
            risen = change.before is not None and change.before.severity not in levels
            counts = change.status in come or (change.status is FindingStatus.CHANGED and risen)
            if counts and change.finding.severity in levels:
                return EXIT_CLEAN if config.exit_zero else EXIT_FOUND
        unknown = target.after is Verdict.UNKNOWN and target.before is not Verdict.UNKNOWN
        if unknown and config.on_unknown is OnUnknown.FAIL and not config.exit_zero:
            return EXIT_FOUND
    return EXIT_CLEAN
