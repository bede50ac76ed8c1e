"""`reference`: the reference models trained by condition and seed, evaluated, and one table of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from scaleaudit.cli.manners import colour_flag, write_out
from scaleaudit.cli.options import text_cache
from scaleaudit.cli.outcomes import EXIT_CLEAN, EXIT_FOUND
from scaleaudit.cli.values import Finite, Named
from scaleaudit.console import Progress, say, write_atomically
from scaleaudit.errors import ConfigError
from scaleaudit.reference.config import SIZES

if TYPE_CHECKING:
    from scaleaudit.domain.reproduction import (
        EvaluationRequest,
        Reproduction,
        RunAnswer,
        RunRequest,
    )

_MOST_SEEDS, _MOST_JOBS, _MOST_STEPS, _A_MONTH = 100, 256, 100_000_000, 43_200.0
_MOST_SEQUENCES = 1_000_000


class Flags(TypedDict):
    """The options of `reference`, by the names that click gives them."""

    size: str
    conditions: str | None
    seeds: int
    steps: int | None
    lr: float | None
    batch: int | None
    accumulate: int
    installed_packages: bool
    dataset: str | None
    dataset_config: str | None
    text_column: str
    minutes: float | None
    jobs: int | None
    device: str
    compiled: bool | None
    sequences: int
    exit_cost: float
    cache: Path | None
    out: Path | None
    runs: tuple[Path, ...]
    quiet: bool


@click.command()
@click.option("--size", type=click.Choice([*SIZES]), default="tiny", show_default=True)
@click.option(
    "--conditions",
    metavar="NAMES",
    help="Train these alone, with commas between.  [default: all eight]",
)
@click.option("--seeds", type=click.IntRange(1, _MOST_SEEDS), default=3, show_default=True)
@click.option(
    "--steps",
    type=click.IntRange(1, _MOST_STEPS),
    help="Steps of training a run.  [default: by the size]",
)
@click.option(
    "--lr",
    type=Finite(min=0, min_open=True),
    help="Learning rate of AdamW.  [default: by the size]",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    help="Sequences a step.  [default: by the size]",
)
@click.option(
    "--accumulate",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Parts of a batch that are computed one after another.",
)
@click.option(
    "--installed-packages",
    is_flag=True,
    help="Train on the sources of installed packages, too, not the standard library's alone.",
)
@click.option(
    "--dataset",
    type=Named(),
    metavar="NAME",
    help="A data set of text, by name, folder or file.  [default: Python's standard library]",
)
@click.option("--dataset-config", type=Named(), metavar="NAME", help="Which configuration of it.")
@click.option("--text-column", type=Named(), default="text", show_default=True, metavar="NAME")
@click.option(
    "--minutes",
    type=Finite(min=0, min_open=True, max=_A_MONTH),
    help="Stop after so long; the same command goes on.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, _MOST_JOBS),
    help="Runs at a time.  [default: one a processor for tiny, else one]",
)
@click.option("--device", default="auto", show_default=True, metavar="NAME")
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=None,
    help="Whether to compile the models.  [default: on CUDA]",
)
@click.option(
    "--sequences",
    type=click.IntRange(2, _MOST_SEQUENCES),
    default=256,
    show_default=True,
    help="Sequences of held-out text to evaluate on.",
)
@click.option(
    "--exit-cost",
    type=Finite(min=0, max=1),
    default=0.02,
    show_default=True,
    help="Share of perplexity that early exits may cost.",
)
@text_cache
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where runs and tables are kept.  [default: reference-SIZE; with --from nowhere]",
)
@click.option(
    "--from",
    "runs",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="RUN",
    help="Train nothing: evaluate this run, all runs in this folder, or this checkpoint.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@colour_flag
def reference(**flags: Unpack[Flags]) -> int:
    """Train the reference models, evaluate them, and print one table of all.

    Every condition is trained with every seed. What is done is kept in --out, and the same command
    goes on with what is not. The table, there as reproduction.md, .json and .svg, stands beside what
    the paper says.

    Exit code: 0 all runs are done and blind conditions lie apart from controlled ones; 1 not so;
    2 wrong usage.
    """
    from scaleaudit.report.reproduction import to_markdown

    requests = _named(flags) if flags["runs"] else _asked(flags)
    found = _reproduced(requests, flags)
    folder = flags["out"] if flags["runs"] else _out(flags)
    if folder is not None:
        _write(found, folder)
    write_out(to_markdown(found))
    whole = not found.missing and all(claim.holds is not False for claim in found.separation)
    return EXIT_CLEAN if whole else EXIT_FOUND


def _out(flags: Flags) -> Path:
    return flags["out"] or Path(f"reference-{flags['size']}")


def _asked(flags: Flags) -> list[RunRequest]:
    """Return a run for every condition and seed."""
    from scaleaudit.domain.reproduction import CampaignRequest
    from scaleaudit.domain.training import Text
    from scaleaudit.reference.campaign import campaign

    text = Text(
        packages=flags["installed_packages"],
        dataset=flags["dataset"],
        config=flags["dataset_config"],
        column=flags["text_column"],
    )
    asked = CampaignRequest(
        size=flags["size"],
        seeds=flags["seeds"],
        out=str(_out(flags)),
        evaluation=_evaluation(flags),
        steps=flags["steps"],
        lr=flags["lr"],
        batch=flags["batch"],
        accumulate=flags["accumulate"],
        text=text,
        threads=_threads(flags),
        compile=flags["compiled"],
    )
    return [*campaign(asked, _conditions(flags["conditions"]))]


def _conditions(given: str | None) -> tuple[str, ...]:
    """Return conditions by their names, in the order of the table."""
    from scaleaudit.cli.train import condition_of
    from scaleaudit.reference.config import CONDITIONS

    names = {condition_of(name.strip()) for name in (given or "").split(",") if name.strip()}
    if given is not None and not names:
        raise ConfigError("--conditions names none", hint="Leave it out to train all eight.")
    return tuple(name for name in CONDITIONS if name in names or not names)


def _named(flags: Flags) -> list[RunRequest]:
    """Return the runs that are named, and those in folders that are."""
    from scaleaudit.domain.reproduction import RunRequest
    from scaleaudit.reference.campaign import runs_in

    places = dict.fromkeys(place for given in flags["runs"] for place in runs_in(given))
    if not places:
        raise ConfigError(
            f"--from {flags['runs'][0]}: there is no run in it",
            hint="The folder of a run holds a checkpoint.safetensors.",
        )
    evaluation, threads = _evaluation(flags), _threads(flags)
    return [RunRequest(str(place), str(place), evaluation, threads=threads) for place in places]


def _evaluation(flags: Flags) -> EvaluationRequest:
    from scaleaudit.domain.reproduction import EvaluationRequest

    return EvaluationRequest(
        sequences=flags["sequences"],
        target=1 + flags["exit_cost"],
        device=flags["device"],
        cache=None if flags["cache"] is None else str(flags["cache"]),
    )


def _jobs(flags: Flags) -> int:
    one_each = flags["size"] == "tiny" and not flags["runs"]
    return flags["jobs"] or (os.cpu_count() or 1 if one_each else 1)


def _threads(flags: Flags) -> int:
    return max(1, (os.cpu_count() or 1) // _jobs(flags))


def _reproduced(requests: list[RunRequest], flags: Flags) -> Reproduction:
    from scaleaudit.reproducing import reproduced

    progress = Progress(sys.stderr, wanted=not flags["quiet"])

    def hear(request: RunRequest, answer: RunAnswer, seconds: float) -> None:
        progress.clear()
        if not flags["quiet"]:
            say(_told(request, answer, seconds))

    try:
        return reproduced(requests, _jobs(flags), progress.show, hear, flags["minutes"])
    finally:
        progress.clear()


def _told(request: RunRequest, answer: RunAnswer, seconds: float) -> str:
    from scaleaudit.domain.reproduction import figure

    if answer.overflowed is not None:
        found = answer.overflowed
        return f"{request.name}: no number at step {found.step:,}; length {found.before}"
    if answer.run is None:
        return f"{request.name}: not done: {answer.why}"
    end = answer.run.evaluation.trained
    return (
        f"{request.name}: length {figure(end.lengths.mean)}, perplexity "
        f"{figure(end.perplexity)}, {seconds:.0f} s"
    )


def _write(found: Reproduction, folder: Path) -> None:
    from scaleaudit.report.reproduction import to_json, to_markdown
    from scaleaudit.report.reproduction_charts import to_svg

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {folder}: {error.strerror}") from error
    texts = {"md": to_markdown(found), "json": to_json(found), "svg": to_svg(found)}
    for ending, text in texts.items():
        write_atomically(folder / f"reproduction.{ending}", text)
    say(f"wrote {folder / 'reproduction.md'}, .json and .svg")
