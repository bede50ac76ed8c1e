"""How often a loop turns: set by the data, by chance, by an argument; and where it starts."""

from __future__ import annotations

import random
from itertools import count
from typing import Any

import numpy as np
import torch
from expect import Expect, State
from parts import BATCH, LENGTH, TURNS, VOCABULARY, D, Language, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.init import trunc_normal_


class Turning(Language):
    """Turns as often as ``turns`` says; the parts of the loop are methods."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.start(self.embed(tokens))
        for _ in range(self.turns()):
            h = self.step(h)
        return self.read(h)

    def start(self, x: Tensor) -> Tensor:
        return x

    def turns(self) -> int:
        return TURNS

    def step(self, h: Tensor) -> Tensor:
        return h + self.block.mlp(F.rms_norm(h, (D,)))

    def read(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))


class ByTorch(Turning):
    def turns(self) -> int:
        return int(torch.randint(1, 9, ()).item())


class ByTorchFromNothing(Turning):
    """One turn in eight draws, none in another eight."""

    def turns(self) -> int:
        return int(torch.rand(()) * 8)


class ByRandom(Turning):
    def turns(self) -> int:
        return random.randint(1, 8)


class ByChoice(Turning):
    def turns(self) -> int:
        return random.choice([1, 2, 4, 8])


class ByNumpy(Turning):
    def turns(self) -> int:
        return int(np.random.default_rng().integers(1, 9))


class ByOldNumpy(Turning):
    """A generator of the model's own, and a turn more than it draws."""

    def __init__(self) -> None:
        super().__init__()
        self.draws = np.random.RandomState(0)

    def turns(self) -> int:
        return 1 + self.draws.poisson(2)


class ByPoisson(Turning):
    """Log-normal Poisson: the usual draw of large looped models, from a random state."""

    def start(self, x: Tensor) -> Tensor:
        return trunc_normal_(torch.empty_like(x), std=0.4, a=-1.2, b=1.2)

    def turns(self) -> int:
        rate = torch.zeros((1,)).log_normal_(mean=1.0, std=0.5)
        return int((torch.poisson(rate) + 1).clamp(max=16).item())


class ByPoissonNormed(ByPoisson):
    def step(self, h: Tensor) -> Tensor:
        return F.rms_norm(super().step(h), (D,))


class ByPoissonRaw(ByPoisson):
    def read(self, h: Tensor) -> Tensor:
        return self.head(h)


class PartlyWithoutGradient(Turning):
    """A random number of turns without gradient, then a fixed number with."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = torch.randn_like(self.embed(tokens))
        with torch.no_grad():
            for _ in range(int(torch.randint(0, 5, (1,)))):
                h = self.step(h)
        for _ in range(2):
            h = self.step(h)
        return self.read(h)


class ByArgument(Turning):
    def forward(self, tokens: Tensor, steps: int = 3) -> Tensor:
        h = self.embed(tokens)
        for _ in range(steps):
            h = self.step(h)
        return self.read(h)


class WhileRunning(Turning):
    """Tokens stop one by one; those that have stopped keep their state."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        halted = torch.zeros(tokens.shape, dtype=torch.bool)
        turn = 0
        while not halted.all() and turn < TURNS:
            h = torch.where(halted.unsqueeze(-1), h, self.step(h))
            halted = halted | (self.read(h).argmax(-1) == 0)
            turn += 1
        return self.read(h)


class WhileMoving(Turning):
    """Until nothing moves any more, whatever the number of turns."""

    def forward(self, tokens: Tensor) -> Tensor:
        h, error = self.embed(tokens), float("inf")
        while error > 0.3:
            before = h
            h = self.step(h)
            error = ((h - before).norm() / h.norm()).item()
        return self.read(h)


class UntilConfident(Turning):
    """Leaves the loop as soon as the readout is sure enough."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in count():
            h = self.step(h)
            logits = self.read(h)
            if turn >= TURNS or logits.softmax(-1).amax(-1).mean() > 0.99:
                break
        return logits


class Ponder(Turning):
    """Every turn may be the last; the loss weighs its logits by how likely that is."""

    def __init__(self) -> None:
        super().__init__()
        self.halt = nn.Linear(D, 1)

    def forward(self, tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
        h = self.embed(tokens)
        running = torch.ones(*tokens.shape, 1)
        exits = []
        for turn in range(TURNS):
            h = self.step(h)
            chance = torch.sigmoid(self.halt(self.seen(h)))
            chance = torch.ones_like(chance) if turn == TURNS - 1 else chance
            exits.append((running * chance, self.read(h)))
            running = running * (1 - chance)
        return exits

    def seen(self, h: Tensor) -> Tensor:
        """What the halting unit looks at."""
        return self.norm(h)


class PonderRaw(Ponder):
    """The halting unit looks at the raw state."""

    def seen(self, h: Tensor) -> Tensor:
        return h


class Adaptive(Ponder):
    """Adaptive computation time: states are averaged by their chance of being the last."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        total, mean = torch.zeros(*tokens.shape, 1), torch.zeros_like(h)
        for turn in range(TURNS):
            h = self.step(h)
            chance = torch.sigmoid(self.halt(self.norm(h)))
            stops = (total + chance > 0.99) | torch.tensor(turn == TURNS - 1)
            weight = torch.where(stops, 1 - total, chance)
            mean = mean + weight * h
            total = total + weight
        return self.read(mean)


