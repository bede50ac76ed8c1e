"""What the code of a module can get at besides its arguments, as far as Python shows it.

A call of a module does again what it did before only if nothing that it reads has changed: the
attributes of its modules, what functions close over, globals that its code names, attributes of
classes, of functions, of tensors. Tensors are told by identity here; what they hold is the
recorder's affair. What cannot be followed (iterators, caches, code that asks for the environment)
is unknown, and a module that can reach it is run every time.
"""

from __future__ import annotations

import functools
import inspect
import operator
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import cache
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple

import torch

from scaleaudit.capture import marks
from scaleaudit.capture.places import is_library_file, is_user_file

# Beyond these a module's surroundings are taken for unknown.
_DEPTH = 8
_MOST = 2000

PLAIN = frozenset({
    type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range, slice, torch.dtype,
    torch.device, torch.Size, torch.layout, torch.memory_format,
})  # fmt: skip
# What every module has: its own dicts are walked, flags compared.
_OWN = frozenset(vars(torch.nn.Module()))
_HELD = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
# Objects of these libraries keep nothing that a model would change.
_LIBRARIES = frozenset({
    "torch", "typing", "logging", "re", "pathlib", "enum", "operator", "abc", "inspect", "warnings",
})  # fmt: skip
# They hand out something else every time, or may be written to unseen.
_FICKLE = (
    torch.Generator, ContextVar, weakref.ReferenceType, bytearray, memoryview,
    type(functools.lru_cache(len)),
)  # fmt: skip
_RANDOM = frozenset({"random", "numpy"})
# Code that names these may read what no walk finds.
_WINDOWS = frozenset({
    "globals", "eval", "exec", "environ", "getenv", "modules", "_getframe", "currentframe", "open",
    "input", "default_rng", "urandom", "perf_counter", "monotonic", "time_ns",
})  # fmt: skip
# Code that names these may ask for a name that it was given as text.
_BY_TEXT = frozenset({"getattr", "hasattr", "vars", "__dict__"})
# Code that names these may tell one module from another that is built alike.
_MIRRORS = frozenset({"id", "repr", "hash", "data_ptr"})
_MISSING = object()

_Read = Callable[[], Iterable[Any]]


class UnknownState(Exception):  # noqa: N818 - it is no error
    """Something is in reach of which nobody can tell whether it changes."""


class Reach:
    """What a module can read, as it was at one time.

    Args:
        root: The module.
        extras: Tells which attributes of a tensor are the user's.
        others: Objects and classes that it is given, which it can read as well.

    Attributes:
        tensors: Identities of the tensors in reach.
        watched: How to read what holds other values, and what it held, in the order of the walk.
        knows_itself: Whether code in reach may tell the module from one that is built alike.

    Raises:
        UnknownState: Not all of it can be told, or a module has a hook of the user's.
    """

    def __init__(
        self,
        root: torch.nn.Module,
        extras: Callable[[torch.Tensor], tuple[str, ...]],
        others: Iterable[Any] = (),
    ) -> None:
        self.root = root
        self.knows_itself = False
        self._extras = extras
        self.tensors: set[int] = set()
        self.watched: list[tuple[_Read, tuple[Any, ...]]] = []
        self._hooks: list[Mapping[Any, Any]] = []
        self._seen: set[int] = set()
        self._module(root)
        self._values(others, 0)
        self._seen.clear()

    def is_unchanged(self) -> bool:
        """Tell whether everything is the same object as it was, or an equal number or text."""
        return not any(self._hooks) and all(_is_as(read, before) for read, before in self.watched)

    def _watch(self, read: _Read) -> tuple[Any, ...]:
        """Remember what something holds that may hold something else one day."""
        values = tuple(read())
        self.watched.append((read, values))
        if len(self.watched) > _MOST:
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
            self._watch(own.keys)
            self._watch(own.values)
            for name in _HELD:
                if own[name]:
                    self._watch(own[name].keys)
                    held = self._watch(own[name].values)
                    self._tensors([value for value in held if isinstance(value, torch.Tensor)])
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
        if kind in PLAIN:
            return
        if isinstance(value, torch.Tensor):
            self._tensors([value])
            return
        if depth > _DEPTH:
            raise UnknownState
        if isinstance(value, torch.nn.Module):
            self._module(value)
        elif isinstance(value, type):
            self._kind(value, depth)
        elif self._is_new(value):
            self._inside(value, depth)

    def _tensors(self, tensors: list[torch.Tensor]) -> None:
        """Take in tensors, and what the user put on them."""
        self.tensors.update(map(id, tensors))
        if not tensors:
            return
        self._watch(functools.partial(_tags, tensors))
        for tensor in tensors:
            names = self._extras(tensor)
            if names:
                self._values(self._watch(functools.partial(_named, tensor, names)), 0)

    def _inside(self, value: Any, depth: int) -> None:
        """Look into what holds other values."""
        fixed = fixed_parts(value)
        if fixed is not None:
            self._values(fixed, depth)
        elif isinstance(value, FunctionType):
            self._function(value, depth)
        elif isinstance(value, ModuleType):
            self._file(value, (), depth)
        elif isinstance(value, CellType):
            self._values(self._watch(functools.partial(_contents, value)), depth)
        elif isinstance(value, (dict, list, set, deque)):
            self._container(value, depth)
        elif not is_settled(value):
            self._object(value, depth)

    def _container(self, value: Any, depth: int) -> None:
        if isinstance(value, dict):
            self._values(self._watch(value.keys), depth)
            self._values(self._watch(value.values), depth)
        else:
            self._values(self._watch(value.__iter__), depth)
        if hasattr(value, "__dict__"):
            self._object(value, depth)

    def _object(self, value: Any, depth: int) -> None:
        """Look into an object; one that keeps its state out of sight is unknown."""
        if isinstance(value, _FICKLE) or hasattr(value, "__next__") or _home(value) in _RANDOM:
            raise UnknownState
        slots = tuple(name for kind in type(value).__mro__ for name in slots_of(kind))
        held = getattr(value, "__dict__", None)
        if not slots and not isinstance(held, dict):
            raise UnknownState
        if isinstance(held, dict):
            self._watch(held.keys)
            self._values(self._watch(held.values), depth)
        if slots:
            self._values(self._watch(functools.partial(_named, value, slots)), depth)
        self._kind(type(value), depth)

    def _kind(self, kind: type, depth: int) -> None:
        """Look into a class of the user's: the code of its methods, and its attributes."""
        for owner in kind.__mro__:
            if is_of_library(owner) or not self._is_new(owner):
                continue
            for name, value in zip(vars(owner), self._watch(vars(owner).values), strict=True):
                is_method = isinstance(value, (FunctionType, staticmethod, classmethod, property))
                if is_method or not (name.startswith("__") and name.endswith("__")):
                    self._value(value, depth + 1)

    def _function(self, function: FunctionType, depth: int) -> None:
        """Look into a function: what it closes over; of the user's what its code names."""
        written = inspect.unwrap(function)
        if isinstance(written, FunctionType) and written is not function:
            self._value(written, depth)
        self._values(function.__closure__ or (), depth)
        if vars(function):
            self._container(vars(function), depth)
        file = function.__code__.co_filename
        if not is_user_file(file) and (not file.startswith("<") or file.startswith("<frozen")):
            return
        self._watch(functools.partial(_code, function))
        self._values(function.__defaults__ or (), depth)
        self._values((function.__kwdefaults__ or {}).values(), depth)
        names, known = names_of_code(function.__code__), function.__globals__
        if not _WINDOWS.isdisjoint(names):
            raise UnknownState
        self.knows_itself |= not _MIRRORS.isdisjoint(names)
        self._named_in(known, names, depth)

    def _named_in(self, known: Mapping[str, Any], names: tuple[str, ...], depth: int) -> None:
        """Look at the globals that code names, in files of the user's that it names too."""
        if depth > _DEPTH:
            raise UnknownState
        for value in self._watch(functools.partial(_picked, known, names)):
            if isinstance(value, ModuleType):
                self._file(value, names, depth + 1)
            elif value is not _MISSING:
                self._value(value, depth + 1)

    def _file(self, module: ModuleType, names: tuple[str, ...], depth: int) -> None:
        """Look at the globals of a user's file that code names, or may name."""
        if not is_user_file(getattr(module, "__file__", None) or "<frozen"):
            return
        known = vars(module)
        if not names or not _BY_TEXT.isdisjoint(names):
            self._watch(known.keys)
            values = self._watch(known.values)
            self._values(
                (v for v in values if not isinstance(v, (ModuleType, FunctionType))), depth
            )
        else:
            self._named_in(known, names, depth)


