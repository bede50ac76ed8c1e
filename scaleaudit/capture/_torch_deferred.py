"""Keeps torch's compiler and its symbolic shapes from loading where nobody needs them.

Fake tensors ask ``torch.fx.experimental.symbolic_shapes`` whether plain numbers are symbolic, and
``torch._dynamo`` to step aside. The answers are known beforehand, but to ask loads both modules,
and sympy with them, which takes as long as ``import torch`` itself.

So, in processes that audit, these modules are *deferred*. What lies in ``sys.modules`` in their
place answers such questions by itself, with the stand-ins of ``_torch_stand_ins``, and runs
torch's own code, in the same module object, as soon as anybody asks for more: another name, an
argument that is not plain, or a submodule. Who needs the real module gets it, only later.

Private names of torch, each with its reason. The public way round all of them is to defer nothing,
which is what happens where a name isn't found:

- ``torch._dynamo``, ``torch._dynamo.source``, ``torch.fx.experimental.symbolic_shapes``,
  ``torch.utils._sympy.functions``: deferred, as is ``sympy``.
- ``torch._dynamo.config``: loaded without its package, since it imports nothing heavy.
- ``_disable_current_modes``, ``DisableTorchFunction``: no mode sees how a module loads.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from scaleaudit.capture._torch_stand_ins import (
    DYNAMO,
    NO_INSTANCES,
    STAND_INS,
    forget_disabled,
)

# Set by who suspects that something goes wrong here; everything is loaded at once then.
OFF = "SCALEAUDIT_LOAD_ALL"

# The part of a deferred package that does without the rest of it.
_CONFIG = f"{DYNAMO}.config"

# What Python looks for in every module.
_NOT_ASKED_FOR = frozenset({"__path__", "__warningregistry__", "__wrapped__"})


class Deferred(ModuleType):
    """A module whose code runs when it is asked for more than its stand-ins know."""

    def __getattr__(self, name: str) -> Any:
        """Run the module's code for a name that no stand-in has."""
        if name not in _NOT_ASKED_FOR:
            load(self)
        return ModuleType.__getattribute__(self, name)


class _Deferrals:
    """What is deferred, and what is to be done when the compiler loads."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stand_ins: dict[str, Mapping[str, Any]] = {}
        self.begun: set[str] = set()
        self.on_compiler: list[Callable[[], object]] = []


_deferrals = _Deferrals()


def defer(wanted: Mapping[str, Mapping[str, Any]] = STAND_INS) -> bool:
    """Defer what can be deferred, before anything uses a fake tensor.

    Args:
        wanted: The stand-ins of each module, packages before their parts.

    Returns:
        Whether nothing that was wanted will load before it is needed.
    """
    if os.environ.get(OFF):
        return False
    names = [name for name in wanted if name not in sys.modules]
    with ExitStack() as undo:
        try:
            sys.meta_path.insert(0, _PARTS)
            undo.callback(sys.meta_path.remove, _PARTS)
            for name in names:
                _put_in_place(name, wanted[name])
                undo.callback(_take_away, name)
            if DYNAMO in names:
                importlib.import_module(_CONFIG)
        except (AttributeError, ImportError, OSError):
            return False  # another torch
        undo.pop_all()
    return DYNAMO in names


def _put_in_place(name: str, answers: Mapping[str, Any]) -> None:
    spec = _spec(name)
    known = {key: answers[key] for key in _defined(spec).intersection(answers)}
    if answers and not known:
        raise ImportError(f"{name} has none of {', '.join(answers)}")
    module = Deferred(name)
    module.__spec__, module.__loader__ = spec, spec.loader
    module.__file__, module.__package__ = spec.origin, spec.parent
    if spec.submodule_search_locations is not None:
        module.__path__ = list(spec.submodule_search_locations)
    vars(module).update({key: _standing_in(module, key, known[key]) for key in known})
    _deferrals.stand_ins[name] = known
    sys.modules[name] = module
    package, _, child = name.rpartition(".")
    if package:
        setattr(sys.modules[package], child, module)


def _spec(name: str) -> ModuleSpec:
    """Return where a module's code lies, without running that of its package."""
    package = name.rpartition(".")[0]
    path = importlib.import_module(package).__path__ if package else None
    spec = PathFinder.find_spec(name, path)
    if spec is None or spec.origin is None or spec.loader is None:
        raise ImportError(f"{name} has no file")
    return spec


