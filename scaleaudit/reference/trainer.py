"""One step of training: a batch in parts, divided among processes, its gradients clipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from scaleaudit.domain.training import Precision, TrainingPlan
from scaleaudit.errors import ConfigError
from scaleaudit.group import Group
from scaleaudit.reference.batches import Order, Windows
from scaleaudit.reference.config import ReferenceConfig
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.objective import loss_of, token_loss

Part = tuple[Tensor, Tensor]
"""What a model is given at a time, and the tokens that it is to predict; each (batch, tokens)."""


class Objective(nn.Module):
    """A model together with its loss, so that whatever wraps a module takes both."""

    def __init__(self, model: LoopedDecoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, and the lengths of the state's tokens, (turns, batch * tokens)."""
        output = self.model(tokens)
        lengths = [
            torch.linalg.vector_norm(h.detach(), dim=-1, dtype=torch.float32).flatten()
            for h in output.states
        ]
        return loss_of(self.model.config.condition, output, targets), torch.stack(lengths)


@dataclass(frozen=True, slots=True)
class Machinery:
    """What a training runs on, which its numbers do not depend on but for rounding.

    Attributes:
        group: The processes that train together.
        compile: Whether the objective is compiled.
        fsdp: Whether weights are divided among the processes.
    """

    device: torch.device
    group: Group
    compile: bool = False
    fsdp: bool = False


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step left; nothing of it has been waited for.

    Attributes:
        loss: Mean over all processes and parts, before the step.
        gradient: The norm of all gradients, before they were clipped.
        lengths: Of this process's tokens, (turns, tokens).
    """

    loss: Tensor
    gradient: Tensor
    lengths: Tensor


class Trainer:
    """A model that is trained, with its optimiser."""

    def __init__(self, config: ReferenceConfig, plan: TrainingPlan, machinery: Machinery) -> None:
        self._plan, self._machinery = plan, machinery
        device, group = machinery.device, machinery.group
        _check_division(plan, group.size)
        torch.manual_seed(plan.seed)
        self.model = LoopedDecoder(config).to(device)
        objective = Objective(self.model)
        if machinery.fsdp and group.size > 1:
            _shard(self.model)
        self._parallel = (
            DistributedDataParallel(objective, gradient_as_bucket_view=True)
            if group.size > 1 and not machinery.fsdp
            else None
        )
        wrapped: nn.Module = self._parallel or objective
        self._objective = cast(
            "Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]",
            torch.compile(wrapped) if machinery.compile else wrapped,
        )
        self.group = group
        # Of a step, in all processes together.
        self.tokens = plan.batch * config.size.context
        # Of divided weights a model shows the whole ones for a while after it was run.
        self.named = dict(self.model.named_parameters())
        self.weights = [*self.named.values()]
        self.optimiser = torch.optim.AdamW(
            self.weights, lr=plan.lr, weight_decay=plan.weight_decay, fused=True
        )
        self._narrow = (
            plan.precision is Precision.BFLOAT16
            if plan.precision is not None
            else device.type == "cuda"
        )

    def step(self, parts: list[Part]) -> Stepped:
        """Move the weights once, by the gradients of all parts of this process's batch."""
        self.optimiser.zero_grad(set_to_none=True)
        losses, lengths = list[Tensor](), list[Tensor]()
        for number, part in enumerate(parts, 1):
            with self._exchange(last=number == len(parts)), self._autocast():
                loss, found = self._objective(*part)
                torch.autograd.backward(loss / len(parts))
            losses.append(loss.detach())
            lengths.append(found)
        size = torch.nn.utils.clip_grad_norm_(self.weights, self._plan.clip)
        self.optimiser.step()
        loss = torch.stack(losses).mean()
        self._machinery.group.average([loss])
        gradient = size.full_tensor() if isinstance(size, DTensor) else size
        return Stepped(loss, gradient, torch.cat(lengths, dim=1))

    def losses(self, windows: Tensor) -> tuple[float, ...]:
        """Return the cross-entropy after every turn on sequences, (sequences, tokens + 1)."""
        totals = torch.zeros(self.model.config.turns, dtype=torch.float64)
        each = max(1, self._plan.batch // self._plan.accumulate)
        with torch.no_grad(), self._autocast():
            for some in torch.split(windows, each):
                tokens = some.to(self._machinery.device)
                logits = self.model(tokens[:, :-1]).logits
                found = torch.stack([token_loss(read, tokens[:, 1:]) for read in logits])
                totals += found.double().cpu() * len(some)
        return tuple((totals / len(windows)).tolist())

    def _exchange(self, *, last: bool) -> AbstractContextManager[None]:
        """Let the processes exchange gradients with the last part alone, where each holds all."""
        if self._parallel is None or last:
            return nullcontext()
        return cast("AbstractContextManager[None]", self._parallel.no_sync())

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(
            self._machinery.device.type, dtype=torch.bfloat16, enabled=self._narrow
        )


def _check_division(plan: TrainingPlan, processes: int) -> None:
    if plan.batch % (plan.accumulate * processes):
        among = f" of each of {processes} processes" if processes > 1 else ""
        raise ConfigError(
            f"a batch of {plan.batch} sequences cannot be divided into {plan.accumulate} equal "
            f"parts{among}",
            hint="--batch has to be a multiple of --accumulate and of the number of processes.",
        )


def _shard(model: LoopedDecoder) -> None:
    """Divide the weights among the processes: those of every block together, then the rest."""
    for block in model.blocks:
        fully_shard(block)
    fully_shard(model)


def parts_of(
    windows: Windows, order: Order, plan: TrainingPlan, machinery: Machinery, start: int
) -> Iterator[list[Part]]:
    """Yield this process's parts of every batch from a step on, each on the device.

    The next ones are on their way when a step is made.
    """
    coming = _placed(windows.take(order.numbers(start)), plan, machinery)
    for step in count(start + 1):
        parts, coming = coming, _placed(windows.take(order.numbers(step)), plan, machinery)
        yield parts


def _placed(batch: Tensor, plan: TrainingPlan, machinery: Machinery) -> list[Part]:
    group, device = machinery.group, machinery.device
    each = plan.batch // plan.accumulate // group.size
    mine = batch.view(plan.accumulate, group.size, each, -1)[:, group.rank]
    if device.type == "cuda":
        mine = mine.pin_memory()
    moved = mine.to(device, non_blocking=True)
    return [(part[:, :-1], part[:, 1:]) for part in moved]
