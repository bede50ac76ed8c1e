"""The last way: let ``torch.export`` write the program down, then record what it wrote.

The exported program runs through the recorder like a model, so that writes, gradient modes and
numbers are handled alike. Where its operators came from is read from the notes that export left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from scaleaudit.capture.places import Place, is_user_file
from scaleaudit.capture.targets import Target
from scaleaudit.domain.graph import Frame, Location, ModuleCall

_LINE = re.compile(r'File "(?P<path>[^"<]+)", line (?P<line>\d+), in (?P<function>\S+)')


def exported(target: Target) -> tuple[Target, Replay]:
    """Return a target that replays the exported program of another.

    Raises:
        Exception: Whatever export raises where it cannot follow the program.
    """
    program = torch.export.export(
        _WithLoss(target), target.loss_args if target.loss else target.args, dict(target.kwargs)
    )
    replay = Replay(program.module())
    return replace(target, model=replay, loss=None, engine=None), replay


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
    """Run an exported program node by node, telling a listener where each came from."""

    def __init__(self, program: fx.GraphModule) -> None:
        super().__init__()
        self.program = program
        self._listener: Callable[[Place | None], None] = _ignore

    def listen(self, listener: Callable[[Place | None], None]) -> None:
        """Choose who is told of every place, and of the end by None."""
        self._listener = listener

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program; export takes keyword arguments behind the others."""
        try:
            return _Interpreter(self.program, self._listener).run(*args, *kwargs.values())
        finally:
            self._listener(None)


class _Interpreter(fx.Interpreter):
    def __init__(self, program: fx.GraphModule, listener: Callable[[Place | None], None]) -> None:
        super().__init__(program)
        self._listener = listener
        self._codes: dict[str, int] = {}
        self._modules: dict[str, int] = {}

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Run the parts under another gradient mode node by node as well."""
        value = super().get_attr(target, args, kwargs)
        return _Interpreter(value, self._listener).run if _is_graph(value) else value

    def run_node(self, n: fx.Node) -> Any:
        self._listener(self._place(n))
        return super().run_node(n)

    def _place(self, node: fx.Node) -> Place:
        trace = str(node.meta.get("stack_trace") or "")
        modules = tuple(self._calls(node.meta.get("nn_module_stack") or {}))
        path = ((self._codes.setdefault(trace, len(self._codes)), 0),)
        module = modules[-1].identity if modules else 0
        return Place(_frames(trace), (), modules, path, module, "")

    def _calls(self, stack: dict[str, tuple[str, Any]]) -> list[ModuleCall]:
        calls = []
        for path, _ in stack.values():
            name, _, call = path.partition("@")  # blocks.0@1: its second call
            name = name.removeprefix("model").removeprefix(".")
            if not path:
                continue  # the model in its wrapping
            identity = self._modules.setdefault(name, len(self._modules) + 1)
            calls.append(ModuleCall(name, identity, int(call or 0)))
        return calls


def _is_graph(value: object) -> bool:
    return isinstance(value, fx.GraphModule)


def _frames(trace: str) -> tuple[Frame, ...]:
    return tuple(
        Frame(Location(found["path"], int(found["line"])), found["function"])
        for found in _LINE.finditer(trace)
        if is_user_file(found["path"])
    )


def _ignore(place: Place | None) -> None:
    """Let nobody know."""
