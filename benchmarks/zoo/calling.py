"""What a model is called with, told from the signature of its forward and its configuration."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from benchmarks.zoo.shrinking import VOCABULARY
from benchmarks.zoo.writing import Inputs

_BATCH = 2
_LENGTH, _LONGER = 16, 64
_MOST_POSITIONS = 512
_PIXELS = 224
# The first ids are special tokens in most vocabularies, the last ones are where others are put.
_FIRST, _LAST = VOCABULARY // 8, VOCABULARY // 2


class CallError(Exception):
    """Nobody can tell what a model is called with."""


def calls_of(model_class: type, config: Any, kind: str) -> Iterator[Inputs]:
    """Yield sets of inputs, the likelier ones first.

    Args:
        kind: What it is a model for, a key of KINDS: images have one label each, tokens too.

    Raises:
        CallError: Its forward takes neither tokens nor pixels.
    """
    names = set(inspect.signature(model_class.forward).parameters) - {"self"}
    if getattr(model_class, "main_input_name", "") == "pixel_values" or (
        "pixel_values" in names and "input_ids" not in names
    ):
        yield from _image_calls(names, config)
        return
    if not names & {"input_ids", "inputs"}:
        raise CallError(f"its forward takes {', '.join(sorted(names))}: neither tokens nor pixels")
    for length in dict.fromkeys((_LENGTH, _LONGER, _positions(config))):
        call = _token_call(names, length, config)
        yield call | (_image_labels(names, config) if kind == "image-classification" else {})


def _token_call(names: set[str], length: int, config: Any) -> Inputs:
    last = min(_LAST, _vocabulary(config))
    tokens = f"torch.randint({min(_FIRST, last // 2)}, {last}, ({_BATCH}, {length}))"
    call = {"input_ids" if "input_ids" in names else "inputs": tokens}
    if "decoder_input_ids" in names and getattr(config, "is_encoder_decoder", False):
        call["decoder_input_ids"] = tokens
    return call | ({"labels": tokens} if "labels" in names else {})


def _image_calls(names: set[str], config: Any) -> Iterator[Inputs]:
    vision = getattr(config, "vision_config", config)
    channels = getattr(vision, "num_channels", 3)
    declared = getattr(vision, "image_size", None) or _PIXELS
    sizes = tuple(declared) if isinstance(declared, list | tuple) else (declared, declared)
    for height, width in dict.fromkeys((sizes, (_PIXELS, _PIXELS))):
        pixels = f"torch.randn({_BATCH}, {channels}, {height}, {width})"
        yield {"pixel_values": pixels} | _image_labels(names, config)


def _image_labels(names: set[str], config: Any) -> Inputs:
    labels = f"torch.randint({getattr(config, 'num_labels', 2)}, ({_BATCH},))"
    return {"labels": labels} if "labels" in names else {}


def _vocabulary(config: Any) -> int:
    found = getattr(config.get_text_config(), "vocab_size", None)
    return found if isinstance(found, int) else VOCABULARY


def _positions(config: Any) -> int:
    for name in ("max_position_embeddings", "n_positions"):
        found = getattr(config, name, None)
        if isinstance(found, int):
            return min(found, _MOST_POSITIONS)
    return _MOST_POSITIONS