def _defined(spec: ModuleSpec) -> set[str]:
    """Return the names that the source of a module defines."""
    text = Path(str(spec.origin)).read_text(encoding="utf-8")
    # A package takes its names from its parts.
    is_package = spec.submodule_search_locations is not None
    return set(re.findall(r"\w+" if is_package else r"^(?:def|class) (\w+)", text, re.MULTILINE))


def _take_away(name: str) -> None:
    package, _, child = name.rpartition(".")
    _deferrals.stand_ins.pop(name, None)
    sys.modules.pop(name, None)
    if package:
        vars(sys.modules[package]).pop(child, None)


def _standing_in(module: Deferred, name: str, answer: Any) -> Any:
    """Return what is found in a deferred module under a name."""
    if answer is NO_INSTANCES:
        return _Class(module, name)
    if isinstance(answer, type) and issubclass(answer, BaseException):
        return answer

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        known = answer(*args, **kwargs)
        if known is not NotImplemented:
            return known
        load(module)
        return getattr(module, name)(*args, **kwargs)

    return stand_in


class _Class:
    """Stands for a class that has no instances yet; it is looked up for all other uses."""

    def __init__(self, module: Deferred, name: str) -> None:
        self._module, self._name = module, name

    def _real(self) -> Any:
        load(self._module)
        return getattr(self._module, self._name)

    def __instancecheck__(self, value: object) -> bool:
        return type(self._module) is not Deferred and isinstance(value, self._real())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real()(*args, **kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._real(),)

    def __or__(self, other: Any) -> Any:
        return self._real() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._real()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)


def load(module: Any) -> None:
    """Run the code of a deferred module, unless somebody has begun to."""
    name = module.__name__
    with _deferrals.lock:
        package = sys.modules.get(name.rpartition(".")[0])
        if isinstance(package, Deferred):
            load(package)  # as Python runs a package before its parts
        if not _waits(module):
            return
        _withdraw_for(name)
        _deferrals.begun.add(name)
        try:
            with _disable_current_modes(), torch._C.DisableTorchFunction():
                _execute(module)
        except BaseException:
            _deferrals.begun.discard(name)
            raise
        module.__class__ = ModuleType
    if name == DYNAMO:
        forget_disabled()
        for begin in tuple(_deferrals.on_compiler):
            begin()


def _withdraw_for(name: str) -> None:
    """Leave no stand-in that code which is about to run would take for the real thing."""
    names = list(_deferrals.stand_ins)
    needed = names[: names.index(name) + 1]
    parts = [each for each in names if each.startswith(f"{name}.")]
    for each in filter(lambda each: _waits(sys.modules[each]), {*needed, *parts}):
        for key in _deferrals.stand_ins[each]:
            vars(sys.modules[each]).pop(key, None)


def _waits(module: ModuleType) -> bool:
    """Tell whether the code of a module is still to run."""
    return isinstance(module, Deferred) and module.__name__ not in _deferrals.begun


def _execute(module: ModuleType) -> None:
    assert module.__spec__ is not None
    assert module.__spec__.loader is not None
    module.__spec__.loader.exec_module(module)


@contextmanager
def compiled_runs_eagerly() -> Iterator[None]:
    """Let compiled functions run as they were written, whenever the compiler loads."""
    with ExitStack() as stack:

        def begin() -> None:
            stack.enter_context(torch.compiler.set_stance("force_eager"))

        if isinstance(sys.modules.get(DYNAMO), Deferred):
            _deferrals.on_compiler.append(begin)
            stack.callback(_deferrals.on_compiler.remove, begin)
        else:
            begin()
        yield


class _Parts(MetaPathFinder):
    """Loads a deferred package before a part of it is imported."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - Python's signature
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return where a part lies that came with its package; None for Python to search."""
        package = sys.modules.get(fullname.rpartition(".")[0])
        if not isinstance(package, Deferred) or fullname == _CONFIG:
            return None  # as for all that does not concern us
        load(package)
        found = sys.modules.get(fullname)
        return None if found is None else ModuleSpec(fullname, _Present(found))


class _Present(Loader):
    """Hands out a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002
        """Return the module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module as it is."""
        module.__spec__ = self._spec


_PARTS = _Parts()
