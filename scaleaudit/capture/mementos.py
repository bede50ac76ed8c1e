"""What a run of a program may change in the objects that it reaches, kept to be put back.

A child process dies with whatever a capture left in the user's objects. A model that is captured
in the process of its owner must come back as it was: attributes, containers, caches, what
tensors hold, what generators draw next. Nothing of the user's is run to find that out.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import _lru_cache_wrapper, partial
from types import CellType, FunctionType, ModuleType
from typing import Any

import torch

from scaleaudit.capture.places import is_library_file, is_user_file
from scaleaudit.capture.reachable import (
    PLAIN,
    fixed_parts,
    is_of_library,
    is_settled,
    names_of_code,
    slots_of,
)

# Objects that a walk meets at most, the model's own first. What lies farther is left as it is.
_MOST = 200_000
# Bytes of tensors whose values are kept at most.
_MOST_BYTES = 4 << 30
_MISSING = object()

_Undo = Callable[[], object]


class Memento:
    """Objects as they were, with all that code which is handed them can get at.

    Args:
        roots: Where the walk starts; what comes first is kept first.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self._holders: list[dict[Any, Any] | list[Any] | CellType] = []
        self._tensors: dict[int, torch.Tensor] = {}
        self._undo: list[_Undo] = []
        self._values: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._swapped: set[int] = set()
        self._seen: dict[int, Any] = {}
        self._waiting: deque[Any] = deque()
        self._meet(roots)
        while self._waiting and len(self._seen) < _MOST:
            self._keep(self._waiting.popleft())

    def swap(self, twin_of: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Put other tensors in the place of those that attributes, containers and cells hold."""
        for holder in self._holders:
            if isinstance(holder, CellType):
                if isinstance(held := _content(holder), torch.Tensor):
                    holder.cell_contents = self._twin(held, twin_of)
                continue
            for key, value in _pairs(holder):
                if isinstance(value, torch.Tensor):
                    _base(holder).__setitem__(holder, key, self._twin(value, twin_of))

    def _twin(
        self, tensor: torch.Tensor, twin_of: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        self._swapped.add(id(tensor))
        return twin_of(tensor)

    def keep_values(self) -> None:
        """Keep what the tensors hold, too, but for those that others take the place of."""
        room = _MOST_BYTES
        for key, tensor in self._tensors.items():
            size = tensor.numel() * tensor.element_size()
            if key in self._swapped or tensor.is_meta or size > room or not _is_plain(tensor):
                continue
            room -= size
            self._values.append((tensor, tensor.detach().clone()))

    def restore(self) -> None:
        """Put everything back as it was; what did not change is not touched."""
        for undo in self._undo:
            undo()
        for tensor, value in self._values:
            if not torch.equal(tensor.detach(), value):
                with torch.inference_mode(tensor.is_inference()), torch.no_grad():
                    tensor.detach().copy_(value)

    # The walk.

    def _meet(self, values: Iterable[Any]) -> None:
        for value in values:
            if type(value) not in PLAIN and id(value) not in self._seen:
                self._seen[id(value)] = value
                self._waiting.append(value)

    def _keep(self, value: Any) -> None:
        """Keep what one object holds, and go on with what that is."""
        fixed = fixed_parts(value)
        if isinstance(value, torch.Tensor):
            self._tensor(value)
        elif fixed is not None:
            self._meet(fixed)
        elif isinstance(value, (dict, list, set, deque)):
            self._container(value)
        elif isinstance(value, CellType):
            self._cell(value)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, _lru_cache_wrapper):
            self._undo.append(partial(_forget_misses, value, value.cache_info().misses))
            self._meet((value.__wrapped__,))
        elif isinstance(value, (random.Random, torch.Generator)) or _is_numpys(value):
            self._undo.append(_draws_again(value))
        elif not isinstance(value, ModuleType) and (
            isinstance(value, torch.nn.Module) or not is_settled(value)
        ):
            self._object(value)

    def _tensor(self, tensor: torch.Tensor) -> None:
        self._tensors[id(tensor)] = tensor
        own = vars(tensor)
        self._undo.append(partial(_put_back, own, _elements(own)))
        self._meet(own.values())
        if tensor.is_leaf:
            self._undo.append(partial(_put_back_grad, tensor, tensor.requires_grad, tensor.grad))
            self._meet(() if tensor.grad is None else (tensor.grad,))

    def _container(self, value: Any) -> None:
        before = _elements(value)
        self._undo.append(partial(_put_back, value, before))
        self._meet(itertools.chain(*before) if isinstance(value, dict) else before)
        if isinstance(value, (dict, list)):
            self._holders.append(value)
        if not is_settled(value) and hasattr(value, "__dict__"):
            self._object(value)

    def _cell(self, cell: CellType) -> None:
        content = _content(cell)
        self._undo.append(partial(_fill_again, cell, content))
        if content is not _MISSING:
            self._holders.append(cell)
            self._meet((content,))

    def _function(self, function: FunctionType) -> None:
        """Keep what a function closes over, and the globals of a user's that its code names."""
        self._meet((*(function.__closure__ or ()), *(function.__defaults__ or ())))
        self._meet((function.__kwdefaults__ or {}).values())
        self._meet((vars(function),))
        if not is_library_file(function.__code__.co_filename):
            self._globals(function.__globals__, names_of_code(function.__code__))

    def _globals(
        self, known: dict[str, Any], names: tuple[str, ...], met: set[int] | None = None
    ) -> None:
        """Keep globals that code names, in files of the user's that it names too.

        Args:
            met: The modules that were looked at already; some name each other.
        """
        met = set() if met is None else met
        met.add(id(known))
        for name in names:
            value = known.get(name, _MISSING)
            if isinstance(value, ModuleType):
                if id(vars(value)) not in met and is_user_file(_file_of(value)):
                    self._globals(vars(value), names, met)
            elif value is not _MISSING:
                self._undo.append(partial(_bind_again, known, name, value))
                self._meet((value,))

    def _class(self, kind: type) -> None:
        """Keep the attributes of a user's class, and what its methods can get at."""
        for owner in kind.__mro__:
            if owner is object or is_of_library(owner):
                continue
            for name, value in list(vars(owner).items()):
                if not (name.startswith("__") and name.endswith("__")) or callable(value):
                    self._meet((value,))
                if not name.startswith("__") and not callable(value):
                    self._undo.append(partial(_set_again, owner, name, value))

    def _object(self, value: Any) -> None:
        """Keep an object's attributes, without asking it for any."""
        own = getattr(value, "__dict__", None)
        if isinstance(own, dict):
            self._meet((own,))
        for kind in type(value).__mro__:
            for descriptor in _descriptors(kind):
                held = _held(descriptor, value)
                if held is not _MISSING:
                    self._undo.append(partial(_put_in_slot, descriptor, value, held))
                    self._meet((held,))
        self._meet((type(value),))


def _file_of(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "<frozen"


def _base(holder: object) -> Any:
    """Return the built-in class of a container: what one of a user's does may be anything."""
    return next(kind for kind in (OrderedDict, dict, list, set, deque) if isinstance(holder, kind))


def _is_plain(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor holds numbers that can be compared with a copy of them."""
    return tensor.layout is torch.strided and type(tensor) in (torch.Tensor, torch.nn.Parameter)


def _elements(holder: Any) -> list[Any]:
    """Return what a container holds, of a dict the pairs, whatever methods its class has."""
    base = _base(holder)
    return list(base.items(holder) if isinstance(holder, dict) else base.__iter__(holder))


def _pairs(holder: Any) -> list[tuple[Any, Any]]:
    found = _elements(holder)
    return found if isinstance(holder, dict) else list(enumerate(found))


def _put_back(holder: Any, before: list[Any]) -> None:
    """Let a container hold what it did, in the order that it had."""
    now, base = _elements(holder), _base(holder)
    if isinstance(holder, dict):
        flat = itertools.chain.from_iterable
        if len(now) != len(before) or not all(map(_is, flat(now), flat(before))):
            base.clear(holder)
            for key, value in before:
                base.__setitem__(holder, key, value)
    elif len(now) != len(before) or not all(map(_is, now, before)):
        base.clear(holder)
        (base.update if isinstance(holder, set) else base.extend)(holder, before)


def _is(one: object, other: object) -> bool:
    return one is other


def _put_back_grad(
    tensor: torch.Tensor,
    required: bool,  # noqa: FBT001 - of a callback
    grad: torch.Tensor | None,
) -> None:
    if tensor.requires_grad is not required:
        tensor.requires_grad_(required)
    if tensor.grad is not grad:
        tensor.grad = grad


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing in it yet
        return _MISSING


def _fill_again(cell: CellType, content: Any) -> None:
    if _content(cell) is content:
        return
    if content is _MISSING:
        del cell.cell_contents
    else:
        cell.cell_contents = content


def _bind_again(known: dict[str, Any], name: str, value: Any) -> None:
    if known.get(name) is not value:
        known[name] = value


def _set_again(owner: type, name: str, value: Any) -> None:
    if vars(owner).get(name) is not value:
        type.__setattr__(owner, name, value)


def _forget_misses(cached: _lru_cache_wrapper[Any], misses: int) -> None:
    """Empty a cache that was given something to keep; what is asked again is computed again."""
    if cached.cache_info().misses != misses:
        cached.cache_clear()


def _descriptors(kind: type) -> Iterator[Any]:
    """Yield what reads and writes the slots that a class declares."""
    for name in slots_of(kind):
        mangled = f"_{kind.__name__.lstrip('_')}{name}"
        is_private = name.startswith("__") and not name.endswith("__")
        found = vars(kind).get(mangled if is_private else name)
        if found is not None:
            yield found


def _held(descriptor: Any, value: Any) -> Any:
    try:
        return descriptor.__get__(value)
    except AttributeError:  # nothing in it yet
        return _MISSING


def _put_in_slot(descriptor: Any, value: Any, held: Any) -> None:
    if _held(descriptor, value) is not held:
        descriptor.__set__(value, held)


def _is_numpys(value: object) -> bool:
    numpy: Any = sys.modules.get("numpy.random")
    return numpy is not None and isinstance(value, (numpy.Generator, numpy.RandomState))


def _draws_again(generator: Any) -> _Undo:
    """Return what makes a generator draw the same again."""
    if isinstance(generator, random.Random):
        return partial(generator.setstate, generator.getstate())
    if isinstance(generator, torch.Generator):
        return partial(generator.set_state, generator.get_state())
    bits = getattr(generator, "bit_generator", None)
    if bits is None:
        return partial(generator.set_state, generator.get_state())
    return partial(setattr, bits, "state", bits.state)
