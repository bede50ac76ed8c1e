"""What the code of a module can get at besides its arguments, as far as Python shows it.

A call of a module does again what it did before only if nothing that it reads has changed: the
attributes of its modules, what functions close over, globals that its code names, attributes of
classes. Tensors are told by identity here; what they hold is the recorder's affair.
"""

from __future__ import annotations

import functools
import inspect
import operator
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import cache
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch

from scaleaudit.capture.places import is_user_file

# Beyond these a module's surroundings are taken for unknown.
_DEPTH = 8
_MOST = 2000

_PLAIN = frozenset({
    type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range, slice, torch.dtype,
    torch.device, torch.Size,
})  # fmt: skip
# What every module has: its own dicts are walked, flags compared.
_OWN = frozenset(vars(torch.nn.Module()))
_HELD = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
# They keep nothing that a model would change.
_LIBRARIES = frozenset({
    "torch", "typing", "logging", "re", "pathlib", "enum", "operator", "abc", "inspect", "warnings",
})  # fmt: skip
_BUILT_IN = frozenset({"builtins", "collections", "types", "dataclasses", "functools"}) | _LIBRARIES
# They hand out something else every time, or may be written to unseen.
_FICKLE = (torch.Generator, ContextVar, weakref.ReferenceType, bytearray, memoryview)
_RANDOM = frozenset({"random", "numpy"})

_Read = Callable[[], Iterable[Any]]


class UnknownState(Exception):  # noqa: N818 - it is no error
    """Something is in reach of which nobody can tell whether it changes."""


