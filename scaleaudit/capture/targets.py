"""Targets: what a user's file declares to be audited, found, built and checked."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch

from scaleaudit.capture.building import Building
from scaleaudit.capture.engines import FakeEngine
from scaleaudit.capture.loading import innermost_line, load_module, reason
from scaleaudit.capture.places import Place
from scaleaudit.capture.planned import declared_by
from scaleaudit.domain.plans import Plan
from scaleaudit.errors import TargetError

_PREFIX = "scaleaudit_target"
_KEYS = ("model", "args", "kwargs", "loss", "loss_args", "batches")
_SNIPPET = """declare what to audit, in the same file:

    def scaleaudit_target():
        model = MyModel()
        tokens = torch.randint(0, 256, (2, 64))
        return {"model": model, "args": (tokens, tokens)}"""


class Rebuild(Protocol):
    """Builds a target anew from its file."""

    def __call__(self, *, fake: bool) -> Target:
        """Build it, of fake tensors or of real ones."""


@dataclass(frozen=True)
class Target:
    """A model with the call and the loss to audit.

    Attributes:
        path: The file that declares it.
        loss: Called as ``loss(model, *loss_args)``; None where the loss is in the output.
        engine: The fake world it was built in; None where it was built of real tensors.
        assumed: What nobody declared, in words for notes.
        listen: Given a function to tell where the operators to come are from, for programs
            that are run by someone else than their own code.
    """

    path: Path
    name: str
    model: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    loss: Callable[..., Any] | None
    loss_args: tuple[Any, ...]
    batches: Callable[..., Any] | None
    engine: FakeEngine | None
    rebuild: Rebuild
    assumed: tuple[str, ...] = ()
    listen: Callable[[Callable[[Place | None], None]], None] | None = None


class BuildError(TargetError):
    """A target's own code failed while it was built; of real tensors it may not."""