def fixed_parts(value: Any) -> Iterable[Any] | None:
    """Return what a value consists of for ever, None for what is no such value."""
    match value:
        case tuple() | frozenset():
            return value
        case MethodType() | BuiltinFunctionType():
            return getattr(value, "__func__", None), value.__self__
        case functools.partial():
            return value.func, value.args, value.keywords
        case staticmethod() | classmethod() | property():
            return tuple(getattr(value, name, None) for name in ("__func__", "fget", "fset"))
        case _:
            return None


def _is_as(read: _Read, before: tuple[Any, ...]) -> bool:
    now = tuple(read())
    if len(now) != len(before):
        return False
    return all(map(operator.is_, now, before)) or all(map(same, now, before))


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are one object, or an equal number or text."""
    if one is other:
        return True
    if type(one) is not type(other) or type(one) not in PLAIN or one != other:
        return False
    return repr(one) == repr(other)  # 0.0 is not -0.0, nor are ranges that hold the same


def is_settled(value: Any) -> bool:
    """Tell whether an object keeps nothing that a model would change: a library's, a built-in."""
    if isinstance(value, _FICKLE):
        return False
    return isinstance(value, _BUILTINS) or (
        _home(value) in _LIBRARIES and is_of_library(type(value))
    )


class _Named(NamedTuple):
    """For the type of its fields' descriptors."""

    field: int


_BUILTINS = (
    type(str.join),
    type(object.__init__),
    type(vars(int)["real"]),
    MemberDescriptorType,
    type(vars(_Named)["field"]),
    functools.cached_property,
)


def is_of_library(owner: type) -> bool:
    """Tell whether a class is Python's or torch's own, by the file that it is written in."""
    file = getattr(sys.modules.get(owner.__module__), "__file__", None)
    if file is not None:
        return is_library_file(file)
    home = owner.__module__.partition(".")[0]
    return home in sys.stdlib_module_names or home == "torch"


def _tags(tensors: list[torch.Tensor]) -> list[int]:
    """Return how many attributes tensors have, but for those that capture puts on them."""
    return [len(own) - sum(mark in own for mark in marks.ALL) for own in map(vars, tensors)]


def _home(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def slots_of(kind: type) -> tuple[str, ...]:
    """Return the names of the slots that a class declares."""
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
    return tuple(known.get(name, _MISSING) for name in names)


def _code(function: FunctionType) -> tuple[Any, ...]:
    return function.__code__, function.__defaults__, function.__kwdefaults__


@cache
def names_of_code(code: CodeType) -> tuple[str, ...]:
    """Return the names that code asks for, code inside of it included."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return tuple(
        dict.fromkeys((*code.co_names, *(n for each in inner for n in names_of_code(each))))
    )
