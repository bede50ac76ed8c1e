"""One short training run of a program, with or without a fix, and what it leaves behind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from scaleaudit.errors import ProbeError
from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.norms import Norms, Recorder
from scaleaudit.probe.program import Crossing, Program
from scaleaudit.probe.twins import Twin


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a probe trains: fast enough to show within seconds that nothing restores the scale.

    Attributes:
        clip: Norm to which gradients are clipped.
        every: Steps between two measurements of norms.
    """

    steps: int = 100
    lr: float = 1e-2
    weight_decay: float = 0.0
    clip: float = 1.0
    every: int = 10
    dtype: torch.dtype | None = None


@dataclass(slots=True)
class Trained:
    """A finished run.

    Attributes:
        feed: Parameters and buffers as they ended.
        losses: The target's own loss at every step, without what a fix adds.
        norms: At every measured step the norms at all boundaries.
        overflowed: The step at which a loss or a gradient was no number, None where none was.
    """

    feed: dict[str, Tensor]
    losses: list[float] = field(default_factory=list)
    norms: dict[int, Mapping[Crossing, Norms]] = field(default_factory=dict)
    overflowed: int | None = None


def train(
    program: Program,
    start: Mapping[str, Tensor],
    batches: Iterator[Mapping[str, Tensor]],
    twin: Twin,
    recipe: Recipe,
    tick: Callable[[int], None] = lambda _: None,
    group: Group = ALONE,
    recorder: Recorder | None = None,
) -> Trained:
    """Train a program from given weights on given batches with AdamW.

    Args:
        start: Parameters and buffers by name; they are copied, not written to. Those that ask for
            no gradient stay as they are.
        tick: Told of every step before it is made; what it raises ends the run.
        group: The processes that train together, each on batches of its own.
        recorder: Measures what crosses; by default all of every state.

    Raises:
        ProbeError: Nothing is there to train, or the loss depends on nothing that is.
    """
    feed = {name: value.detach().clone().to(program.device) for name, value in start.items()}
    names = [name for name in dict.fromkeys(program.parameters) if start[name].requires_grad]
    if not names:
        raise ProbeError(
            "the loss reads no parameter that is trained", hint="Are all weights frozen?"
        )
    learning = [feed[name].requires_grad_() for name in names]
    optimiser = torch.optim.AdamW(learning, lr=recipe.lr, weight_decay=recipe.weight_decay)
    done, recorder = Trained(feed), recorder or Recorder(group)

    def edit(crossing: Crossing, value: Tensor) -> Tensor:
        crosses = twin(crossing, value)
        return recorder(crossing, crosses) if measured else crosses

    for step in range(recipe.steps):
        tick(step)
        measured = step % recipe.every == 0 or step == recipe.steps - 1
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(program.device.type, recipe.dtype, enabled=recipe.dtype is not None):
            loss, _ = program.run({**feed, **next(batches)}, edit)
        if not loss.requires_grad:
            raise ProbeError(
                "the loss has no gradient path to any parameter that is trained",
                hint="Is it detached, or computed under no_grad?",
            )
        torch.autograd.backward(loss + twin.added())
        group.average([each.grad for each in learning if each.grad is not None])
        size = torch.nn.utils.clip_grad_norm_(learning, recipe.clip)
        done.losses.append(group.mean(float(loss.detach())))
        if measured:
            done.norms[step] = recorder.read()
        if not (math.isfinite(done.losses[-1]) and math.isfinite(float(size))):
            done.overflowed = step
            break
        optimiser.step()
    for parameter in learning:
        parameter.requires_grad_(False)  # noqa: FBT003 - torch's signature
    return done
