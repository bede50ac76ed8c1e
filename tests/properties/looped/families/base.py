"""What all families share: the way from tokens to a loss, and what a program must show."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from looped.decoding import Decoder
from looped.draws import Draw
from looped.model import TOKENS
from looped.objectives import decoding_loss, penalty_term
from looped.parts import Attention, Mlp, Norm, SwiGlu


@dataclass(frozen=True, slots=True)
class Shape:
    """What must be found in a program: the numbers of loops and of states that it may count as."""

    loops: frozenset[int] = frozenset({1})
    states: frozenset[int] = frozenset({1})

    def complaint(self, states: tuple[int, ...]) -> str:
        """Say what is wrong with the loops found; ``states`` has a number for each."""
        if len(states) in self.loops and sum(states) in self.states:
            return ""
        return f"{len(states)} loops with {states} states, not {self}"

    def __str__(self) -> str:
        return f"{sorted(self.loops)} loops with {sorted(self.states)} states in all"


def between(first: int, last: int) -> frozenset[int]:
    """Every number from the first to the last."""
    return frozenset(range(first, last + 1))


class Family(nn.Module):
    """A looped model by a draw; how states are carried is the family's, and drawn for itself.

    The loss is its output.
    """

    CHANGES: ClassVar[dict[str, tuple[object, ...]]] = {}
    """What takes the place of the choices of a plain draw."""
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {}
    """The family's own choices."""

    def __init__(self, draw: Draw, own: dict[str, str]) -> None:
        super().__init__()
        self.draw, self.own = draw, own
        self.embed = nn.Embedding(TOKENS, draw.width)
        self.decoder = Decoder(draw)
        self.weight = nn.Parameter(torch.randn(()))
        self.prepare()

    @classmethod
    def chosen(cls, source: random.Random) -> dict[str, str]:
        """Draw the family's own choices."""
        return {name: source.choice(options) for name, options in cls.CHOICES.items()}

    def prepare(self) -> None:
        """Make the family's own parts."""

    def states(self, e: Tensor) -> list[Tensor]:
        """Run the loop; return what is decoded of every turn."""
        raise NotImplementedError

    @property
    def shape(self) -> Shape:
        """What must be found."""
        return Shape()

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        e = self.embed(tokens)
        states = self.states(e)
        loss = self.decoded(states, e, tokens, targets)
        if self.draw.penalty != "none":
            loss = loss + penalty_term(self.draw.penalty, states, e, self.weight)
        return loss

    def decoded(self, states: list[Tensor], e: Tensor, tokens: Tensor, targets: Tensor) -> Tensor:
        """The loss without penalties."""
        some = {"last": states[-1:], "all": states, "some": [states[1], states[-1]]}
        read = some[self.draw.exits]
        # States can be shorter than the input, which some readouts add to them.
        losses = [
            decoding_loss(self.draw.loss, self.decoder(h, e[:, : h.shape[1]]), targets)
            for h in read
        ]
        return torch.stack(losses).mean()


class Branch(nn.Module):
    """What a turn writes, from a state that it sees normed or raw."""

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self.write = draw.write
        self.before, self.after = Norm(draw.norm, draw.width), Norm(draw.norm, draw.width)
        if "attention" in draw.write:
            self.body: nn.Module = Attention(draw.width)
        elif "swiglu" in draw.write:
            self.body = SwiGlu(draw.width)
        else:
            self.body = Mlp(draw.width, draw.activation)

    def forward(self, x: Tensor) -> Tensor:
        if self.write.startswith("raw"):
            return self.body(x)
        y = self.body(self.before(x))
        if self.write == "tanh":
            return torch.tanh(y)
        return self.after(y) if self.write == "sandwich" else y
