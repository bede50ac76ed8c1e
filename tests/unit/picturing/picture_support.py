"""Small looped models and the pictures of their states."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scaleaudit.capture.capturing import capture
from scaleaudit.capture.targets import Target
from scaleaudit.domain.facts import StateFacts
from scaleaudit.domain.picture import Box, BoxKind, Edge, Picture
from scaleaudit.loops.finder import find_loops
from scaleaudit.picturing.picturing import with_pictures
from scaleaudit.scale.analysis import study

WIDTH, TURNS = 8, 3


class Layer(nn.Module):
    """Pre-norm: attention without heads, then a small MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        q = self.mix(self.first(x))
        x = x + F.scaled_dot_product_attention(q, q, q)
        return x + self.mlp(self.second(x))


class Looped(nn.Module):
    """A loop whose turn and loss are given as functions of the model and the state."""

    def __init__(
        self,
        turn: Callable[[Looped, Tensor], Tensor],
        loss: Callable[[Looped, Tensor], Tensor],
        layers: int = 1,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.norm, self.head = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, WIDTH)
        self.map, self.gate = nn.Linear(WIDTH, WIDTH), nn.Parameter(torch.zeros(WIDTH))
        self.turn, self.loss = turn, loss

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for _ in range(TURNS):
            h = self.turn(self, h)
        return self.loss(self, h)


def normed(model: Looped, h: Tensor) -> Tensor:
    """A loss that reads the state through a norm."""
    return F.cross_entropy(model.head(model.norm(h)).flatten(0, 1), torch.zeros(8).long())


def raw(model: Looped, h: Tensor) -> Tensor:
    """A loss that reads the state as it is."""
    return F.cross_entropy(model.head(h).flatten(0, 1), torch.zeros(8).long())


def layered(model: Looped, h: Tensor) -> Tensor:
    """A turn through all layers."""
    for layer in model.layers:
        h = layer(h)
    return h


@dataclass(frozen=True, slots=True)
class Pictured:
    """A state with its picture."""

    facts: StateFacts
    picture: Picture

    def boxes(self, kind: BoxKind) -> list[Box]:
        return [box for box in self.picture.boxes if box.kind is kind]

    def into(self, box: Box) -> list[Edge]:
        return [e for e in self.picture.edges if e.target == box.id and not e.recurrent]

    @property
    def around(self) -> Edge:
        (edge,) = (edge for edge in self.picture.edges if edge.recurrent)
        return edge


def pictured(model: nn.Module, *args: Any) -> list[Pictured]:
    """Audit a model that returns its loss, and return its states."""

    def rebuild(*, fake: bool) -> Target:
        return target(copy.deepcopy(model))

    def target(made: nn.Module) -> Target:
        loss = lambda each, *given: each(*given)  # noqa: E731
        named = type(model).__name__
        return Target(Path(__file__), named, made, args, {}, loss, args, None, None, rebuild)

    graph = capture(target(model)).graph
    nest = find_loops(graph)
    studied = study(graph, nest)
    facts = with_pictures(graph, nest, studied.facts, studied.judged())
    states = [state for loop in facts.loops for state in loop.states]
    return [Pictured(state, state.picture) for state in states if state.picture is not None]


def looped(
    turn: Callable[[Looped, Tensor], Tensor],
    loss: Callable[[Looped, Tensor], Tensor],
    layers: int = 1,
) -> Pictured:
    """Return the only state of a looped model."""
    (found,) = pictured(Looped(turn, loss, layers), torch.randn(2, 4, WIDTH))
    return found
