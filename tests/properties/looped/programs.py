"""Random looped models of every family, by family and seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from looped.draws import CHOICES, EXACT_FAMILIES, Draw, random_draw, settled
from looped.families.base import Family, Shape
from looped.families.caches import Caches
from looped.families.coupled import Coupled
from looped.families.memory import Memory
from looped.families.nested import Nested
from looped.families.positions import Positions
from looped.families.streams import Streams
from looped.model import build, data_of, made_generic

COUNTED_FAMILIES: dict[str, type[Family]] = {
    "coupled": Coupled,
    "nested": Nested,
    "memory": Memory,
    "streams": Streams,
    "caches": Caches,
    "positions": Positions,
}
"""Models whose loops and states are counted, and whose facts are certified."""
FAMILIES = (*EXACT_FAMILIES, *COUNTED_FAMILIES)


@dataclass(frozen=True, slots=True)
class Program:
    """A model whose loss is its output, and what must be found in it."""

    model: nn.Module
    args: tuple[Tensor, ...]
    shape: Shape
    told: str


def _shape(draw: Draw) -> Shape:
    """One state in one loop; normed at some boundaries and detached there, it may count as two."""
    alternates = draw.after == "norm every second" and draw.gradient.startswith("detached")
    return Shape(states=frozenset({1, 2})) if alternates else Shape()


def random_program(family: str, seed: int) -> Program:
    """Draw a model of a family; ``plain`` ones are those of ``random_draw``."""
    if family in EXACT_FAMILIES:
        draw = random_draw(seed, family)
        model, *args = build(draw)
        return Program(model, tuple(args), _shape(draw), str(draw))
    made = COUNTED_FAMILIES[family]
    source = random.Random(seed)
    options = {**CHOICES, "gate_term": ("none",), "written": ("for",), **made.CHANGES}
    chosen = {name: source.choice(each) for name, each in options.items()}
    draw, own = settled({**chosen, "seed": seed}), made.chosen(source)
    torch.manual_seed(seed)
    model = made_generic(made(draw, own).double())
    return Program(model, data_of(draw), model.shape, f"{own} {draw}")
