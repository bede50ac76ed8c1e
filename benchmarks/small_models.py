"""Writes small looped models into files, every one different from the others."""

from __future__ import annotations

from itertools import product
from pathlib import Path

_NORMS = ("nn.LayerNorm", "nn.RMSNorm")
_INNER = (
    "nn.Sequential(nn.Linear(DIM, 2 * DIM), nn.GELU(), nn.Linear(2 * DIM, DIM))",
    "nn.Sequential(nn.Linear(DIM, DIM), nn.Tanh(), nn.Linear(DIM, DIM))",
    "nn.Sequential(nn.Linear(DIM, DIM), nn.SiLU())",
)
_SUPERVISED = ("logits", "logits[-1:]")
_FILE = '''"""A small looped model."""

import torch
from torch import nn
from torch.nn import functional as F

DIM, VOCABULARY, TURNS = {dim}, 32, 4


class Looped{number}(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, DIM)
        self.norm, self.read_norm = {norm}(DIM), {norm}(DIM)
        self.inner = {inner}
        self.head = nn.Linear(DIM, VOCABULARY)

    def forward(self, tokens):
        h = self.embed(tokens)
        logits = []
        for _ in range(TURNS):
            h = h + self.inner(self.norm(h))
            logits.append(self.head(self.read_norm(h)))
        return logits


def loss(model, tokens, targets):
    logits = model(tokens)
    losses = [F.cross_entropy(each.flatten(0, 1), targets.flatten()) for each in {supervised}]
    return torch.stack(losses).mean()


def scaleaudit_target():
    tokens = torch.randint(0, VOCABULARY, (2, 8))
    return {{"model": Looped{number}(), "args": (tokens,), "loss": loss, "loss_args": (tokens, tokens)}}
'''


# What a commit changes beside models: helpers, settings as classes, tests.
_OTHERS = {
    "helpers.py": """import torch

def mask(length):
    return torch.ones(length, length).tril()
""",
    "settings.py": """from dataclasses import dataclass
from enum import Enum

class Size(Enum):
    SMALL = "small"

@dataclass
class Settings:
    size: Size = Size.SMALL
""",
    "test_helpers.py": """import unittest

from helpers import mask

class MaskTest(unittest.TestCase):
    def test_shape(self):
        self.assertEqual(mask(3).shape, (3, 3))
""",
}


def write_other_files(folder: Path) -> tuple[str, ...]:
    """Write files that hold no model, and return their paths."""
    for name, text in _OTHERS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(str(folder / name) for name in _OTHERS)


def write_small_models(folder: Path, count: int) -> tuple[str, ...]:
    """Write so many files, each with one blind model of its own, and return their paths."""
    variants = tuple(product(_NORMS, _INNER, _SUPERVISED))
    paths = []
    for number in range(count):
        norm, inner, supervised = variants[number % len(variants)]
        text = _FILE.format(
            number=number,
            dim=16 + 4 * (number // len(variants)),
            norm=norm,
            inner=inner,
            supervised=supervised,
        )
        path = folder / f"looped_{number:03}.py"
        path.write_text(text, encoding="utf-8")
        paths.append(str(path))
    return tuple(paths)
