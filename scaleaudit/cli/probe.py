"""`probe`: train targets for a moment beside twins with a fix, and say whether their states grow."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from scaleaudit.cli.flags import SettingsFlags, read_settings, settings_flags
from scaleaudit.cli.manners import colour_flag, columns_of, use_colour, write_out
from scaleaudit.cli.options import report_format
from scaleaudit.cli.outcomes import EXIT_CLEAN, EXIT_FOUND, EXIT_USAGE, exit_code, failing
from scaleaudit.cli.provenance import this_run, with_provenance
from scaleaudit.cli.values import Finite
from scaleaudit.console import Progress, say, write_atomically
from scaleaudit.errors import ScaleAuditError
from scaleaudit.ranks import is_first
from scaleaudit.report.formats import FORMATS as RENDERERS
from scaleaudit.report.formats import Look

if TYPE_CHECKING:
    from scaleaudit.config import Settings
    from scaleaudit.domain.probing import ProbeRequest
    from scaleaudit.domain.report import Report, TargetReport

# The rules that a probe is asked for; that a target could not be audited is always told.
_RULES = ("SCL4",)
_DTYPES = ("float32", "bfloat16", "float16")
_MOST_STEPS, _MOST_SEEDS, _A_WEEK = 1_000_000, 100, 604_800


class Flags(SettingsFlags):
    """The options of `probe`, by the names that click gives them."""

    device: str | None
    steps: int | None
    seeds: int | None
    lr: float | None
    batches: str | None
    dtype: str | None
    budget: float | None
    no_train: bool
    checkpoint: Path | None
    shown: str
    save: Path | None
    quiet: bool


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...", required=True)
@click.option("--device", metavar="NAME", help="auto, cpu, cuda or mps.  [default: auto]")
@click.option(
    "--steps",
    type=click.IntRange(1, _MOST_STEPS),
    help="Steps of training a run.  [default: 100]",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, _MOST_SEEDS),
    help="The most seeds; fewer are run where they make it clear.  [default: 3]",
)
@click.option(
    "--lr",
    type=Finite(min=0, min_open=True),
    help="Learning rate of AdamW.  [default: by the width of the state]",
)
@click.option(
    "--batches",
    type=click.Choice(["own", "made"]),
    help="Train on the target's own batches where it has any, or on made-up ones.  [default: own]",
)
@click.option(
    "--dtype",
    type=click.Choice(_DTYPES),
    help="What matrix products are computed in.  [default: float32]",
)
@click.option(
    "--budget",
    type=Finite(min=0, min_open=True, max=_A_WEEK),
    metavar="SECONDS",
    help="How long the training of a target may take.  [default: 120]",
)
@click.option("--no-train", is_flag=True, help="Measure what needs no training.")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the weights from a file: safetensors, or a state dict of torch.save.",
)
@report_format
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep what every run went through in this folder, as JSON lines.",
)
@settings_flags
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@colour_flag
def probe(paths: tuple[str, ...], **flags: Unpack[Flags]) -> int:
    """Train models for a moment and say whether their states grow: confirmed or refuted.

    PATH is a file, a folder, or one target as file.py::Name. Each is trained beside twins, the
    same model with a fix put on, on the same batches. A state that the loss does not see and that
    grows where the twin stays is confirmed.

    Exit code: 0 all refuted; 1 something confirmed, or inconclusive (unless --on-unknown warn);
    2 wrong usage, or a target that could not be audited.
    """
    if is_first():
        return _answered(paths, flags)
    try:
        _probed(paths, _settings(flags), {**flags, "quiet": True})
    except ScaleAuditError:
        return EXIT_USAGE  # the first process says why
    return EXIT_CLEAN


def _settings(flags: Flags) -> Settings:
    settings = read_settings(flags)
    if flags["select"] or flags["extend_select"]:
        return settings
    return settings.with_flags({"select": _RULES})


def _answered(paths: tuple[str, ...], flags: Flags) -> int:
    """Probe, write the report, and return the exit code."""
    from scaleaudit.domain.report import OnUnknown

    settings = _settings(flags)
    config = settings.for_run()
    if flags["save"] is not None:
        _make(flags["save"])
    run = this_run((flags["shown"],))
    report = with_provenance(_as_probed(_probed(paths, settings, flags)), run)
    if flags["save"] is not None:
        _keep(report, flags["save"])
    look = Look(failing=failing(config.fail_level))
    colour, columns = use_colour(sys.stdout), columns_of(sys.stdout)
    render = RENDERERS[flags["shown"]]
    write_out(render(report, replace(look, colour=colour, columns=columns)))
    unknown_fails = config.on_unknown is OnUnknown.FAIL
    code = exit_code(report, config.fail_level, unknown_fails=unknown_fails)
    return EXIT_CLEAN if config.exit_zero and code == EXIT_FOUND else code


def _probed(paths: tuple[str, ...], settings: Settings, flags: Flags) -> Report:
    from scaleaudit.api import Options, audit
    from scaleaudit.cli.cache import cache_folder

    progress, warnings = Progress(sys.stderr, wanted=not flags["quiet"]), list[str]()
    options = Options.of(
        settings, cache=cache_folder(settings, None), probe=_request(settings, flags)
    )
    try:
        report = audit(paths, options, progress.show, warnings.append)
    finally:
        progress.clear()
    for warning in warnings if is_first() else ():
        say(f"warning: {warning}")
    return report


def _request(settings: Settings, flags: Flags) -> ProbeRequest:
    """Say what is to be done: by flags, then by the project's settings, then as ever."""
    from scaleaudit.domain.probing import Batches

    batches, checkpoint = flags["batches"], flags["checkpoint"]
    asked = {
        "device": flags["device"],
        "steps": flags["steps"],
        "seeds": flags["seeds"],
        "lr": flags["lr"],
        "dtype": flags["dtype"],
        "budget": flags["budget"],
        "batches": None if batches is None else Batches(batches),
        "checkpoint": None if checkpoint is None else str(checkpoint),
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return settings.for_run().probe.asked({**given, "train": not flags["no_train"]})


def _as_probed(report: Report) -> Report:
    """Call a target unknown that the probe left open: its rules alone do not speak for it."""
    return replace(report, targets=tuple(map(_settled, report.targets)))


def _settled(target: TargetReport) -> TargetReport:
    from scaleaudit.domain.facts import ProbeVerdict
    from scaleaudit.domain.report import Verdict

    facts = target.facts
    if facts is None or not facts.loops or target.verdict is Verdict.FAIL:
        return target
    if facts.probe is not None and facts.probe.verdict is not ProbeVerdict.INCONCLUSIVE:
        return target
    return replace(
        target, verdict=Verdict.UNKNOWN, undecided=(*target.undecided, "the probe is inconclusive")
    )


def _make(folder: Path) -> None:
    from scaleaudit.errors import ConfigError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--save {folder}: {error.strerror}") from error


def _keep(report: Report, folder: Path) -> None:
    """Write a file for every target: a line for the outcome, and one for every run."""
    from scaleaudit.report.traces import file_name, to_json_lines

    taken: set[str] = set()
    for target in report.targets:
        if target.facts is not None and target.facts.probe is not None:
            name = file_name(target, taken)
            write_atomically(folder / name, to_json_lines(target))
            say(f"kept {folder / name}")
