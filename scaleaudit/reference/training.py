"""A whole training, from a request to how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from scaleaudit.devices import chosen
from scaleaudit.domain.training import (
    TrainingOutcome,
    TrainingPlan,
    TrainingProgress,
    TrainingRequest,
)
from scaleaudit.errors import ConfigError
from scaleaudit.group import Group, gathered, local_device
from scaleaudit.reference.batches import Order, windows_of
from scaleaudit.reference.board import Board, is_installed
from scaleaudit.reference.checkpoints import Origin
from scaleaudit.reference.compiling import lacking
from scaleaudit.reference.loop import Loop
from scaleaudit.reference.recipes import RECIPES
from scaleaudit.reference.record import Record
from scaleaudit.reference.runs import Card, Folder, model_of
from scaleaudit.reference.state import Position, restore_state
from scaleaudit.reference.tokens import Tokens, cache_folder, prepared
from scaleaudit.reference.trainer import Machinery, Trainer, parts_of
from scaleaudit.reference.trouble import explained

# Parameters below which more threads than one wait for each other.
_SMALL = 4_000_000
# Seconds that processes wait for the one that prepares the text.
_PATIENCE = 3600.0
# Sequences of held-out text that a checkpoint is measured on.
_HELD_OUT = 64


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on.

    Attributes:
        say: Told what is done beside the steps.
        progress: Told after every step.
        stopped: Asked whether to end after a step.
    """

    say: Callable[[str], None] = lambda _: None
    progress: Callable[[TrainingProgress], None] = lambda _: None
    stopped: Callable[[], bool] = lambda: False


SILENT = Watch()


def train(request: TrainingRequest, watch: Watch = SILENT) -> TrainingOutcome:
    """Train, alone or together with the processes that ``torchrun`` started.

    Raises:
        ConfigError: The request cannot be met: the folder, the device, how a batch is divided.
        ProbeError: The text is not there, or other processes are gone.
        WeightsError: A checkpoint cannot be read or written.
    """
    folder = Folder(Path(request.out))
    folder.check(request.plan, resume=request.resume)
    device = chosen(local_device(request.device))
    with gathered("training", device, _PATIENCE) as group:
        if request.fsdp and group.size == 1:
            raise ConfigError(
                "--fsdp divides weights among processes, and there is one",
                hint="Start several: torchrun --nproc-per-node 2 -m scaleaudit train ...",
            )
        compiled = _compiled(request, device, watch)
        machinery = Machinery(device, group, compile=compiled, fsdp=request.fsdp)
        with explained(request.plan, device):
            return _trained(request, folder, machinery, watch)


def _compiled(request: TrainingRequest, device: torch.device, watch: Watch) -> bool:
    """Tell whether the model is compiled: as is asked for, else on CUDA where that can be done."""
    if request.compile is not None or device.type != "cuda":
        return bool(request.compile)
    if missing := lacking():
        watch.say(f"the model is not compiled, so it trains slower: {missing}")
    return not missing


def _trained(
    request: TrainingRequest, folder: Folder, machinery: Machinery, watch: Watch
) -> TrainingOutcome:
    plan, first = request.plan, machinery.group.rank == 0
    config = model_of(plan)
    text = text_of(request, machinery.group, watch)
    windows = windows_of(text.train, config.size.context, plan.stride)
    held_out = held_out_of(text, config.size.context, _HELD_OUT)
    card = Card(plan, config, text.name, text.fingerprint, request.steps, request.save_every)
    _check_text(folder, card)
    trainer = Trainer(config, plan, machinery)
    count = sum(weight.numel() for weight in trainer.weights)
    if machinery.device.type == "cpu" and count < _SMALL:
        torch.set_num_threads(1)
    # A run that was ended before its first checkpoint begins anew.
    begun = request.resume and folder.state.exists()
    position = restore_state(folder.state, trainer) if begun else Position()
    record = None
    if first:
        folder.make()
        board = _board(request, folder, position, watch)
        folder.begin(card)
        origin = Origin(step=position.step, seed=plan.seed, encoding=text.encoding)
        record = Record(folder, card, origin, board)
    order = Order(len(windows), plan.batch, plan.seed)
    loop = Loop(
        trainer=trainer,
        parts=parts_of(windows, order, plan, machinery, position.step),
        held_out=held_out,
        steps=request.steps or steps_of(plan, len(windows)),
        record=record,
        position=position,
    )
    try:
        return loop.run(request, watch.progress, watch.stopped)
    finally:
        if record is not None:
            record.close()


def text_of(request: TrainingRequest, group: Group, watch: Watch) -> Tokens:
    """Return the text of a request as tokens; the first process prepares it for all."""
    plan = request.plan
    wanted = plan.text, plan.encoding, model_of(plan).size.vocabulary, cache_folder(request.cache)
    if group.rank == 0:
        found = prepared(*wanted, watch.say)
    group.agreed(0.0)  # the others wait here
    return found if group.rank == 0 else prepared(*wanted)


def held_out_of(text: Tokens, context: int, most: int) -> Tensor:
    """Return sequences of the text that was held out, (sequences, context + 1), side by side."""
    return windows_of(text.held_out, context, context).spread(most)


def steps_of(plan: TrainingPlan, windows: int) -> int:
    """Return how many steps a plan takes by the recipe of its size."""
    recipe = RECIPES[plan.size]
    return recipe.steps or max(1, recipe.epochs * windows // plan.batch)


def _check_text(folder: Folder, card: Card) -> None:
    found = folder.card()
    if found is not None and found.fingerprint != card.fingerprint:
        raise ConfigError(
            f"the run in {folder.path} was begun with another text: {found.text}, which has "
            "changed since"
            if found.text == card.text
            else f"{found.text}, not {card.text}",
            hint="Train in another folder with --out.",
        )


def _board(
    request: TrainingRequest, folder: Folder, position: Position, watch: Watch
) -> Board | None:
    wanted = is_installed() if request.tensorboard is None else request.tensorboard
    if request.tensorboard is None and not wanted:
        watch.say("tensorboard is not installed, so nothing is written for it")
    return Board(folder.board, position.step) if wanted else None
