"""The last way: let ``torch.export`` write the program down, then record what it wrote.

The exported program runs through the recorder like a model, so that writes, gradient modes and
numbers are handled alike. Where its operators came from is read from the notes that export left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from torch import fx

from scaleaudit.capture.places import Place
from scaleaudit.capture.targets import Target
from scaleaudit.capture.traces import Ran, Step, Traces
from scaleaudit.domain.graph import Frame, Location


def exported(target: Target) -> Target:
    """Return a target that replays the exported program of another.

    Raises:
        Exception: Whatever export raises where it cannot follow the program.
    """
    program = torch.export.export(
        _WithLoss(target), target.loss_args if target.loss else target.args, dict(target.kwargs)
    )
    replay = Replay(program.module(), inside="model")
    return replace(target, model=replay, loss=None, engine=None, listen=replay.listen)


class _WithLoss(torch.nn.Module):
    """A model whose forward is the target's whole call."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.model = target.model
        self._loss = target.loss

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the loss where there is one, else the model."""
        if self._loss is not None:
            return self._loss(self.model, *args)
        return self.model(*args, **kwargs)


class Replay(torch.nn.Module):
    """Run an exported program node by node, telling a listener where each came from.

    Args:
        program: What was exported.
        inside: The path of the model in what was exported, if that was something around it.
        path: The file that it was read from. Where the sources are not at hand, places are
            its modules.
    """

    def __init__(self, program: fx.GraphModule, inside: str = "", path: Path | None = None) -> None:
        super().__init__()
        self.program = program
        self._inside, self._archive = inside, path
        self._listener: Callable[[Place | None], None] = _ignore

    def listen(self, listener: Callable[[Place | None], None]) -> None:
        """Choose who is told of every place, and of the end by None."""
        self._listener = listener

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program; export takes keyword arguments behind the others."""
        try:
            return _Interpreter(self.program, self._tell).run(*args, *kwargs.values())
        finally:
            self._listener(None)

    def _tell(self, node: fx.Node) -> None:
        self._listener(self._places.get(node))

    @cached_property
    def _places(self) -> dict[fx.Node, Place]:
        ran = Traces(self.program, self._inside).ran
        return {node: self._place(where) for node, where in ran.items()}

    def _place(self, ran: Ran) -> Place:
        module = ran.modules[-1].identity if ran.modules else 0
        around = ran.modules[-1].path if ran.modules else ""
        frames = tuple(
            Frame(self._location(step, around), step.function, serial)
            for step, (serial, _) in zip(ran.steps, ran.running, strict=True)
        )
        path = tuple((place, 0) for place in ran.inside)
        return Place(frames, ran.running, ran.modules, path, module, "")

    def _location(self, step: Step, module: str) -> Location:
        """Return a line; of a file that is not here it names the module."""
        if self._archive is None or _is_here(step.path):
            return Location(step.path, step.line)
        return Location(f"{self._archive}::{module}".removesuffix("::"), step.line)


class _Interpreter(fx.Interpreter):
    """Tell of every node before it runs, of those in parts under another gradient mode as well."""

    def __init__(self, program: fx.GraphModule, tell: Callable[[fx.Node], None]) -> None:
        super().__init__(program)
        self._tell = tell

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_attr(target, args, kwargs)
        return _Interpreter(value, self._tell).run if isinstance(value, fx.GraphModule) else value

    def run_node(self, n: fx.Node) -> Any:
        self._tell(n)
        return super().run_node(n)


@cache
def _is_here(path: str) -> bool:
    return path.endswith(".py") and Path(path).is_file()


def _ignore(place: Place | None) -> None:
    """Let nobody know."""
