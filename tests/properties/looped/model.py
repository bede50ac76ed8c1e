"""A random looped model as a module, its turns and its loss callable by themselves."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from looped.decoding import SCORES, Decoder
from looped.draws import Draw
from looped.experts import router_loss
from looped.objectives import decoding_loss, penalty_term
from looped.turns import Turn

TOKENS = 11
BATCH = 3
M = TypeVar("M", bound=nn.Module)


class Looped(nn.Module):
    """The loss is its output."""

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self.draw = draw
        self.embed = nn.Embedding(TOKENS, draw.width)
        self.turn = Turn(draw)
        self.blocks = nn.ModuleList([self.turn] * draw.turns)
        self.decoder = Decoder(draw)
        self.halt = nn.Linear(draw.width, 1)
        self.weight = nn.Parameter(torch.randn(()))

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        e = self.embed(tokens)
        states = getattr(self, f"loop_{self.draw.written}")(e)
        loss = self.loss_of_states(states, e, targets)
        if self.draw.penalty != "none":
            loss = loss + penalty_term(self.draw.penalty, states, e, self.weight)
        return loss

    def loop_for(self, e: Tensor) -> list[Tensor]:
        h = e
        states = []
        for k in range(self.draw.turns):
            with torch.set_grad_enabled(self.records(k)):
                h = self.turn(h, e, k)
            states.append(h)
            if self.cuts(k):
                h = h.detach()
        return states

    def loop_while(self, e: Tensor) -> list[Tensor]:
        k, z, states = 0, torch.zeros_like(e) + e, []
        while k < self.draw.turns:
            with torch.set_grad_enabled(self.records(k)):
                z = self.turn(z, e, k)
            states.append(z)
            if self.cuts(k):
                z = z.detach()
            k += 1
        return states

    def loop_blocks(self, e: Tensor) -> list[Tensor]:
        states = [e]
        for k, block in enumerate(self.blocks):
            latent = states[-1]
            if k and self.cuts(k - 1):
                latent = latent.detach()
            with torch.set_grad_enabled(self.records(k)):
                states.append(block(latent, e, k))
        return states[1:]

    def records(self, k: int) -> bool:
        """Whether autograd sees turn k."""
        first = {"last only": 1, "first without": 2, "first without and detached": 2}
        return k >= self.draw.turns - first.get(self.draw.gradient, self.draw.turns)

    def cuts(self, k: int) -> bool:
        """Whether the state is detached between turn k and the next one."""
        match self.draw.gradient:
            case "detached between" | "first without and detached":
                return True
            case "last detached":
                return k == self.draw.turns - 2
            case "detached every second":
                return k % 2 == 1
            case "detached midway":
                return k == 1
        return False

    @property
    def exits(self) -> list[int]:
        """The turns, from 0, whose states are decoded into the loss."""
        last = self.draw.turns - 1
        return {"last": [last], "all": list(range(last + 1)), "some": [1, last]}[self.draw.exits]

    def loss_of_states(self, states: list[Tensor], e: Tensor, targets: Tensor) -> Tensor:
        """The loss without penalties."""
        read = [states[k] for k in self.exits]
        losses = [decoding_loss(self.draw.loss, self.decoder(h, e), targets) for h in read]
        match self.draw.gate_term:
            case "halting":
                scores = torch.stack([self.halt(h).mean() for h in read])
                return (scores.softmax(dim=0) * torch.stack(losses)).sum()
            case "raw cost":
                return sum(losses) + torch.sigmoid(self.halt(states[-1])).mean()
            case "normed cost":
                return sum(losses) + torch.sigmoid(self.halt(self.decoder.rms(states[-1]))).mean()
            case "raw targets":
                right = (targets > 3).to(e.dtype).unsqueeze(-1)
                gate = self.halt(states[-1])
                verdict = nn.functional.binary_cross_entropy_with_logits(gate, right)
                return sum(losses) + verdict
        if self.draw.gate_term != "none":  # a router's
            seen = read if self.draw.gate_term.startswith("raw") else map(self.decoder.rms, read)
            terms = [router_loss(self.draw.gate_term, self.turn.branch.router(h)) for h in seen]
            return torch.stack(losses).mean() + torch.stack(terms).mean()
        return torch.stack(losses).mean()


NAMES = {"for": ("h",), "while": ("z",), "blocks": ("latent",)}
"""Variables that hold the state, by the way the loop is written."""


def build(draw: Draw) -> tuple[Looped, Tensor, Tensor]:
    """Build the model of a draw in float64, with generic weights, and its data."""
    torch.manual_seed(draw.seed)
    model = made_generic(Looped(draw).double())
    return model, *data_of(draw)


def made_generic(model: M) -> M:
    """Move every weight off what it starts at."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def data_of(draw: Draw) -> tuple[Tensor, Tensor]:
    """Make tokens and targets."""
    tokens = torch.randint(0, TOKENS, (BATCH, draw.length))
    return tokens, torch.randint(0, SCORES, (BATCH, draw.length))
