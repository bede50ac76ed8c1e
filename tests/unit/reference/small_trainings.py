"""Trainings of a model small enough for tests, on a text of their own; a process of its own, too."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from scaleaudit.domain.training import Encoding, TrainingPlan, TrainingRequest
from scaleaudit.group import leave
from scaleaudit.reference import tokens
from scaleaudit.reference.config import SIZES, Size
from scaleaudit.reference.corpus import source_corpus
from scaleaudit.reference.recipes import RECIPES, Recipe
from scaleaudit.reference.training import Watch, train

SMALL = Size(vocabulary=256, dim=8, heads=2, layers=2, hidden=12, context=8)
RECIPE = Recipe(lr=1e-2, batch=8, stride=4, every=4, encoding=Encoding.BYTES, steps=12)
PLAN = TrainingPlan(
    condition="per_loop_penalty",
    size="small",
    seed=3,
    turns=3,
    lr=1e-2,
    batch=8,
    accumulate=1,
    stride=4,
    weight_decay=0.01,
    clip=1.0,
    every=4,
    encoding=Encoding.BYTES,
)


def install(patch, folder: Path) -> None:
    """Make the size known, and its text that of a folder."""
    patch.setitem(SIZES, "small", SMALL)
    patch.setitem(RECIPES, "small", RECIPE)
    if not (folder / "lib").exists():
        _write_text(folder / "lib")
    patch.setattr(tokens, "corpus_of", lambda _: source_corpus("a text", [folder / "lib"]))


def _write_text(folder: Path) -> None:
    folder.mkdir()
    for number in range(20):
        text = "".join(f"value_{number} = {number * 31 + step}\n" for step in range(9))
        (folder / f"m{number}.py").write_text(text)


def request_in(folder: Path, name: str = "run", **changes) -> TrainingRequest:
    """Ask for a training in a folder; what is no field of a request is one of its plan."""
    asked = {key: changes.pop(key) for key in [*changes] if key in TrainingRequest.__slots__}
    defaults = {"device": "cpu", "tensorboard": False, "cache": str(folder / "cache")}
    plan = replace(PLAN, **changes)
    return TrainingRequest(plan=plan, out=str(folder / name), **{**defaults, **asked})


def lines_of(folder: Path, name: str = "run") -> list[dict[str, object]]:
    """Return the metrics of a run but for what clocks said."""
    text = (folder / name / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def _killed_at(step: int):
    def progress(at):
        if at.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return progress


def main(folder: Path, *what: str) -> None:
    """Be killed in a training at some step, or take part in two that divide batches or weights."""
    import pytest

    with pytest.MonkeyPatch.context() as patch:
        install(patch, folder)
        if what[0] == "killed":
            train(request_in(folder, save_every=3), Watch(progress=_killed_at(int(what[1]))))
        for name in what:
            train(request_in(folder, name, fsdp=name == "fsdp", accumulate=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
    leave(0)
