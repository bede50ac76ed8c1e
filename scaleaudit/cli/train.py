"""`train`: one reference model, in this process's place."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from scaleaudit.cli.options import text_cache
from scaleaudit.cli.values import Finite, Named
from scaleaudit.errors import ConfigError
from scaleaudit.ranks import let_the_first_speak
from scaleaudit.reference.config import CONDITIONS, SIZES

if TYPE_CHECKING:
    from scaleaudit.domain.training import Text, TrainingPlan, TrainingRequest

_MOST_STEPS, _A_MONTH = 100_000_000, 43_200.0
_SEEDS = 2**31
# The flags that are fields of a plan as they are.
_PLAIN = (
    "size", "seed", "turns", "lr", "weight_decay", "clip", "batch", "accumulate", "stride", "every",
)  # fmt: skip
_TEXT = {
    "packages": "installed_packages",
    "dataset": "dataset",
    "config": "dataset_config",
    "column": "text_column",
}


class Flags(TypedDict):
    """The options of `train`, by the names that click gives them; None for the recipe's."""

    condition: str | None
    size: str | None
    out: Path
    seed: int | None
    turns: int | None
    steps: int | None
    minutes: float | None
    lr: float | None
    weight_decay: float | None
    clip: float | None
    batch: int | None
    accumulate: int | None
    stride: int | None
    every: int | None
    save_every: int | None
    encoding: str | None
    precision: str | None
    installed_packages: bool | None
    dataset: str | None
    dataset_config: str | None
    text_column: str | None
    device: str
    compiled: bool | None
    fsdp: bool
    tensorboard: bool | None
    cache: Path | None
    resume: bool
    prepare: bool
    quiet: bool


_COUNT = click.IntRange(1, _MOST_STEPS)
_POSITIVE = Finite(min=0, min_open=True)


