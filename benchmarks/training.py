"""Training of the reference models timed in this process: ``python -m benchmarks.training ours``.

``plain`` is the loop that anybody would write first. Both train the same model on batches of the same
size; tokens are drawn at random, since what they say costs nothing. On a CUDA device the model has
44 million parameters, and the share of what matrix products in bfloat16 reach there is told, too.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

import torch

from benchmarks.results import Measure
from scaleaudit.group import ALONE
from scaleaudit.reference.batches import Order, Windows, windows_of
from scaleaudit.reference.compiling import lacking
from scaleaudit.reference.config import ReferenceConfig, Supervision
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.objective import looped_loss
from scaleaudit.reference.recipes import plan_by_recipe
from scaleaudit.reference.runs import model_of
from scaleaudit.reference.trainer import Machinery, Trainer, parts_of

_CONDITION = "per_loop_rmsnorm"
# Steps that are not timed (what is compiled is compiled in them), and those that are.
_WARM_UP, _TIMED = 3, 20
_TOKENS = 1 << 20
# The side of square matrices that keep a device busy, and how often they are multiplied.
_SIDE, _PRODUCTS = 8192, 50
# A forward pass, and twice its work for the gradients of weights and of what they are applied to.
_PASSES = 3


@dataclass(frozen=True, slots=True)
class Work:
    """What is trained."""

    device: torch.device
    size: str
    config: ReferenceConfig
    windows: Windows

    @classmethod
    def of_this_machine(cls) -> Work:
        """Take the model that this machine can train in seconds."""
        cuda = torch.cuda.is_available()
        size = "44m" if cuda else "tiny"
        config = model_of(plan_by_recipe(_CONDITION, size))
        draws = torch.Generator().manual_seed(0)
        tokens = torch.randint(config.size.vocabulary, (_TOKENS,), generator=draws)
        windows = windows_of(tokens.to(torch.int16), config.size.context, config.size.context)
        return cls(torch.device("cuda" if cuda else "cpu"), size, config, windows)


def ours(work: Work) -> Callable[[], object]:
    """Return a step as ``scaleaudit train`` makes it."""
    plan = plan_by_recipe(_CONDITION, work.size)
    compiled = work.device.type == "cuda" and not lacking()
    machinery = Machinery(work.device, ALONE, compile=compiled)
    trainer = Trainer(work.config, plan, machinery)
    order = Order(len(work.windows), plan.batch, plan.seed)
    parts = parts_of(work.windows, order, plan, machinery, 0)
    return lambda: trainer.step(next(parts))


def plain(work: Work) -> Callable[[], object]:
    """Return a step as one writes it first: nothing tuned, and every loss looked at."""
    plan = plan_by_recipe(_CONDITION, work.size)
    torch.manual_seed(plan.seed)
    model = LoopedDecoder(work.config).to(work.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    order, steps = Order(len(work.windows), plan.batch, plan.seed), count()

    def step() -> float:
        batch = work.windows.take(order.numbers(next(steps))).to(work.device)
        optimiser.zero_grad()
        loss = looped_loss(model, batch[:, :-1], batch[:, 1:])
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        optimiser.step()
        return loss.item()

    return step


LOOPS: Mapping[str, Callable[[Work], Callable[[], object]]] = {"ours": ours, "plain": plain}


def measured(name: str) -> dict[Measure, float]:
    """Time a loop on this machine."""
    torch.set_num_threads(1)
    work = Work.of_this_machine()
    step = LOOPS[name](work)
    for _ in range(_WARM_UP):
        step()
    seconds = _clocked(lambda: [step() for _ in range(_TIMED)], work.device)
    batch = plan_by_recipe(_CONDITION, work.size).batch
    pace = _TIMED * batch * work.config.size.context / seconds
    found = {Measure.PACE: pace}
    if work.device.type == "cuda":
        found[Measure.UTILISATION] = pace * flops_of(work.config) / ceiling(work.device)
    return found


def flops_of(config: ReferenceConfig) -> float:
    """Return the floating-point operations that training takes for a token.

    Matrix products alone are counted, a multiplication and an addition each, attention without
    regard to its mask, and the head at the turns that the loss asks for.
    """
    size = config.size
    weights = 4 * size.dim**2 + 3 * size.dim * size.hidden
    attention = 2 * size.context * size.dim
    asked = config.turns if config.condition.supervision is Supervision.PER_LOOP else 1
    turn = size.layers * (weights + attention)
    return _PASSES * 2.0 * (config.turns * turn + asked * size.vocabulary * size.dim)


def ceiling(device: torch.device) -> float:
    """Return the operations a second that large products in bfloat16 reach."""
    a, b = (torch.randn(_SIDE, _SIDE, device=device, dtype=torch.bfloat16) for _ in range(2))
    _clocked(lambda: a @ b, device)
    seconds = _clocked(lambda: [a @ b for _ in range(_PRODUCTS)], device)
    return _PRODUCTS * 2.0 * _SIDE**3 / seconds


def _clocked(act: Callable[[], object], device: torch.device) -> float:
    _finish(device)
    start = time.perf_counter()
    act()
    _finish(device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    print(json.dumps({measure.value: number for measure, number in measured(sys.argv[1]).items()}))
