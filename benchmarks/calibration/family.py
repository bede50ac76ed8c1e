"""The reference models at the calibration's sizes and initialisations, as a target declares them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.calibration.cases import CHAIN, DEVIATIONS, WIDTHS, Family
from scaleaudit.reference.config import CONDITIONS, ReferenceConfig
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.objective import looped_loss

_BATCH = 8
# A chain of order 2: what a token is depends on the two before, and few come next.
_SYMBOLS, _SHARPNESS, _CHAIN_SEED = 32, 2.5, 7
# Enough batches for any run; the probe starts over where they end.
_BATCHES = 400


def declared(family: Family) -> dict[str, Any]:
    """Return what ``scaleaudit_target()`` of such a model returns."""
    size = WIDTHS[family.size]
    model = LoopedDecoder(ReferenceConfig(size=size, condition=CONDITIONS[family.model]))
    for embedding in (model.token_embedding, model.position_embedding):
        nn.init.normal_(embedding.weight, std=DEVIATIONS[family.initialisation])
    tokens = torch.randint(size.vocabulary, (_BATCH, size.context + 1))
    pair = tokens[:, :-1], tokens[:, 1:]
    target = {"model": model, "args": pair[:1], "loss": looped_loss, "loss_args": pair}
    if family.data == CHAIN:
        target["batches"] = lambda: chained(size.vocabulary, size.context)
    return target


def chained(vocabulary: int, context: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of a Markov chain of order 2, its symbols spread over the vocabulary.

    The chain is always the same; where the sequences start and go, torch's own numbers decide.
    """
    chances = _chances()
    spread = vocabulary // _SYMBOLS
    for _ in range(_BATCHES):
        found = [torch.randint(_SYMBOLS, (_BATCH,)) for _ in range(2)]
        while len(found) <= context:
            found.append(torch.multinomial(chances[found[-2], found[-1]], 1).squeeze(-1))
        tokens = spread * torch.stack(found, dim=-1)  # (batch, context + 1)
        yield tokens[:, :-1], tokens[:, 1:]


def _chances() -> Tensor:
    """Return how likely each symbol is after each pair, (symbols, symbols, symbols)."""
    source = torch.Generator().manual_seed(_CHAIN_SEED)
    after_one, after_two = (
        torch.randn(shape, generator=source)
        for shape in ((1, _SYMBOLS, _SYMBOLS), (_SYMBOLS, _SYMBOLS, _SYMBOLS))
    )
    return torch.softmax(_SHARPNESS * (after_one + after_two), dim=-1)
