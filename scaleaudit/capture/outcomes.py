"""What operators return for what they are given: shapes, strides and types, seen once.

A model runs the same operators on values of the same shapes in every layer and every turn. The
fake world works each of them out anew, or looks it up at nearly the same cost; here the second
time costs a tenth of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch

from scaleaudit.capture._torch_private import FakeTensor, FakeTensorMode, OpOverload, storage_key
from scaleaudit.capture.schemas import op_info

_CPU, _META = torch.device("cpu"), torch.device("meta")
_PLAIN = frozenset({
    type(None), bool, int, float, complex, str, torch.dtype, torch.device, torch.layout,
    torch.memory_format,
})  # fmt: skip

# Shape, strides, type, and where in its memory a view begins.
_Form: TypeAlias = tuple[torch.Size, tuple[int, ...], torch.dtype, int]
_Key: TypeAlias = tuple[Any, ...]


class Outcomes:
    """Remembers the outcomes of operators that make tensors or views, or write to one in place."""

    def __init__(self, mode: FakeTensorMode) -> None:
        self._mode = mode
        # The type of list that was returned, what is in it, whether that shares memory with
        # the first argument.
        self._known: dict[_Key, tuple[type | None, tuple[_Form, ...], bool]] = {}

    def key(self, op: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Key | None:
        """Return what an outcome depends on; None where that is not known, or is not all."""
        info = op_info(op)
        if info.writes and not _writes_in_place(op):
            return None
        first = args[0] if args else None
        if (info.writes or info.views) and not self._is_plain(first):
            return None
        offset = first.storage_offset() if isinstance(first, torch.Tensor) else 0
        found: list[Any] = [op, offset]
        plain = all(self._add(value, found) for value in args) and all(
            self._add((name, value), found) for name, value in kwargs.items()
        )
        return tuple(found) if plain else None

    def again(self, key: _Key | None, args: tuple[Any, ...]) -> Any:
        """Return new tensors as before; None where this was never seen."""
        known = None if key is None else self._known.get(key)
        if known is None:
            return None
        kind, forms, shared = known
        if not forms:
            return args[0]
        if shared:
            memory = args[0].untyped_storage()
            made = [self._view(memory, form) for form in forms]
        else:
            made = [like(self._mode, *form[:3]) for form in forms]
        return made[0] if kind is None else kind(made)

    def keep(self, key: _Key | None, out: Any, args: tuple[Any, ...]) -> None:
        """Remember an outcome, if it is made of new tensors, or of views of the first argument."""
        if key is None:
            return
        if op_info(key[0]).writes:
            if out is args[0] and key[2] == (out.shape, out.stride(), out.dtype):
                self._known[key] = None, (), True
            return
        kind = None if isinstance(out, torch.Tensor) else type(out)
        made = [out] if kind is None else out
        if kind not in (None, tuple, list) or not all(map(self._is_plain, made)):
            return
        memories = [storage_key(tensor) for tensor in made]
        given = [storage_key(value) for value in args if isinstance(value, torch.Tensor)]
        shared = set(memories) == set(given[:1])
        if shared or (len(set(memories)) == len(memories) and set(given).isdisjoint(memories)):
            forms = ((t.shape, t.stride(), t.dtype, t.storage_offset()) for t in made)
            self._known[key] = kind, tuple(forms), shared

    def _view(self, memory: torch.UntypedStorage, form: _Form) -> torch.Tensor:
        shape, strides, dtype, offset = form
        view = torch.empty(0, dtype=dtype, device=_META)
        view.set_(memory, offset, shape, strides)
        return FakeTensor(self._mode, view, _CPU)

    def _add(self, value: Any, found: list[Any]) -> bool:
        kind = type(value)
        if kind in _PLAIN:
            found.append((kind, value))
            return True
        if kind is FakeTensor:
            found.append((value.shape, value.stride(), value.dtype))
            return self._is_plain(value)
        if kind in (tuple, list, torch.Size):
            found.append((kind, len(value)))
            return all(self._add(item, found) for item in value)
        return False

    def _is_plain(self, value: object) -> bool:
        """Tell whether a tensor is of this world and is no more than its shape says."""
        return (
            type(value) is FakeTensor
            and value.fake_mode is self._mode
            and value.constant is None
            and value.layout is torch.strided
            and not value.is_conj()
            and not value.is_neg()
        )


def _writes_in_place(op: OpOverload) -> bool:
    """Tell whether an operator returns its first argument, written to, with its shape kept."""
    info = op_info(op)
    written = [argument.written for argument in info.arguments]
    one = written[0] and not any(written[1:]) and info.returns == (info.arguments[0].alias,)
    return one and torch.Tag.inplace_view not in op.tags


def like(
    mode: FakeTensorMode, shape: torch.Size, strides: tuple[int, ...], dtype: torch.dtype
) -> torch.Tensor:
    """Return a new fake tensor, with memory of its own."""
    return FakeTensor(mode, torch.empty_strided(shape, strides, dtype=dtype, device=_META), _CPU)
