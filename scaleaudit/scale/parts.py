"""Values joined from parts that the loss sees differently: each part is followed by itself.

Raw and normed elements side by side have one degree, that of the raw ones; where they read other
positions of the state, the normed ones hide theirs. A part stands for the whole that it is in: it is
what the value would be if all of it were made like this part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from scaleaudit.domain.facts import Visibility
from scaleaudit.domain.scale import Scale, Support
from scaleaudit.scale import algebra, judge
from scaleaudit.scale.copying import replace

# What a part read of the state where it was joined, and its number among those.
Label: TypeAlias = tuple[int, ...]
Parts: TypeAlias = "Mapping[Label, Scale]"


def joined(whole: Scale) -> Parts:
    """Return the parts of a value that has just been joined, where it makes odds to know them."""
    pieces = [piece for piece in whole.pieces if piece.depends]
    if whole.opaque or any(piece.opaque or piece.support is None for piece in pieces):
        return {}
    kinds: dict[Visibility, list[Scale]] = {}
    for piece in pieces:
        kinds.setdefault(judge.visibility(piece), []).append(piece)
    parts = [_one(alike, whole) for alike in kinds.values()]
    supports = [part.support for part in parts if part.support is not None]
    told = all(support.exact for support in supports)
    if len(parts) < 2 or (told and len({support.reads for support in supports}) == 1):
        return {}
    return {(*s.reads, i): part for i, (s, part) in enumerate(zip(supports, parts, strict=True))}


def _one(pieces: list[Scale], whole: Scale) -> Scale:
    """Pieces that are seen alike, as a value of the shape of the whole."""
    part = algebra.mixture(*(replace(piece, shape=whole.shape) for piece in pieces))
    assert part.support is not None
    axes = (None,) * len(whole.shape)
    support = replace(part.support, axes=axes, blurred=True)
    return replace(part, given=None, size=None, peak_of=None, shape=whole.shape, support=support)


def labels_of(operands: Sequence[Parts]) -> tuple[Label, ...]:
    """Return the parts of any operand."""
    return tuple(dict.fromkeys(label for parts in operands for label in parts))


def part_of(whole: Scale, parts: Parts, label: Label) -> Scale:
    """Return a part of an operand; one that is made of other parts is taken whole, untold."""
    if not parts:
        return whole
    found = parts.get(label)
    if found is not None or whole.support is None:
        return found or whole
    return algebra.same_value(whole, whole.shape, algebra.untold(whole.support))


def made(whole: Scale, parts: Parts, operands: Sequence[Parts]) -> Parts:
    """Return the parts of a result, which read no more of the state than the whole does.

    Args:
        parts: The result for every part of the operands.
        operands: The parts of the operands.
    """
    if not whole.depends or whole.opaque or whole.support is None:
        return {}
    found: dict[Label, Scale] = {}
    for label, part in parts.items():
        exact = all(_is_told(held.get(label)) for held in operands if held)
        for name, piece in (joined(part) or {label: part}).items():
            key = name if name not in found else (*name, len(found))
            found[key] = _within(piece, whole.support, exact=exact)
    return found


def _is_told(part: Scale | None) -> bool:
    return part is not None and (part.support is None or part.support.exact)


def _within(part: Scale, whole: Support, *, exact: bool) -> Scale:
    if part.support is None or len(part.support.reads) != len(whole.reads):
        return part
    reads = tuple(p & w for p, w in zip(part.support.reads, whole.reads, strict=True))
    support = replace(part.support, reads=reads, exact=exact and whole.exact)
    return algebra.same_value(part, part.shape, support)


def without_pieces(scale: Scale) -> Scale:
    """Return a value that does not say any more what it was joined from."""
    return replace(scale, given=scale.form, pieces=()) if scale.pieces else scale
