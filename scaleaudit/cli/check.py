"""`check`: audit models, write the report, and say by the exit code how it went."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from scaleaudit.cli.accepting import (
    AcceptanceFlags,
    acceptance_flags,
    baseline_in_use,
    how_to_go_by,
    read_acceptance,
    with_path,
)
from scaleaudit.cli.flags import SettingsFlags, read_settings, settings_flags
from scaleaudit.cli.formats import InUse, parse_outputs
from scaleaudit.cli.manners import colour_flag, columns_of, use_colour, write_out
from scaleaudit.cli.options import NO_CACHE, cache_dir, report_format
from scaleaudit.cli.outcomes import EXIT_CLEAN, EXIT_FOUND, exit_code, failing
from scaleaudit.cli.provenance import this_run, with_provenance
from scaleaudit.cli.stdin import Standin, standing_in
from scaleaudit.console import Progress, say, write_atomically
from scaleaudit.errors import ConfigError
from scaleaudit.report.formats import FORMATS as RENDERERS
from scaleaudit.report.formats import Look

if TYPE_CHECKING:
    from scaleaudit.acceptance import Accepting
    from scaleaudit.api import Options
    from scaleaudit.config import Config, Settings
    from scaleaudit.domain.probing import ProbeRequest
    from scaleaudit.domain.report import Report, Run

_COUNTED = ("full", "concise", "json")


class Flags(SettingsFlags, AcceptanceFlags):
    """The options of `check`, by the names that click gives them."""

    shown: str
    outputs: tuple[str, ...]
    show_output: bool
    skip_non_models: bool
    cache_dir: Path | None
    no_cache: bool
    stdin_filename: str | None
    probe: bool
    checkpoint: Path | None
    statistics: bool
    quiet: bool
    verbose: bool


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
@report_format
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT:FILE",
    help="Write a format to a file as well; may be given again.",
)
@settings_flags
@acceptance_flags
@click.option("--show-output", is_flag=True, help="Show what the models' code printed.")
@click.option(
    "--skip-non-models",
    is_flag=True,
    help="Accept files without a model, as when a hook hands over all changed files.",
)
@cache_dir
@click.option(
    "--no-cache",
    is_flag=True,
    envvar=NO_CACHE,
    help="Audit everything anew and keep nothing.",
)
@click.option(
    "--stdin-filename",
    metavar="FILE",
    help="What the standard input is, where PATH is `-`: its imports and settings are this file's.",
)
@click.option(
    "--probe",
    is_flag=True,
    help="Train every target for a moment as well; `scaleaudit probe` has more to say how.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Measure the states with the weights of a file as well: safetensors, or a state dict.",
)
@click.option("--statistics", is_flag=True, help="Count what each rule finds, in its place.")
@click.option("-q", "--quiet", is_flag=True, help="Print findings and open questions alone.")
@click.option("-v", "--verbose", is_flag=True, help="Tell on stderr what is used and done.")
@colour_flag
def check(paths: tuple[str, ...], **flags: Unpack[Flags]) -> int:
    """Audit the models in files, folders, or one target as file.py::Name.

    PATH may be `-` for the standard input.

    Exit code: 0 nothing found at or above the fail level; 1 something found, or a verdict is
    unknown; 2 wrong usage, or a target that could not be audited.
    """
    paths = with_path(paths, flags)
    if not paths and not flags["skip_non_models"]:  # a hook may have nothing to hand over
        raise click.UsageError("Missing argument 'PATH...'.", click.get_current_context())
    _refuse_contradictions(flags)
    settings = read_settings(flags)
    config = settings.for_run()
    files = parse_outputs(flags["outputs"], _in_use(paths, settings, flags))
    run = this_run((flags["shown"], *(form for form, _ in files)))
    with standing_in(paths, flags["stdin_filename"]) as standin:
        report = _audited(paths, settings, flags, standin, run)
    look = _look(config, flags)
    for form, file in files:
        write_atomically(file, RENDERERS[form](report, look))
    write_out(_shown(report, flags, look))
    code = exit_code(report, config.fail_level, unknown_fails=look.unknown_fails)
    return EXIT_CLEAN if config.exit_zero and code == EXIT_FOUND else code


def _refuse_contradictions(flags: Flags) -> None:
    if flags["quiet"] and flags["verbose"]:
        raise ConfigError("--quiet and --verbose contradict each other")
    if flags["statistics"] and flags["shown"] not in _COUNTED:
        raise ConfigError(
            f"--statistics has no format {flags['shown']}", hint=f"It has {', '.join(_COUNTED)}."
        )


def _in_use(paths: tuple[str, ...], settings: Settings, flags: Flags) -> InUse:
    """Name what the run reads, beside what a walk will meet."""
    if not flags["outputs"]:
        return InUse()
    from scaleaudit.rules.loader import shipped_folder

    source, baseline = settings.source(), baseline_in_use(settings, flags)
    files = {source.place.file: "is the file of settings in use"} if source else {}
    if baseline is not None:
        files[baseline] = "is the baseline in use"
    return InUse(paths, files, (shipped_folder(), *settings.for_run().rule_paths))


def _audited(
    paths: tuple[str, ...],
    settings: Settings,
    flags: Flags,
    standin: Standin | None,
    run: Run | None,
) -> Report:
    """Audit, and tell on stderr what there is to tell beside the report."""
    from scaleaudit.api import audit

    if standin is not None:
        paths, settings = (str(standin.file),), replace(settings, alias=standin.alias)
    start, written, warnings = time.monotonic(), list[str](), list[str]()
    next_step = how_to_go_by(settings, flags)
    settings, accepting = read_acceptance(settings, flags, written.append)
    _refuse_to_write(accepting, standin)
    progress = Progress(sys.stderr, wanted=not flags["quiet"])
    if flags["verbose"]:
        source = settings.source()
        say(f"settings: {source.place.file if source else 'no file'}")
    try:
        options = replace(_options(settings, flags), accepting=accepting)
        report = with_provenance(audit(paths, options, progress.show, warnings.append), run)
    finally:
        progress.clear()
    report = standin.renamed(report) if standin else report
    for warning in warnings if not flags["quiet"] else ():
        say(f"warning: {warning}")
    for sentence in (*written, next_step) if next_step else written:
        say(sentence)
    if flags["verbose"]:
        for target in report.targets:
            say(f"{target.path}::{target.name}: {target.seconds:.1f} s")
        say(f"{len(report.rules)} rules, {time.monotonic() - start:.1f} s")
    return report


def _refuse_to_write(accepting: Accepting, standin: Standin | None) -> None:
    if standin is not None and accepting.add_ignores:
        raise ConfigError("--add-ignores writes to files, and the standard input is none")


def _look(config: Config, flags: Flags) -> Look:
    """Say how a report is shown in a file."""
    from scaleaudit.domain.report import OnUnknown

    return Look(
        failing=failing(config.fail_level),
        show_output=flags["show_output"],
        unknown_fails=config.on_unknown is OnUnknown.FAIL,
        quiet=flags["quiet"],
    )


def _shown(report: Report, flags: Flags, look: Look) -> str:
    """Write what goes to the standard output."""
    if flags["statistics"]:
        from scaleaudit.report.statistics import to_json_statistics, to_statistics

        return to_json_statistics(report) if flags["shown"] == "json" else to_statistics(report)
    colour, columns = use_colour(sys.stdout), columns_of(sys.stdout)
    return RENDERERS[flags["shown"]](report, replace(look, colour=colour, columns=columns))


def _options(settings: Settings, flags: Flags) -> Options:
    from scaleaudit.api import Options
    from scaleaudit.cli.cache import cache_folder

    return Options.of(
        settings,
        skip_non_models=flags["skip_non_models"],
        cache=None if flags["no_cache"] else cache_folder(settings, flags["cache_dir"]),
        probe=_probe(flags, settings),
    )


def _probe(flags: Flags, settings: Settings) -> ProbeRequest | None:
    """Say what is measured of every target beside the audit, if anything."""
    asked = settings.for_run().probe.asked
    if flags["checkpoint"] is None:
        return asked({}) if flags["probe"] else None
    return asked({"train": flags["probe"], "checkpoint": str(flags["checkpoint"])})
