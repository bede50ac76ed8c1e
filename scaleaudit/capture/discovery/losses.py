"""Find the loss that a model is trained on among the functions and methods of its file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

from torch import nn

from scaleaudit.capture.discovery.bench import Bench, Outcome
from scaleaudit.capture.discovery.calling import Found, labels_for
from scaleaudit.capture.discovery.classes import FileIndex
from scaleaudit.capture.discovery.climbing import Call, Climb
from scaleaudit.capture.discovery.leaves import Fields, Leaf, Plain, Slot
from scaleaudit.capture.discovery.making import returns
from scaleaudit.capture.discovery.measures import measures_of
from scaleaudit.capture.discovery.signatures import Asked, asked

_TRIALS = 120
# Where in what a function returns the loss may be, and in what a model returns the prediction.
_PARTS = ("", "[0]", "[-1]")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Something that may compute the loss.

    Attributes:
        text: An expression called as ``loss(model, *rest)``.
        rest: The parameters to find arguments for.
        inputs: How many arguments of the model come before them.
    """

    text: str
    rest: tuple[Asked, ...]
    inputs: int = 0


def find_loss_function(bench: Bench, found: Found, index: FileIndex) -> Found:
    """Try what the file has to compute a loss with; the call as it was where nothing does."""
    if found.outcome.seen is None:
        return found
    for candidate in _candidates(bench.model, found, index):
        tried = _tried(bench, found, candidate)
        if tried is not None:
            return tried
        if bench.budget.spent:
            break
    return found


def _candidates(model: nn.Module, found: Found, index: FileIndex) -> Iterator[_Candidate]:
    functions = list(_functions(index))
    for name, function in functions:
        for position, parameter in enumerate(asked(function)):
            if parameter.called:
                yield from _of_model(name, asked(function), position)
    yield from _methods(model, index)
    used = frozenset().union(*(index.uses(name) for name in index.classes()))
    for name, function in functions:
        if name not in used:
            yield from _of_output(name, function, found)
    for name, value in vars(index.module).items():
        if _is_criterion(value):
            yield from _of_output(name, value.forward, found)
        if _is_criterion_class(value, index):
            yield from _of_output(f"{name}()", value.forward, found, skip=1)


def _functions(index: FileIndex) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(index.module).items():
        if not isinstance(value, FunctionType) or value.__module__ != index.module.__name__:
            continue
        if returns(value) and any(parameter.required for parameter in asked(value)):
            yield name, value


def _of_model(name: str, parameters: tuple[Asked, ...], position: int) -> Iterator[_Candidate]:
    """Yield a function that is given the model."""
    rest = tuple(p for i, p in enumerate(parameters) if i != position and p.required)
    for part in _PARTS[:2]:
        if position == 0 and not part:
            yield _Candidate(name, rest)
        else:
            names = [f"a{i}" for i in range(len(rest))]
            given = [*names[:position], "model", *names[position:]]
            call = f"{name}({', '.join(given)}){part}"
            yield _Candidate(f"lambda {', '.join(['model', *names])}: {call}", rest)


def _methods(model: nn.Module, index: FileIndex) -> Iterator[_Candidate]:
    """Yield methods of the model beside its forward that may compute the loss."""
    for name, method in inspect.getmembers(type(model), inspect.isfunction):
        if method.__module__ != index.module.__name__ or name in {"forward", "__init__"}:
            continue
        rest = tuple(p for p in asked(method)[1:] if p.required)
        if rest and returns(method):
            for part in _PARTS[:2]:
                yield _Candidate(f"lambda model, *given: model.{name}(*given){part}", rest)


def _of_output(
    name: str, function: Callable[..., Any], found: Found, skip: int = 0
) -> Iterator[_Candidate]:
    """Yield a function of the model's output and what it is compared with."""
    required = [p for p in asked(function)[skip:] if p.required]
    if len(required) != 2 or found.plan.kwargs:  # noqa: PLR2004 - a prediction and a target
        return
    count = len(found.plan.args or ())
    for part in _PARTS:
        output = f"model(*given[:{count}]){part}"
        text = f"lambda model, *given: {name}({output}, *given[{count}:])"
        yield _Candidate(text, (required[1],), count)


def _is_criterion(value: object) -> bool:
    return isinstance(value, nn.Module) and not any(True for _ in value.parameters())


def _is_criterion_class(value: object, index: FileIndex) -> bool:
    """Tell whether a class of the file is built without arguments and holds no weights."""
    if not (isinstance(value, type) and issubclass(value, nn.Module)):
        return False
    if value.__module__ != index.module.__name__ or any(p.required for p in asked(value)):
        return False
    try:
        return _is_criterion(value())
    except Exception:  # noqa: BLE001 - then it is of no use
        return False


def _tried(bench: Bench, found: Found, candidate: _Candidate) -> Found | None:
    """Find arguments for a candidate; None where it comes to no loss."""
    budget = bench.budget.part(_TRIALS)
    texts = found.plan.args or ()
    call = Call.of(_slots(found, candidate), measures_of(bench.model))
    inputs = texts[: candidate.inputs]
    base = replace(found.plan, loss=candidate.text)

    def attempt() -> Outcome:
        budget.spend()
        bench.budget.spend()
        outcome = bench.attempt(replace(base, loss_args=(*inputs, *call.texts)))
        if outcome.works and not (outcome.seen and outcome.seen.loss):
            return Outcome(outcome.progress, ValueError("it is no loss of the weights"))
        return outcome

    def check() -> Outcome:
        return bench.on_real_tensors(replace(base, loss_args=(*inputs, *call.texts)))

    outcome = Climb(call, attempt, check, budget, lenient=False).run()
    if not outcome.works:
        return None
    return Found(replace(base, loss_args=(*inputs, *call.texts)), outcome)


def _slots(found: Found, candidate: _Candidate) -> list[Slot]:
    texts = found.plan.args or ()
    seen = found.outcome.seen
    assert seen is not None
    inputs: list[Leaf] = [Plain(text) for text in texts]
    labels: list[Leaf] = list(labels_for(seen))
    first = [*labels, *inputs] if candidate.inputs else [*inputs, *labels]
    slots = []
    for place, parameter in enumerate(candidate.rest):
        own = inputs[place : place + 1] if not candidate.inputs else []
        menu: list[Leaf] = [*own, *first, *_packed(inputs, labels, parameter), Plain("0")]
        slots.append(Slot(menu))
    return slots


def _packed(inputs: list[Leaf], labels: list[Leaf], parameter: Asked) -> list[Leaf]:
    """Return batches: the inputs and labels in one tuple, or by the keys that are read."""
    texts = [leaf.text({}) for leaf in inputs]
    tuples: list[Leaf] = [
        Plain(f"({', '.join([*texts, label.text({})])})") for label in (*inputs, *labels)
    ]
    if not parameter.keys:
        return tuples
    entries = {key: Slot([*inputs, *labels]) for key in parameter.keys}
    return [Fields(entries), *tuples]