@dataclass(frozen=True)
class TargetFile:
    """A user's file that was run, with the target functions that it declares."""

    path: Path
    module: ModuleType
    functions: Mapping[str, Callable[[], Any]]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its targets, in their order there.

        A function ``scaleaudit_target_deep`` declares ``deep``; the plain ``scaleaudit_target``
        declares ``scaleaudit_target``, shown by its model's class once it is built.
        """
        return tuple(map(_declared_name, self.functions))

    def build(self, name: str, *, fake: bool) -> Target:
        """Build one of its targets, of fakes or of real tensors.

        Args:
            name: A declared name, the name of a target function, or the class of a target's model.
            fake: Whether to build it of tensors without memory.

        Raises:
            BuildError: The target's code failed.
            TargetError: The file has no such target, or it declares something wrong.
        """
        for key in self.functions:
            if name in (key, _declared_name(key)):
                return self._build(key, fake=fake)
        return self._build_class(name, fake=fake)

    def _build(self, key: str, *, fake: bool) -> Target:
        name = "" if key == _PREFIX else _declared_name(key)
        source = _Source(self.path, f"{key}()", name, self.functions[key])
        return _built(source, fake, lambda *, fake: run_file(self.path)._build(key, fake=fake))

    def _build_class(self, name: str, *, fake: bool) -> Target:
        """Build target after target until the model of one has the class."""
        known, failed = set(self.names), None
        for key in self.functions:
            try:
                target = self._build(key, fake=fake)
            except BuildError as error:
                failed = failed or error
                continue
            if target.name == name:
                return target
            known.add(target.name)
        raise failed or TargetError(
            f"{self.path} declares no target {name}",
            where=str(self.path),
            hint=f"it declares {', '.join(sorted(known))}",
        )


def open_file(path: Path) -> TargetFile:
    """Run a user's file and find the targets that it declares, if any.

    Raises:
        TargetError: The file cannot be read or run.
    """
    module = load_module(path)
    found = {
        key: value
        for key, value in vars(module).items()
        if callable(value) and (key == _PREFIX or key.startswith(f"{_PREFIX}_"))
    }
    return TargetFile(path, module, found)


def run_file(path: Path) -> TargetFile:
    """Run a user's file and find the targets that it declares.

    Raises:
        TargetError: The file cannot be read or run, or declares none.
    """
    file = open_file(path)
    if not file.functions:
        raise TargetError(f"{path} declares no target", where=str(path), hint=_SNIPPET)
    return file


def build_plan(plan: Plan, *, fake: bool) -> Target:
    """Run a file afresh and build a target as a plan says.

    Raises:
        BuildError: The target's code failed.
        TargetError: The file cannot be run, or the plan does not fit it.
    """
    module = load_module(Path(plan.path))
    source = _Source(
        Path(plan.path),
        label=plan.where or plan.model,
        name=plan.name,
        declare=lambda: declared_by(plan, module),
        assumed=plan.assumed,
    )
    return _built(source, fake, lambda *, fake: build_plan(plan, fake=fake))


def load_target(path: Path, name: str) -> Target:
    """Run a file and build one of its targets, of fakes, or of real tensors where fakes don't do.

    Raises:
        TargetError: Whatever keeps the target from being built, with the user's line.
    """
    try:
        return run_file(path).build(name, fake=True)
    except BuildError as error:
        try:
            return run_file(path).build(name, fake=False)
        except TargetError:
            raise error from None


def _declared_name(function: str) -> str:
    return function.removeprefix(f"{_PREFIX}_")


@dataclass(frozen=True)
class _Source:
    """Where a target comes from.

    Attributes:
        label: How messages call it.
        name: Its name; empty for that of its model's class.
    """

    path: Path
    label: str
    name: str
    declare: Callable[[], Any]
    assumed: tuple[str, ...] = ()


def _built(source: _Source, fake: bool, rebuild: Rebuild) -> Target:  # noqa: FBT001 - passed on
    engine = FakeEngine(building=True) if fake else None
    declared = _call(source, engine)
    _check(source, declared)
    model = declared["model"]
    args = declared.get("args", ())
    return Target(
        path=source.path,
        name=source.name or type(model).__name__,
        model=model,
        args=args,
        kwargs=declared.get("kwargs") or {},
        loss=declared.get("loss"),
        loss_args=declared.get("loss_args", args),
        batches=declared.get("batches"),
        engine=engine,
        rebuild=rebuild,
        assumed=source.assumed,
    )


def _call(source: _Source, engine: FakeEngine | None) -> dict[str, Any]:
    world: AbstractContextManager[Any] = nullcontext() if engine is None else Building(engine)
    try:
        with world:
            declared = source.declare()
    except TargetError:
        raise
    except (Exception, SystemExit) as error:
        raise BuildError(
            f"{source.label} failed: {reason(error)}",
            where=innermost_line(error, str(source.path)),
            hint=_build_hint(error),
        ) from error
    if not isinstance(declared, dict):
        raise TargetError(
            f"{source.label} returned {_described(declared)}, not a dict",
            where=str(source.path),
            hint=_SNIPPET,
        )
    return declared


def _build_hint(error: BaseException) -> str:
    if isinstance(error, TypeError) and "required positional argument" in str(error):
        return "build the model with all the arguments that its constructor needs"
    return "run the function by itself in Python to see the whole traceback"


def _check(source: _Source, declared: Mapping[str, Any]) -> None:
    """Check the dict that a target function returned, with a message for each mistake."""
    problem = _unknown_key(declared) or _wrong_model(declared) or _wrong_call(declared)
    if problem:
        raise TargetError(f"{source.label} {problem}", where=str(source.path), hint=_SNIPPET)


def _unknown_key(declared: Mapping[str, Any]) -> str:
    for key in declared:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(_KEYS)}"
            return f"returned the unknown key {key!r}{meant}"
    return ""


def _wrong_model(declared: Mapping[str, Any]) -> str:
    if "model" not in declared:
        return "returned no 'model'"
    model = declared["model"]
    if isinstance(model, type):
        return f"returned the class {model.__name__} as 'model', not an instance: call it"
    if model is None:
        return "returned None as 'model' (in-place methods of your own may return None)"
    if not isinstance(model, torch.nn.Module):
        return f"returned {_described(model)} as 'model', not a torch.nn.Module"
    if isinstance(model, torch.jit.ScriptModule):
        return "returned a scripted module as 'model', which has no lines of Python: leave out torch.jit"
    return ""


def _wrong_call(declared: Mapping[str, Any]) -> str:
    for key in ("args", "loss_args"):
        value = declared.get(key, ())
        if not isinstance(value, tuple):
            wrap = f"; write ({'x' if isinstance(value, torch.Tensor) else '...'},)"
            return f"returned {_described(value)} as {key!r}, not a tuple{wrap}"
    kwargs = declared.get("kwargs") or {}
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        return f"returned {_described(kwargs)} as 'kwargs', not a dict with names as keys"
    for key in ("loss", "batches"):
        if declared.get(key) is not None and not callable(declared[key]):
            return f"returned {_described(declared[key])} as {key!r}, which cannot be called"
    return ""


def _described(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"