class Reach:
    """What a module can read, as it was at one time.

    Args:
        root: The module.

    Attributes:
        tensors: Identities of the tensors in reach.

    Raises:
        UnknownState: Not all of it can be told, or a module has a hook of the user's.
    """

    def __init__(self, root: torch.nn.Module) -> None:
        self.tensors: set[int] = set()
        self._watched: list[tuple[_Read, tuple[Any, ...]]] = []
        self._hooks: list[Mapping[Any, Any]] = []
        self._seen: set[int] = set()
        self._module(root)
        self._seen.clear()

    def is_unchanged(self) -> bool:
        """Tell whether everything is the same object as it was, or an equal number or text."""
        return not any(self._hooks) and all(_is_as(read, before) for read, before in self._watched)

    def _watch(self, read: _Read) -> tuple[Any, ...]:
        """Remember what something holds that may hold something else one day."""
        values = tuple(read())
        self._watched.append((read, values))
        if len(self._watched) > _MOST:
            raise UnknownState
        return values

    def _is_new(self, value: object) -> bool:
        if id(value) in self._seen:
            return False
        self._seen.add(id(value))
        return True

    def _module(self, root: torch.nn.Module) -> None:
        for module in root.modules():
            if not self._is_new(module):
                continue
            own = module.__dict__
            hooks = [own[name] for name in _HOOKS]
            if any(hooks):
                raise UnknownState
            self._hooks.extend(hooks)
            self._watch(own.values)
            for name in _HELD:
                if own[name]:
                    held = self._watch(own[name].values)
                    self.tensors.update(map(id, held))
            if len(own) > len(_OWN):
                for name, value in own.items():
                    if name not in _OWN:
                        self._value(value, 0)
            self._kind(type(module), 0)

    def _values(self, values: Iterable[Any], depth: int) -> None:
        for value in values:
            self._value(value, depth + 1)

    def _value(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind in _PLAIN:
            return
        if isinstance(value, torch.Tensor):
            self.tensors.add(id(value))
            return
        if depth > _DEPTH:
            raise UnknownState
        if isinstance(value, torch.nn.Module):
            self._module(value)
        elif self._is_new(value):
            self._inside(value, depth)

    def _inside(self, value: Any, depth: int) -> None:
        """Look into what holds other values."""
        fixed = _fixed_parts(value)
        if fixed is not None:
            self._values(fixed, depth)
        elif isinstance(value, type):
            self._kind(value, depth)
        elif isinstance(value, FunctionType):
            self._function(value, depth)
        elif isinstance(value, dict):
            self._values(self._watch(value.keys), depth)
            self._values(self._watch(value.values), depth)
        elif isinstance(value, (list, set, deque)):
            self._values(self._watch(value.__iter__), depth)
        elif isinstance(value, CellType):
            self._values(self._watch(functools.partial(_contents, value)), depth)
        elif not _is_settled(value):
            self._object(value, depth)

    def _object(self, value: Any, depth: int) -> None:
        """Look into an object; one that keeps its state out of sight is unknown."""
        if isinstance(value, _FICKLE) or hasattr(value, "__next__") or _home(value) in _RANDOM:
            raise UnknownState
        slots = tuple(name for kind in type(value).__mro__ for name in _slots(kind))
        held = getattr(value, "__dict__", None)
        if not slots and not isinstance(held, dict):
            raise UnknownState
        if isinstance(held, dict):
            self._values(self._watch(held.values), depth)
        if slots:
            self._values(self._watch(functools.partial(_named, value, slots)), depth)
        self._kind(type(value), depth)

    def _kind(self, kind: type, depth: int) -> None:
        """Look into a class of the user's: the code of its methods, and its attributes."""
        for owner in kind.__mro__:
            if owner.__module__.partition(".")[0] in _BUILT_IN or not self._is_new(owner):
                continue
            for name, value in zip(vars(owner), self._watch(vars(owner).values), strict=True):
                written = inspect.unwrap(value) if isinstance(value, FunctionType) else value
                is_method = isinstance(written, (FunctionType, staticmethod, classmethod, property))
                if is_method or not (name.startswith("__") and name.endswith("__")):
                    self._value(written, depth + 1)

    def _function(self, function: FunctionType, depth: int) -> None:
        """Look into a function of the user's: what it closes over, which globals it names."""
        written = inspect.unwrap(function)
        if isinstance(written, FunctionType) and written is not function:
            self._value(written, depth)
        if not is_user_file(function.__code__.co_filename):
            return
        self._watch(functools.partial(_code, function))
        self._values(function.__defaults__ or (), depth)
        self._values((function.__kwdefaults__ or {}).values(), depth)
        self._values(function.__closure__ or (), depth)
        names, known = _names(function.__code__), function.__globals__
        found = tuple(name for name in names if name in known)
        for value in self._watch(functools.partial(_picked, known, found)):
            if not isinstance(value, ModuleType):
                self._value(value, depth + 1)
            elif is_user_file(getattr(value, "__file__", None) or "<frozen"):
                inner = tuple(name for name in names if name in vars(value))
                read = functools.partial(_picked, vars(value), inner)
                self._values(self._watch(read), depth)


def _fixed_parts(value: Any) -> Iterable[Any] | None:
    """Return what a value consists of for ever, None for what is no such value."""
    match value:
        case tuple() | frozenset():
            return value
        case MethodType():
            return value.__func__, value.__self__
        case functools.partial():
            return value.func, value.args, value.keywords
        case staticmethod() | classmethod():
            return (value.__func__,)
        case property():
            return value.fget, value.fset
        case _:
            return None


def _is_as(read: _Read, before: tuple[Any, ...]) -> bool:
    now = tuple(read())
    if len(now) != len(before):
        return False
    return all(map(operator.is_, now, before)) or all(map(_same, now, before))


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    return type(one) is type(other) and type(one) in _PLAIN and bool(one == other)


def _is_settled(value: Any) -> bool:
    """Tell whether an object keeps nothing that a model would change: a library's, a built-in."""
    if isinstance(value, _FICKLE):
        return False
    return isinstance(value, _BUILTINS) or _home(value) in _LIBRARIES


_BUILTINS = (
    BuiltinFunctionType,
    ModuleType,
    type(str.join),
    type(object.__init__),
    type(vars(int)["real"]),
    type(functools.lru_cache(len)),
    functools.cached_property,
)


def _home(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _slots(kind: type) -> tuple[str, ...]:
    found = vars(kind).get("__slots__", ())
    names = (found,) if isinstance(found, str) else tuple(found)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def _contents(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # nothing in it yet
        return ()


def _named(value: object, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(getattr(value, name, None) for name in names)


def _picked(known: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(known.get(name) for name in names)


def _code(function: FunctionType) -> tuple[Any, ...]:
    return function.__code__, function.__defaults__, function.__kwdefaults__


@cache
def _names(code: CodeType) -> tuple[str, ...]:
    """Return the names that code asks for, code inside of it included."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return tuple(dict.fromkeys((*code.co_names, *(n for each in inner for n in _names(each)))))
