"""What stands in for torch's modules answers as they do, or says that it does not know."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from scaleaudit.capture._torch_stand_ins import (
    DYNAMO,
    FUNCTIONS,
    NO_INSTANCES,
    SHAPES,
    SOURCE,
    STAND_INS,
    SYMPY,
    forget_disabled,
)

PLAIN: list[Any] = [
    *(True, False, 0, 1, -3, 2**70, 0.0, 2.5, float("inf"), "text", None),
    *((), [], [3, 4], (3, 4), torch.Size([3, 4]), [[1], [2, 3]], [[1], [2, 4]], [True], [None]),
    *(torch.zeros(2, 3), torch.zeros(0), torch.eye(2).to_sparse(), [torch.zeros(2), 3]),
]
FUNCTIONS_OF_SHAPES = [
    name
    for name, answer in STAND_INS[SHAPES].items()
    if not isinstance(answer, type) and hasattr(importlib.import_module(SHAPES), name)
]


def symbols() -> list[Any]:
    size = ShapeEnv().create_unbacked_symint()
    return [size, size == 3, [size, 3], size.node]


def result(function: Any, *arguments: Any) -> Any:
    """Return what a function does with arguments, errors included."""
    try:
        found = function(*arguments)
        return list(found) if isinstance(found, (Iterator, AbstractSet)) else found
    except Exception as error:  # noqa: BLE001 - any error is an answer
        return type(error)


def argument_lists() -> list[tuple[Any, ...]]:
    pairs = itertools.product(PLAIN, repeat=2)
    return [*((value,) for value in PLAIN), *pairs, (True, False, True), (False, False, False)]


@pytest.mark.filterwarnings("ignore:.*guard_size_oblivious:FutureWarning")
@pytest.mark.parametrize("name", FUNCTIONS_OF_SHAPES)
def test_plain_values_get_the_answer_of_torch(name):
    real, stand_in = getattr(importlib.import_module(SHAPES), name), STAND_INS[SHAPES][name]
    for arguments in argument_lists():
        found, expected = result(stand_in, *arguments), result(real, *arguments)
        if found is not NotImplemented and expected is not TypeError:
            assert (found, type(found)) == (expected, type(expected)), arguments


@pytest.mark.parametrize("name", FUNCTIONS_OF_SHAPES)
def test_symbols_are_left_to_torch(name):
    if name == "compute_unbacked_bindings":
        assert STAND_INS[SHAPES][name](ShapeEnv(), 3) is NotImplemented
        return
    pairs = "sym_and", "sym_or", "sym_eq"
    for symbol in symbols():
        given = (symbol, symbol) if name in pairs else (symbol,)
        assert STAND_INS[SHAPES][name](*given) is NotImplemented


def test_a_tensor_with_a_symbol_for_a_size_is_left_to_torch():
    env = ShapeEnv()
    with FakeTensorMode(shape_env=env):
        tensor = torch.empty(env.create_unbacked_symint())
    assert STAND_INS[SHAPES]["free_symbols"](tensor) is NotImplemented
    assert STAND_INS[SHAPES]["free_symbols"](torch.zeros(2)) == frozenset()


@pytest.mark.parametrize("module", [SYMPY, FUNCTIONS, SOURCE])
def test_classes_that_are_stood_in_for_are_classes(module):
    for name, answer in STAND_INS[module].items():
        real = getattr(importlib.import_module(module), name)
        assert isinstance(real, type) or answer is not NO_INSTANCES


def test_an_exception_that_is_caught_is_of_its_kind():
    real = importlib.import_module(SHAPES).GuardOnDataDependentSymNode
    assert STAND_INS[SHAPES]["GuardOnDataDependentSymNode"].__bases__ == real.__bases__


def test_disabling_is_done_for_torch_alone():
    def function() -> None: ...

    disable = STAND_INS[DYNAMO]["disable"]
    assert disable(function, True, wrapping=False) is function
    assert disable(function) is NotImplemented
    assert disable(function, reason="mine") is NotImplemented
    assert disable(None, True, wrapping=False) is NotImplemented
    function.__dynamo_disable = function
    forget_disabled()
    assert not vars(function)
