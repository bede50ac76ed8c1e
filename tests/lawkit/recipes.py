"""Small looped models put together at random, whose turn and loss can be called apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scaleaudit.capture.targets import Target

WIDTH = 16
TOKENS = 3
BATCH = 2
CLASSES = 7
TURNS = 4
EPS = 1e-6

BLOCKS = (
    "pre-norm", "sandwich", "gate of a parameter", "gate of the normed state",
    "gate of the raw state", "exponential gate", "convex mix", "update gate", "linear map",
    "free gain", "raw mlp", "doubled", "post-norm", "gru cell", "rnn cell", "raw values",
)  # fmt: skip
BETWEEN = ("nothing", "nothing", "nothing", "norm", "norm at every second turn")
READOUTS = (
    "rms norm", "layer norm", "norm by hand", "unit length", "raw", "raw", "soft cap", "coda",
    "gate in the loss", "raw gate in no loss", "cosine", "normed without weights",
)  # fmt: skip
PENALTIES = (
    "none", "none", "mean square", "norm", "log norm", "updates", "detached", "no grad", "zero",
    "negative", "scale free", "clipped",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """The parts of a looped model."""

    block: str
    between: str
    injected: bool
    readout: str
    every_turn: bool
    penalty: str
    seed: int


@dataclass(frozen=True, slots=True)
class Loss:
    """The terms of a loss: what decodes the states, and what measures them."""

    readouts: Tensor
    penalty: Tensor | None


class LoopedModel(nn.Module):
    """Turns over tied weights, and a loss of the states that they pass."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.embed = nn.Embedding(CLASSES, WIDTH)
        self.norm = nn.RMSNorm(WIDTH, eps=EPS)
        self.outer = nn.RMSNorm(WIDTH, eps=EPS)
        self.last = (
            nn.LayerNorm(WIDTH) if recipe.readout == "layer norm" else nn.RMSNorm(WIDTH, EPS)
        )
        self.up = nn.Linear(WIDTH, 2 * WIDTH)
        self.down = nn.Linear(2 * WIDTH, WIDTH)
        self.gate = nn.Linear(WIDTH, WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH, bias=False)
        self.weight = nn.Parameter(torch.randn(WIDTH))
        self.gru = nn.GRUCell(WIDTH, WIDTH)
        self.rnn = nn.RNNCell(WIDTH, WIDTH)
        self.coda = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)
        self.exit = nn.Linear(WIDTH, 1)

    def mlp(self, x: Tensor) -> Tensor:
        """A branch with weights of its own."""
        return self.down(F.silu(self.up(x)))

    def start(self, tokens: Tensor) -> Tensor:
        """The state before the first turn."""
        return self.embed(tokens)

    def turn(self, h: Tensor, e: Tensor, k: int) -> Tensor:
        """One turn of the loop."""
        inner = self.norm(h + e) if self.recipe.injected else self.norm(h)
        h = self.block(h, inner, e)
        if self.recipe.between == "norm" or (self.recipe.between != "nothing" and k % 2 == 1):
            h = self.outer(h)
        return h

    def block(self, h: Tensor, inner: Tensor, e: Tensor) -> Tensor:
        """What happens to the state in the turn."""
        match self.recipe.block:
            case "pre-norm":
                return h + self.mlp(inner)
            case "sandwich":
                return h + F.rms_norm(self.mlp(inner), (WIDTH,), None, EPS)
            case "gate of a parameter":
                return torch.sigmoid(self.weight) * h + self.mlp(inner)
            case "gate of the normed state":
                return torch.sigmoid(self.gate(inner)) * h + self.mlp(inner)
            case "gate of the raw state":
                return torch.sigmoid(self.gate(h)) * h + self.mlp(inner)
            case "exponential gate":
                return torch.exp(-F.softplus(self.weight)) * h + self.mlp(inner)
            case "convex mix":
                z = torch.sigmoid(self.gate(inner))
                return z * h + (1 - z) * torch.tanh(self.mlp(inner))
            case "update gate":
                return h + torch.sigmoid(self.weight) * (torch.tanh(self.mlp(inner)) - h)
            case "linear map":
                return self.mix(h) + self.mlp(inner)
            case "free gain":
                return self.weight * h + self.mlp(inner)
            case "raw mlp":
                return h + self.mlp(h)
            case "doubled":
                return 2 * h + self.mlp(inner)
            case "post-norm":
                return self.outer(h + self.mlp(h + e))
            case "gru cell":
                return self.gru(e.flatten(0, 1), h.flatten(0, 1)).view_as(h)
            case "rnn cell":
                return self.rnn(e.flatten(0, 1), h.flatten(0, 1)).view_as(h)
            case "raw values":
                scores = torch.softmax(inner @ inner.transpose(1, 2), -1)
                return h + scores @ self.mix(h)
            case other:
                raise ValueError(other)

    def loss_of(self, states: list[Tensor], tokens: Tensor) -> Loss:
        """The loss of the states after every turn."""
        read = states if self.recipe.every_turn else states[-1:]
        terms = [self.readout(h, tokens) for h in read]
        return Loss(torch.stack(terms).mean(), self.penalty(states))

    def readout(self, h: Tensor, tokens: Tensor) -> Tensor:
        """Decode one state."""
        target = tokens.roll(1, 0).flatten()
        if self.recipe.readout == "cosine":
            return (1 - F.cosine_similarity(h, self.embed(tokens).detach(), dim=-1)).mean()
        logits = self.logits(h).flatten(0, 1)
        loss = F.cross_entropy(logits, target)
        if self.recipe.readout == "gate in the loss":
            return loss * torch.sigmoid(self.exit(h)).mean()
        return loss

    def logits(self, h: Tensor) -> Tensor:
        """Project one state to classes."""
        match self.recipe.readout:
            case "norm by hand":
                h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + EPS)
            case "unit length":
                h = F.normalize(h, dim=-1)
            case "raw":
                pass
            case "soft cap":
                return 5 * torch.tanh(self.head(h) / 5)
            case "coda":
                h = self.last(h + F.silu(self.coda(F.rms_norm(h, (WIDTH,), None, EPS))))
            case "normed without weights":
                h = F.layer_norm(h, (WIDTH,))
            case _:
                h = self.last(h)
        return self.head(h)

    def penalty(self, states: list[Tensor]) -> Tensor | None:
        """Measure the states, rightly or wrongly."""
        stacked = torch.stack(states)
        match self.recipe.penalty:
            case "none":
                return None
            case "mean square":
                return 0.01 * stacked.pow(2).mean()
            case "norm":
                return 0.01 * torch.stack([h.norm(dim=-1).mean() for h in states]).sum()
            case "log norm":
                return 0.1 * sum(torch.log(h.pow(2).mean()) for h in states)
            case "updates":
                steps = [(b - a).pow(2).mean() for a, b in pairwise(states)]
                return 0.01 * sum(steps)
            case "detached":
                return 0.01 * stacked.detach().pow(2).mean()
            case "no grad":
                with torch.no_grad():
                    return 0.01 * stacked.pow(2).mean()
            case "zero":
                return 0.0 * stacked.pow(2).mean()
            case "negative":
                return -0.01 * stacked.pow(2).mean()
            case "scale free":
                return 0.01 * F.rms_norm(stacked, (WIDTH,), None, EPS).pow(2).mean()
            case "clipped":
                return 0.01 * stacked.pow(2).mean().clamp(max=10.0)
            case other:
                raise ValueError(other)

    def forward(self, tokens: Tensor) -> Tensor:
        """Run the turns and return the loss."""
        h = e = self.start(tokens)
        states = []
        for k in range(TURNS):
            h = self.turn(h, e, k)
            states.append(h)
            if self.recipe.readout == "raw gate in no loss":
                _ = torch.sigmoid(self.exit(h)).mean()
        loss = self.loss_of(states, tokens)
        return loss.readouts if loss.penalty is None else loss.readouts + loss.penalty


def build(recipe: Recipe) -> tuple[LoopedModel, Tensor]:
    """Build a model in double precision, and its input."""
    torch.manual_seed(recipe.seed)
    model = LoopedModel(recipe).double()
    tokens = torch.randint(0, CLASSES, (BATCH, TOKENS))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return model, tokens


def target(recipe: Recipe) -> Target:
    """Return the model as a target of the audit."""
    model, tokens = build(recipe)

    def loss(module: nn.Module, *inputs: Tensor) -> Tensor:
        found: Tensor = module(*inputs)
        return found

    rebuild: Callable[..., Target] = lambda *_: target(recipe)  # noqa: E731
    return Target(
        path=Path(__file__),
        name="LoopedModel",
        model=model,
        args=(tokens,),
        kwargs={},
        loss=loss,
        loss_args=(tokens,),
        batches=None,
        engine=None,
        rebuild=rebuild,
    )
