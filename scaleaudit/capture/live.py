"""A model of the caller's own process as a target, given back as it was."""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from scaleaudit.capture.engines import FakeEngine
from scaleaudit.capture.mementos import Memento
from scaleaudit.capture.places import is_user_file
from scaleaudit.capture.targets import Target

_WRAPPERS = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)


@contextmanager
def live_target(
    model: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    loss: Callable[..., Any] | None,
    loss_args: tuple[Any, ...] | None,
    path: Path,
) -> Iterator[Target]:
    """Make a target of a live model; on any way out everything is as it was before.

    Args:
        args: What forward is called with, and the loss too where ``loss_args`` is None.
        kwargs: The same.
        path: The file that the model is said to be from.
    """
    plain = as_target(model, args, kwargs, loss, loss_args, path)
    stage = _Stage((model, args, kwargs, loss, plain.loss_args))

    def build(*, fake: bool) -> Target:
        engine = FakeEngine(building=False) if fake else None
        stage.set_up(model, engine)
        return replace(plain, engine=engine, rebuild=build)

    with _draws_kept(), torch.inference_mode(mode=False):
        try:
            yield build(fake=True)
        finally:
            stage.clear()


def as_target(
    model: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    loss: Callable[..., Any] | None,
    loss_args: tuple[Any, ...] | None,
    path: Path,
) -> Target:
    """Describe a live model and its call as a target, of the real tensors; nothing is run."""
    call = loss
    if loss is not None and loss_args is None:
        call, loss_args = _with_keywords(loss, tuple(kwargs)), (*args, *kwargs.values())

    def same(*, fake: bool) -> Target:
        assert not fake
        return described

    described = Target(
        path=path,
        name=name_of(model),
        model=model,
        args=args,
        kwargs=kwargs,
        loss=call,
        loss_args=loss_args if loss_args is not None else args,
        batches=None,
        engine=None,
        rebuild=same,
    )
    return described


class _Stage:
    """The objects that a run can reach, put back before every run and after the last."""

    def __init__(self, roots: tuple[Any, ...]) -> None:
        self._roots = roots
        self._memento: Memento | None = None

    def set_up(self, model: torch.nn.Module, engine: FakeEngine | None) -> None:
        """Undo the last run, and let the next one meet fakes, or the real tensors."""
        self.clear()
        self._memento = Memento(self._roots)
        if engine is not None:
            self._memento.swap(_twins(engine))
        self._memento.keep_values()
        _unwrap(model)

    def clear(self) -> None:
        """Undo the last run, if there was one."""
        if self._memento is not None:
            self._memento.restore()
            self._memento = None


def _twins(engine: FakeEngine) -> Callable[[torch.Tensor], torch.Tensor]:
    made: dict[int, torch.Tensor] = {}

    def twin_of(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in made:
            made[id(tensor)] = engine.adopt(tensor)
            if isinstance(tensor, torch.nn.Parameter):
                engine.forget(made[id(tensor)])
        return made[id(tensor)]

    return twin_of


def _unwrap(model: torch.nn.Module) -> None:
    """Let wrappers for several devices call what they wrap: what they add is no arithmetic.

    Their own forward talks to other processes, and counts on their backward.
    """
    for module in model.modules():
        if isinstance(module, _WRAPPERS):
            vars(module)["forward"] = module.module.__call__


def name_of(model: torch.nn.Module) -> str:
    """Return the class of a model, or of what a wrapper of it wraps."""
    inner: Any = model
    while isinstance(inner, _WRAPPERS):
        inner = inner.module
    written = getattr(inner, "_orig_mod", inner)  # what torch.compile made
    return type(written).__name__


def file_of(model: torch.nn.Module) -> str | None:
    """Return the user's file that defines the class of a model, if there is one."""
    inner: Any = model
    while isinstance(inner, _WRAPPERS):
        inner = inner.module
    try:
        file = inspect.getsourcefile(type(getattr(inner, "_orig_mod", inner)))
    except (TypeError, OSError):
        return None
    return file if file and is_user_file(file) else None


def _with_keywords(loss: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """Return a loss that takes by their places what another takes by names."""
    if not names:
        return loss

    def called(model: torch.nn.Module, *values: Any) -> Any:
        split = len(values) - len(names)
        return loss(model, *values[:split], **dict(zip(names, values[split:], strict=True)))

    return called


@contextmanager
def _draws_kept() -> Iterator[None]:
    """Let everything that draws numbers go on afterwards where it was."""
    numpy: Any = sys.modules.get("numpy")
    seed, state = torch.initial_seed(), random.getstate()
    shared = None if numpy is None else numpy.random.get_state()
    with ExitStack() as stack:
        stack.callback(random.setstate, state)
        if numpy is not None:
            stack.callback(numpy.random.set_state, shared)
        stack.enter_context(_devices_kept(seed))
        stack.enter_context(torch.random.fork_rng(devices=[]))
        yield


@contextmanager
def _devices_kept(seed: int) -> Iterator[None]:
    """The same for accelerators; one that was not used yet is seeded as it was."""
    cuda: Any = torch.cuda
    if not cuda.is_initialized():
        try:
            yield
        finally:
            cuda.manual_seed_all(seed)
        return
    states = cuda.get_rng_state_all()
    try:
        yield
    finally:
        cuda.set_rng_state_all(states)
