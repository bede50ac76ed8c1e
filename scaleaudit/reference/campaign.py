"""The runs of a table: every condition with every seed, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from scaleaudit.domain.reproduction import CampaignRequest, RunRequest
from scaleaudit.domain.training import TrainingPlan, TrainingRequest
from scaleaudit.reference.recipes import plan_by_recipe
from scaleaudit.reference.runs import Folder


def campaign(asked: CampaignRequest, conditions: Sequence[str]) -> Iterator[RunRequest]:
    """Yield the runs that are asked for, all conditions with one seed before the next seed.

    Where time runs out the conditions can be compared all the same.
    """
    for seed in range(asked.seeds):
        for condition in conditions:
            folder = Folder(Path(asked.out) / f"{condition}-{seed}")
            training = TrainingRequest(
                plan=_plan(asked, condition, seed),
                out=str(folder.path),
                steps=asked.steps,
                resume=folder.config.exists(),
                device=asked.evaluation.device,
                compile=asked.compile,
                cache=asked.evaluation.cache,
                tensorboard=False,
            )
            name = f"{condition}, seed {seed}"
            yield RunRequest(str(folder.path), name, asked.evaluation, training, asked.threads)


def _plan(asked: CampaignRequest, condition: str, seed: int) -> TrainingPlan:
    """Train as the recipe of the size says, but for what is asked otherwise."""
    plan = plan_by_recipe(condition, asked.size, seed)
    return replace(
        plan,
        lr=plan.lr if asked.lr is None else asked.lr,
        batch=plan.batch if asked.batch is None else asked.batch,
        accumulate=asked.accumulate,
        text=asked.text,
    )


def runs_in(place: Path) -> list[Path]:
    """Return the runs that a path stands for: a checkpoint, a run, or a folder of runs."""
    if place.is_file() or _is_run(place):
        return [place]
    return sorted(filter(_is_run, place.iterdir()))


def _is_run(place: Path) -> bool:
    """Tell whether a training left a model in a folder, or what it went through before none."""
    folder = Folder(place)
    return folder.checkpoint.exists() or (folder.config.exists() and folder.traces.exists())