def pondered(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    losses = []
    for chance, logits in model(tokens):
        each = F.cross_entropy(logits.mT, targets, reduction="none")
        losses.append((chance.squeeze(-1) * each).mean())
    return torch.stack(losses).sum()


def drawn(transition: str, visibility: str, codes: str = "", **more: Any) -> Expect:
    """How often it turns is not known before, and is no fault of its own."""
    given = {"carries": (), "turns": (), "maybe": "SCL302", **more}
    line = given.pop("line", "return h + self.block.mlp")
    state = State(transition, visibility, name="h", line=line)
    verdict = "fail" if "SCL101" in codes else "warn" if codes else "pass"
    return Expect((state,), codes, verdict=given.pop("verdict", verdict), **given)


BLIND = drawn("carried", "invariant", "SCL101")

EXPECT = {
    "by_torch": BLIND,
    "by_torch_from_nothing": BLIND,
    "by_random": BLIND,
    "by_choice": BLIND,
    "by_numpy": BLIND,
    "by_old_numpy": BLIND,
    "by_poisson": BLIND,
    "by_poisson_normed": drawn("removed", "invariant", line="return F.rms_norm(super()"),
    "by_poisson_raw": drawn("carried", "visible"),
    "partly_without_gradient": BLIND,
    "by_argument": drawn("carried", "invariant", "SCL101 SCL302", turns=(3,), maybe=""),
    "by_argument_twice": drawn("carried", "invariant", "SCL101 SCL302", maybe=""),
    "by_argument_as_tensor": BLIND,
    "while_running": drawn("carried", "invariant", "SCL101", line=""),
    # Open: whether a change of which only the condition hears is an unsupervised readout.
    "while_moving": drawn("carried", "invariant", "SCL101", maybe="SCL302 SCL103"),
    "until_confident": drawn("carried", "invariant", "SCL101", maybe="SCL302 SCL103"),
    "ponder": drawn("carried", "invariant", "SCL101", turns=(TURNS,), carries=("h",)),
    "ponder_raw": drawn("carried", "saturating", "SCL102", turns=(TURNS,), carries=("h",)),
    # The average is read by no turn. Open: what is left of the chances is, and by no weights.
    "adaptive": Expect(
        (
            State("carried", "invariant", name="h", line="return h + self.block.mlp"),
            State("carried|bounded", "invariant|visible|unknown", name="total", optional=True),
        ),
        "SCL101",
        carries=(),
    ),
}


def scaleaudit_target_by_torch() -> dict[str, Any]:
    return target(ByTorch())


def scaleaudit_target_by_torch_from_nothing() -> dict[str, Any]:
    return target(ByTorchFromNothing())


def scaleaudit_target_by_random() -> dict[str, Any]:
    return target(ByRandom())


def scaleaudit_target_by_choice() -> dict[str, Any]:
    return target(ByChoice())


def scaleaudit_target_by_numpy() -> dict[str, Any]:
    return target(ByNumpy())


def scaleaudit_target_by_old_numpy() -> dict[str, Any]:
    return target(ByOldNumpy())


def scaleaudit_target_by_poisson() -> dict[str, Any]:
    return target(ByPoisson())


def scaleaudit_target_by_poisson_normed() -> dict[str, Any]:
    return target(ByPoissonNormed())


def scaleaudit_target_by_poisson_raw() -> dict[str, Any]:
    return target(ByPoissonRaw())


def scaleaudit_target_partly_without_gradient() -> dict[str, Any]:
    return target(PartlyWithoutGradient())


def scaleaudit_target_by_argument() -> dict[str, Any]:
    return target(ByArgument())


def with_steps(steps: Any) -> dict[str, Any]:
    """Hand the number of turns over in the call."""

    def loss(model: nn.Module, tokens: Tensor, steps: Any, targets: Tensor) -> Tensor:
        return cross_entropy(model(tokens, steps), targets)

    tokens, targets = torch.randint(VOCABULARY, (2, BATCH, LENGTH))
    given = {"loss": loss, "loss_args": (tokens, steps, targets)}
    return {"model": ByArgument(), "args": (tokens, steps), **given}


def scaleaudit_target_by_argument_twice() -> dict[str, Any]:
    return with_steps(2)


def scaleaudit_target_by_argument_as_tensor() -> dict[str, Any]:
    return with_steps(torch.tensor(5))


def scaleaudit_target_while_running() -> dict[str, Any]:
    return target(WhileRunning())


def scaleaudit_target_while_moving() -> dict[str, Any]:
    return target(WhileMoving())


def scaleaudit_target_until_confident() -> dict[str, Any]:
    return target(UntilConfident())


def scaleaudit_target_ponder() -> dict[str, Any]:
    return target(Ponder(), pondered)


def scaleaudit_target_ponder_raw() -> dict[str, Any]:
    return target(PonderRaw(), pondered)


def scaleaudit_target_adaptive() -> dict[str, Any]:
    return target(Adaptive())
