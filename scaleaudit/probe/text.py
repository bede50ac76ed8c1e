"""Text to learn from that every machine has: the sources of the standard library, as tokens."""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from scaleaudit.errors import ProbeError

# Enough that 100 steps of 8 x 256 tokens meet little of it twice.
_BYTES = 2 << 20
_BYTE = 256
# A multiplier that spreads pairs of bytes over any vocabulary (Knuth, TAOCP 3, 6.4).
_SPREAD = 2654435761


def tokens(vocabulary: int) -> Tensor:
    """Return a long text as tokens below a limit.

    Bytes stand for themselves; in smaller vocabularies they are folded, in ones of at least twice
    the size two of them are hashed to a token, so that more of it is used.
    """
    text = _text()
    if vocabulary < 2 * _BYTE:
        return text % vocabulary
    even = text[: len(text) // 2 * 2].view(-1, 2)
    pairs = even[:, 0] * _BYTE + even[:, 1]
    return (pairs * _SPREAD >> 16) % vocabulary


@cache
def _text() -> Tensor:
    folder = Path(sysconfig.get_paths()["stdlib"])
    found = bytearray()
    for file in sorted(folder.glob("*.py")):
        found += file.read_bytes()
        if len(found) >= _BYTES:
            break
    if not found:
        raise ProbeError(
            f"there are no sources of the standard library in {folder} to make training data of",
            hint='Give "batches" in scaleaudit_target().',
        )
    return torch.frombuffer(found[:_BYTES], dtype=torch.uint8).long()
