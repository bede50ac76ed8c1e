"""The reference model in other depths, as targets: ``129m_turns_64``, ``layers_48``.

Those with layers are blind (read through RMSNorm at every turn), so an audit that did its work
says SCL101. ``bare_`` ones have no layers: what is left is the model's own forward, and the loss.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch

from benchmarks.depths import DEPTHS, LAYERS, TURNS
from scaleaudit.reference.config import (
    CONDITIONS,
    SIZE_129M,
    SIZES,
    ReferenceConfig,
    Size,
)
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.objective import looped_loss
from scaleaudit.reference.targets import BATCH, Target


def looped_decoder(size: Size, turns: int) -> Target:
    """Build the decoder of that size, run so many turns, with inputs of its context length."""
    config = ReferenceConfig(size, CONDITIONS["per_loop_rmsnorm"], turns)
    tokens = torch.randint(size.vocabulary, (BATCH, size.context + 1))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    return Target(
        model=LoopedDecoder(config),
        args=(inputs,),
        loss=looped_loss,
        loss_args=(inputs, targets),
    )


def _targets() -> dict[str, partial[Target]]:
    """Every depth of every size, with and without its layers, and more layers of the largest."""
    bare = {f"bare_{name}": replace(size, layers=0) for name, size in SIZES.items()}
    deep = {
        f"{name}_turns_{turns}": partial(looped_decoder, size, turns)
        for name, size in (SIZES | bare).items()
        for turns in DEPTHS
    }
    tall = {
        f"layers_{layers}": partial(looped_decoder, replace(SIZE_129M, layers=layers), TURNS)
        for layers in LAYERS
    }
    return deep | tall


globals().update({f"scaleaudit_target_{name}": build for name, build in _targets().items()})
