"""How a model is called at a step, and the form of calls that a captured program holds for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scaleaudit.capture import structures
from scaleaudit.capture.arguments import parameter_names
from scaleaudit.errors import ConfigError

# Values among arguments that steer a program, and are told apart by what they are.
_PLAIN = (
    bool, int, float, complex, str, bytes, type(None), range, slice, set, frozenset,
    torch.dtype, torch.device,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """A model, its loss, and what they are called with, as ``scaleaudit.audit`` takes them."""

    model: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    loss: Callable[..., Any] | None
    loss_args: tuple[Any, ...] | None
    path: Path

    def on(self, batch: tuple[Any, ...], named: Mapping[str, Any]) -> Call:
        """Return the call with another batch; nothing is the batch that it has.

        What goes by place is new as a whole where any of it is given; what goes by name stays
        where it is not given anew.

        Raises:
            ConfigError: ``loss_args`` has no place for what goes by name.
        """
        if not batch and not named:
            return self
        args, kwargs = self._merged(batch, named)
        if self.loss_args is None:
            return replace(self, args=args, kwargs=kwargs)
        return replace(self, loss_args=self._by_place(args, kwargs) if kwargs else args)

    def _merged(
        self, batch: tuple[Any, ...], named: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        held, kept = self.given
        places = self._places(len(batch or held))
        if batch:
            return batch, {**{k: v for k, v in kept.items() if k not in places}, **named}
        args = tuple(named.get(name, value) for name, value in zip(places, held, strict=True))
        return args, {**kept, **{k: v for k, v in named.items() if k not in places}}

    def _places(self, count: int) -> list[str]:
        """Return the names of as many parameters as go by place."""
        before = len(self._first)
        return parameter_names(self.function, before + count)[before:]

    def _by_place(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return what the loss is called with after the model, all by place."""
        try:
            bound = inspect.signature(self.function).bind(self.model, *args, **kwargs)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"the loss cannot be called with {', '.join(kwargs)}: {error}",
                hint="Give step what loss_args has, in the same order.",
            ) from error
        bound.apply_defaults()
        if left := kwargs.keys() & bound.kwargs.keys():
            raise ConfigError(
                f"the loss takes {', '.join(sorted(left))} by name alone, and loss_args has places",
                hint="Give monitor what the loss takes as arguments, without loss_args.",
            )
        return bound.args[1:]

    @property
    def function(self) -> Callable[..., Any]:
        """What is called: the loss, else the model's forward."""
        return self.model.forward if self.loss is None else self.loss

    @property
    def given(self) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """What it is called with by place, after the model where it is a loss, and by name."""
        return (self.args, self.kwargs) if self.loss_args is None else (self.loss_args, {})

    @property
    def _first(self) -> tuple[torch.nn.Module, ...]:
        return () if self.loss is None else (self.model,)

    def arguments(self) -> list[tuple[str, Any]]:
        """Return everything that the call hands over by the parameters it goes to.

        Defaults are among it: a call that leaves an argument out is told from one that gives
        another value, and is the same as one that says the default, by place or by name.
        """
        args, kwargs = self.given
        try:
            bound = inspect.signature(self.function).bind(*self._first, *args, **kwargs)
        except (TypeError, ValueError):
            # No signature is known, or it takes no such call, which the capture will say.
            return [*((f"[{i}]", value) for i, value in enumerate(args)), *kwargs.items()]
        bound.apply_defaults()
        return [*_spread(bound)][len(self._first) :]

    @property
    def parts(self) -> tuple[Any, ...]:
        """What a target is made of."""
        return (self.model, self.args, self.kwargs, self.loss, self.loss_args, self.path)


def _spread(bound: inspect.BoundArguments) -> Iterator[tuple[str, Any]]:
    """Yield arguments by their names, those that share a parameter one by one."""
    for name, value in bound.arguments.items():
        match bound.signature.parameters[name].kind:
            case inspect.Parameter.VAR_POSITIONAL:
                yield from ((f"{name}[{i}]", each) for i, each in enumerate(value))
            case inspect.Parameter.VAR_KEYWORD:
                yield from value.items()
            case _:
                yield name, value


@dataclass(frozen=True, slots=True)
class Form:
    """What a captured program holds for: tensors of these shapes and types, and all else as it was.

    Attributes:
        tensors: Every tensor among the arguments, by its place there.
        plain: Everything else that is no structure of others, by its place.
        modes: Of all modules, whether they train.
        held: Numbers, texts and the like that modules hold as attributes, by their names.
    """

    tensors: Mapping[str, Tensor]
    plain: Mapping[str, object]
    modes: tuple[bool, ...]
    held: Mapping[str, object]

    @classmethod
    def of(cls, call: Call) -> Form:
        """Return the form of a call."""
        tensors, plain = dict[str, Tensor](), dict[str, object]()
        for name, value in call.arguments():
            for path, item in structures.subtrees(value):
                place = name + structures.shown(value, path)
                if isinstance(item, Tensor):
                    tensors[place] = item
                elif not structures.parts(item):
                    plain[place] = _told_apart(item)
        modes = tuple(module.training for module in call.model.modules())
        return cls(tensors, plain, modes, dict(_held(call.model)))

    def is_like(self, other: Form) -> bool:
        """Tell whether a program for the one is one for the other, but for what modules hold."""
        mine, theirs = (
            [(place, each.shape, each.dtype) for place, each in sorted(form.tensors.items())]
            for form in (self, other)
        )
        return (
            mine == theirs
            and self.plain == other.plain
            and self.modes == other.modes
            and self.shared == other.shared
        )

    def moved(self, other: Form) -> set[str]:
        """Return the attributes of modules that differ."""
        names = self.held.keys() | other.held.keys()
        return {name for name in names if self.held.get(name) != other.held.get(name)}

    @property
    def shared(self) -> Mapping[str, str]:
        """The first place of every tensor, by its place: one that is given twice is read once."""
        first: dict[int, str] = {}
        return {
            place: first.setdefault(id(each), place) for place, each in sorted(self.tensors.items())
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Itself:
    """Something that equals nothing else, as it may be anything inside."""

    held: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.held is other.held

    def __hash__(self) -> int:
        return id(self.held)


def _held(model: torch.nn.Module) -> Iterator[tuple[str, object]]:
    for prefix, module in model.named_modules():
        for name, value in vars(module).items():
            if name != "training" and isinstance(value, _PLAIN):
                yield f"{prefix}.{name}".lstrip("."), _told_apart(value)


def _told_apart(item: object) -> object:
    """Return what equals what comes to the same program."""
    if isinstance(item, _PLAIN):
        return type(item), item
    if isinstance(item, (Mapping, list, tuple)):
        return type(item)  # an empty one
    return _Itself(item)
