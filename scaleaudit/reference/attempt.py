"""One run of a table, from its request to what it gives; done in a child."""

from __future__ import annotations

from pathlib import Path

import torch

from scaleaudit.domain.reproduction import RunAnswer, RunRequest
from scaleaudit.domain.training import Ending, TrainingProgress
from scaleaudit.reference.evaluated import evaluated
from scaleaudit.reference.overflow import overflow_in
from scaleaudit.reference.runs import Folder
from scaleaudit.reference.training import Watch, train
from scaleaudit.wire import read_json


def attempt_run(place: str, request: str, progress: str, stopper: str) -> RunAnswer:
    """Train a run, unless that is done, and evaluate it.

    Args:
        place: Where it is, as the request says, too.
        request: What to do, as JSON.
        progress: The file where to write how far it is.
        stopper: The file that is there once it is to stop.
    """
    asked, file = read_json(request, RunRequest), Path(progress)
    if asked.threads is not None:
        torch.set_num_threads(asked.threads)

    def tell(what: str) -> None:
        file.write_text(what, encoding="utf-8")

    if asked.training is not None:
        watch = Watch(tell, lambda at: tell(_words(at)), Path(stopper).exists)
        outcome = train(asked.training, watch)
        match outcome.ending:
            case Ending.DONE:
                pass
            case Ending.OVERFLOWED:
                return RunAnswer(None, overflowed=overflow_in(Folder(Path(place))))
            case Ending.TIME | Ending.STOPPED:
                return RunAnswer(None, f"{outcome.step} steps are done")
    elif Path(place).is_dir() and (found := overflow_in(Folder(Path(place)))) is not None:
        return RunAnswer(None, overflowed=found)
    return RunAnswer(
        evaluated(Path(place), asked.evaluation, tell, keep=asked.training is not None)
    )


def _words(at: TrainingProgress) -> str:
    return f"step {at.step:,} of {at.steps:,}, {at.pace:,.0f} tokens/s, {at.left:,.0f} s left"