@click.command()
@click.option(
    "--condition",
    metavar="NAME",
    help="What is trained: terminal or per-loop with -rmsnorm, -raw or -penalty, "
    "per-loop-final-norm, norm-between.",
)
@click.option("--size", type=click.Choice(tuple(SIZES)), help="How large it is.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    required=True,
    help="The folder of the run.",
)
@click.option(
    "--seed", type=click.IntRange(0, _SEEDS), help="Draws weights and order.  [default: 0]"
)
@click.option("--steps", type=_COUNT, help="Where it ends.  [default: by the size]")
@click.option(
    "--minutes",
    type=Finite(min=0, min_open=True, max=_A_MONTH),
    help="End after so long, too.",
)
@click.option("--resume", is_flag=True, help="Let the run in --out go on where it was saved.")
@click.option(
    "--save-every",
    type=_COUNT,
    metavar="STEPS",
    help="Steps between two checkpoints.  [default: 500]",
)
@click.option(
    "--log-every", "every", type=_COUNT, metavar="STEPS", help="Steps between two lines of metrics."
)
@click.option("--lr", type=_POSITIVE, help="Learning rate of AdamW.  [default: by the size]")
@click.option("--weight-decay", type=Finite(min=0), help="[default: 0.01]")
@click.option("--clip", type=_POSITIVE, help="Norm that gradients are clipped to.  [default: 1]")
@click.option(
    "--batch", type=_COUNT, help="Sequences a step, of all processes.  [default: by the size]"
)
@click.option(
    "--accumulate",
    type=_COUNT,
    metavar="PARTS",
    help="Compute a batch in so many parts.  [default: 1]",
)
@click.option("--turns", type=click.IntRange(1, 64), help="Turns of the loop.  [default: 4]")
@click.option(
    "--stride",
    type=_COUNT,
    metavar="TOKENS",
    help="From one sequence of the text to the next.  [default: half a sequence]",
)
@click.option(
    "--encoding",
    type=click.Choice(["bytes", "bpe"]),
    help="What tokens are.  [default: bytes for tiny, else byte pairs learnt from the text]",
)
@click.option(
    "--dtype",
    "precision",
    type=click.Choice(["float32", "bfloat16"]),
    help="What products are computed in.  [default: bfloat16 on CUDA]",
)
@click.option(
    "--installed-packages",
    is_flag=True,
    default=None,
    help="Train on the sources of installed packages, too, not the standard library's alone.",
)
@click.option(
    "--dataset", type=Named(), metavar="NAME", help="Train on a data set, by name, folder or file."
)
@click.option("--dataset-config", type=Named(), metavar="NAME", help="Which configuration of it.")
@click.option(
    "--text-column", type=Named(), metavar="NAME", help="Which column of it.  [default: text]"
)
@click.option("--device", default="auto", show_default=True, metavar="NAME")
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=None,
    help="Whether to compile the model.  [default: on CUDA]",
)
@click.option("--fsdp", is_flag=True, help="Divide the weights among the processes of torchrun.")
@click.option(
    "--tensorboard/--no-tensorboard",
    default=None,
    help="Whether to write for TensorBoard.  [default: where it is installed]",
)
@text_cache
@click.option("--prepare", is_flag=True, help="Prepare the text, and train nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def train(**flags: Unpack[Flags]) -> int:
    """Train one of the bundled reference models.

    The folder --out gets the model (checkpoint.safetensors), what a training goes on from
    (state.safetensors), metrics.jsonl, traces.jsonl in the form of a probe's, and what TensorBoard
    reads. Ctrl-C ends after the step and saves.

    Exit code: 0 done, or the time was up; 1 the loss is no number any more; 2 wrong usage; 130
    stopped by Ctrl-C and saved, 143 by SIGTERM.
    """
    try:
        request = request_of(flags)
    except ConfigError:
        let_the_first_speak()
        raise
    return become(request)


def request_of(flags: Flags) -> TrainingRequest:
    """Return the training that flags ask for.

    Raises:
        ConfigError: They ask for none, or for another one than the folder holds.
    """
    from scaleaudit.domain.training import SAVE_EVERY, TrainingRequest
    from scaleaudit.reference.runs import Folder

    plan, folder = plan_of(flags), Folder(flags["out"])
    if not flags["prepare"]:
        folder.check(plan, resume=flags["resume"])
    steps, save_every = flags["steps"], flags["save_every"]
    if flags["resume"] and (card := folder.card()) is not None:
        steps, save_every = steps or card.steps, save_every or card.save_every
    return TrainingRequest(
        plan=plan,
        out=str(flags["out"]),
        steps=steps,
        minutes=flags["minutes"],
        save_every=save_every or SAVE_EVERY,
        resume=flags["resume"],
        device=flags["device"],
        compile=flags["compiled"],
        fsdp=flags["fsdp"],
        cache=None if flags["cache"] is None else str(flags["cache"]),
        tensorboard=flags["tensorboard"],
        quiet=flags["quiet"],
        prepare=flags["prepare"],
    )


def plan_of(flags: Flags) -> TrainingPlan:
    """Return what flags say of a plan, over that of the run that goes on, or over the recipe."""
    from scaleaudit.domain.training import Encoding, Precision
    from scaleaudit.reference.runs import Folder

    given: dict[str, object] = {
        name: value for name in _PLAIN if (value := flags.get(name)) is not None
    }
    if flags["condition"] is not None:
        given["condition"] = condition_of(flags["condition"])
    if flags["encoding"] is not None:
        given["encoding"] = Encoding(flags["encoding"])
    if flags["precision"] is not None:
        given["precision"] = Precision(flags["precision"])
    card = Folder(flags["out"]).card() if flags["resume"] else None
    base = card.plan if card is not None else _recipe(given)
    return replace(base, **given, text=_text(flags, base.text))  # type: ignore[arg-type]


def _recipe(given: Mapping[str, object]) -> TrainingPlan:
    """Return the plan of a condition and a size that flags say nothing else of."""
    from scaleaudit.reference.recipes import plan_by_recipe

    missing = [f"--{name}" for name in ("condition", "size") if name not in given]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} must be given to begin a training",
            hint=f"Conditions: {_listed()}. Sizes: {', '.join(SIZES)}.",
        )
    return plan_by_recipe(str(given["condition"]), str(given["size"]))


def _text(flags: Flags, base: Text) -> Text:
    given = {name: value for name, flag in _TEXT.items() if (value := flags.get(flag)) is not None}
    return replace(base, **given)  # type: ignore[arg-type]


def condition_of(name: str) -> str:
    """Return a condition as the package calls it; hyphens may stand for underscores.

    Raises:
        ConfigError: There is none.
    """
    found = name.lower().replace("-", "_")
    if found in CONDITIONS:
        return found
    near = difflib.get_close_matches(found, CONDITIONS, n=1)
    meant = f" Did you mean {near[0].replace('_', '-')}?" if near else ""
    raise ConfigError(f"there is no condition {name!r}", hint=f"There are {_listed()}.{meant}")


def _listed() -> str:
    return ", ".join(name.replace("_", "-") for name in CONDITIONS)


def become(request: TrainingRequest) -> int:
    """Let the training have this process: signals, output and exit code are its own.

    This process has loaded no torch, and what trains loads nothing from the working directory.
    """
    import msgspec

    text = msgspec.json.encode(request).decode()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "scaleaudit.training", text])  # noqa: S606
