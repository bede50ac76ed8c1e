"""What a module can read is watched: wherever it keeps something, a change of it is seen."""

from __future__ import annotations

import functools
import itertools
import random
import types
import weakref
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from scaleaudit.capture.reachable import Reach, UnknownState

D = 4
Change = Callable[[], object]
Case = tuple[nn.Module, Change]

# What models below read as globals; every test finds and leaves them so.
RATE = 1.0
LOG: list[int] = []
settings = types.ModuleType("settings")


class Holder(nn.Module):
    """A layer, a buffer, and an attribute that is given."""

    def __init__(self, held: object = None) -> None:
        super().__init__()
        self.layer = nn.Linear(D, D)
        self.register_buffer("memory", torch.zeros(D))
        self.held = held

    def forward(self, x):
        return self.layer(x) + self.memory


class Box:
    """An object with an attribute."""

    unit = 1

    def __init__(self, content: object = 0) -> None:
        self.content = content

    def put(self, content: object) -> None:
        self.content = content


class Slotted:
    """An object without a dict."""

    __slots__ = ("content",)

    def __init__(self) -> None:
        self.content = 0


class Both(Slotted):
    """An object with slots of its class's base, and a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.other = 0


@dataclass
class Carry:
    """A record that a model keeps."""

    turn: int = 0


@pytest.fixture(autouse=True)
def globals_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RATE", "LOG"):
        monkeypatch.setitem(globals(), name, 1.0 if name == "RATE" else [])
    settings.__file__ = __file__
    settings.rate = 1.0


def reach_of(model: nn.Module) -> Reach:
    return Reach(model, lambda _: ())


def set_attribute(held: object, name: str, value: object) -> Change:
    return lambda: setattr(held, name, value)


# Attributes of modules.


def a_number() -> Case:
    model = Holder(0)
    return model, set_attribute(model, "held", 1)


def a_number_of_another_type() -> Case:
    model = Holder(1)
    return model, set_attribute(model, "held", True)


def a_text() -> Case:
    model = Holder("sum")
    return model, set_attribute(model, "held", "mean")


def a_tensor() -> Case:
    model = Holder(torch.zeros(D))
    return model, set_attribute(model, "held", torch.zeros(D))


def a_parameter() -> Case:
    model = Holder()
    return model, set_attribute(model.layer, "weight", nn.Parameter(torch.zeros(D, D)))


def a_buffer() -> Case:
    model = Holder()
    return model, set_attribute(model, "memory", torch.zeros(D))


def a_buffer_that_is_taken_away() -> Case:
    model = Holder()
    return model, lambda: model._buffers.pop("memory")


def a_submodule() -> Case:
    model = Holder()
    return model, set_attribute(model, "layer", nn.Linear(D, D))


def a_new_submodule() -> Case:
    model = Holder()
    return model, set_attribute(model, "other", nn.Linear(D, D))


def a_new_attribute() -> Case:
    model = Holder()
    return model, set_attribute(model, "turn", 1)


def an_attribute_that_is_deleted() -> Case:
    model = Holder()
    return model, lambda: delattr(model, "held")


def an_attribute_of_a_submodule() -> Case:
    model = nn.Sequential(Holder(0), Holder(0))
    return model, set_attribute(model[1], "held", 1)


def training_mode_of_a_submodule() -> Case:
    model = Holder()
    return model, model.layer.eval


def an_attribute_of_a_module_in_a_list() -> Case:
    inner = Holder(0)
    return Holder([inner]), set_attribute(inner, "held", 1)


def a_method_of_the_instance() -> Case:
    model = Holder()
    return model, set_attribute(model, "forward", lambda x: x)


# Containers.


def an_item_of_a_list() -> Case:
    held = [1, 2]
    return Holder(held), lambda: held.__setitem__(0, 3)


def a_longer_list() -> Case:
    held: list[int] = []
    return Holder(held), lambda: held.append(1)


def a_shorter_list() -> Case:
    held = [1]
    return Holder(held), held.clear


def an_entry_of_a_dict() -> Case:
    held = {"turn": 0}
    return Holder(held), lambda: held.update(turn=1)


def a_key_of_a_dict() -> Case:
    held = {"turn": 0}
    return Holder(held), lambda: held.update(time=held.pop("turn"))


def the_order_of_a_dict() -> Case:
    held = OrderedDict(a=1, b=2)
    return Holder(held), lambda: held.move_to_end("a")


def a_set() -> Case:
    held = {1}
    return Holder(held), lambda: held.add(2)


def a_queue() -> Case:
    held = deque([1, 2])
    return Holder(held), held.popleft


def a_list_in_a_tuple_in_a_dict() -> Case:
    inner: list[int] = []
    return Holder({"kept": (inner, 1)}), lambda: inner.append(1)


# Objects.


def an_attribute_of_an_object() -> Case:
    box = Box()
    return Holder(box), set_attribute(box, "content", 1)


def a_list_of_an_object() -> Case:
    box = Box([])
    return Holder([box]), lambda: box.content.append(1)


def a_slot() -> Case:
    slotted = Slotted()
    return Holder(slotted), set_attribute(slotted, "content", 1)


def a_slot_beside_a_dict() -> Case:
    both = Both()
    return Holder(both), set_attribute(both, "content", 1)


def a_dict_beside_a_slot() -> Case:
    both = Both()
    return Holder(both), set_attribute(both, "other", 1)


def a_field_of_a_dataclass() -> Case:
    carry = Carry()
    return Holder(carry), set_attribute(carry, "turn", 1)


def a_name_of_a_namespace() -> Case:
    space = types.SimpleNamespace(turn=0)
    return Holder(space), set_attribute(space, "turn", 1)


def the_object_of_a_method() -> Case:
    box = Box()
    return Holder(box.put), set_attribute(box, "content", 1)


def the_list_of_a_built_in_method() -> Case:
    held: list[int] = []
    return Holder(held.append), lambda: held.append(1)


def an_attribute_of_a_kind_of_list() -> Case:
    class Log(list[int]):
        turn = 0

    held = Log()
    return Holder(held), set_attribute(held, "turn", 1)


def an_attribute_of_a_kind_of_dict() -> Case:
    class Config(dict[str, int]):
        turn = 0

    held = Config()
    return Holder(held), set_attribute(held, "turn", 1)


def an_argument_of_a_partial() -> Case:
    box = Box()
    return Holder(functools.partial(len, box)), set_attribute(box, "content", 1)


# Classes.


def an_attribute_of_the_class() -> Case:
    class Model(Holder):
        turn = 0

    return Model(), set_attribute(Model, "turn", 1)


def an_attribute_of_a_base_class() -> Case:
    class Base(Holder):
        turn = 0

    class Model(Base):
        pass

    return Model(), set_attribute(Base, "turn", 1)


def a_list_of_the_class() -> Case:
    class Model(Holder):
        log: list[int] = []  # noqa: RUF012 - shared on purpose

    return Model(), lambda: Model.log.append(1)


def a_method_of_the_class() -> Case:
    class Model(Holder):
        pass

    return Model(), set_attribute(Model, "forward", Holder.forward)


def an_attribute_of_an_objects_class() -> Case:
    class Own(Box):
        unit = 1

    return Holder(Own()), set_attribute(Own, "unit", 2)


def an_attribute_of_a_class_that_is_held() -> Case:
    class Own(Box):
        unit = 1

    return Holder(Own), set_attribute(Own, "unit", 2)


def what_a_property_closes_over() -> Case:
    turns: list[int] = []

    class Model(Holder):
        @property
        def turn(self):
            return len(turns)

    return Model(), lambda: turns.append(1)


def what_a_static_method_closes_over() -> Case:
    turns: list[int] = []

    class Model(Holder):
        @staticmethod
        def turn():
            return len(turns)

    return Model(), lambda: turns.append(1)


def what_a_class_method_closes_over() -> Case:
    turns: list[int] = []

    class Model(Holder):
        @classmethod
        def turn(cls):
            return len(turns)

    return Model(), lambda: turns.append(1)


# Functions.


class ReadsGlobals(Holder):
    """Reads numbers and lists of its file, some by way of other functions."""

    def forward(self, x):
        return x * RATE

    def inner(self, x):
        def longer(each):
            return each + len(LOG)

        return list(map(longer, x))


class Registry:
    """A class that is used as a place for numbers."""

    turn = 0


class ReadsClass(Holder):
    """Reads an attribute of a class."""

    def forward(self, x):
        return x * Registry.turn


class ReadsByHelper(Holder):
    """Calls a function that reads a global."""

    def forward(self, x):
        return helper(x)


def helper(x):
    return x * RATE


def a_global() -> Case:
    return ReadsGlobals(), lambda: globals().update(RATE=2.0)


def a_global_list() -> Case:
    return ReadsGlobals(), lambda: LOG.append(1)


def an_attribute_of_a_global_class() -> Case:
    return ReadsClass(), set_attribute(Registry, "turn", Registry.turn + 1)


def a_global_of_a_helper() -> Case:
    return ReadsByHelper(), lambda: globals().update(RATE=2.0)


def a_variable_closed_over() -> Case:
    turn = 0

    class Model(Holder):
        def forward(self, x):
            return x * turn

    def change() -> None:
        nonlocal turn
        turn += 1

    return Model(), change


def a_variable_that_had_no_value() -> Case:
    class Model(Holder):
        def later(self, x):
            return x * turn

    def change() -> None:
        nonlocal turn
        turn = 1

    if not Model:
        turn = 0
    return Model(), change


def what_a_function_that_is_held_closes_over() -> Case:
    turns: list[int] = []
    return Holder(lambda: len(turns)), lambda: turns.append(1)


def what_a_decorator_closes_over() -> Case:
    calls: list[int] = []

    def counted(function):
        @functools.wraps(function)
        def call(*args):
            calls.append(1)
            return function(*args)

        return call

    return Holder(counted(helper)), lambda: calls.append(1)


def what_a_decorated_function_closes_over() -> Case:
    turns: list[int] = []

    def step(x):
        return x * len(turns)

    @functools.wraps(step)
    def call(x):
        return step(x)

    return Holder(call), lambda: turns.append(1)


def an_attribute_of_a_function() -> Case:
    def step(x):
        step.turn += 1
        return x

    step.turn = 0
    return Holder(step), set_attribute(step, "turn", 1)


def a_default_argument() -> Case:
    def step(x, seen=[]):  # noqa: B006 - kept from call to call on purpose
        return x, seen

    return Holder(step), lambda: step.__defaults__[0].append(1)


def a_default_of_a_named_argument() -> Case:
    def step(x, *, seen={}):  # noqa: B006 - kept from call to call on purpose
        return x, seen

    return Holder(step), lambda: step.__kwdefaults__["seen"].update(a=1)


def other_defaults() -> Case:
    def step(x, rate=1):
        return x * rate

    return Holder(step), set_attribute(step, "__defaults__", (2,))


def other_code() -> Case:
    def step(x):
        return x

    return Holder(step), set_attribute(step, "__code__", (lambda x: x + 1).__code__)


class ReadsModules(Holder):
    """Reads a number of another file of the user's."""

    def forward(self, x):
        return x * settings.rate


def an_attribute_of_another_file() -> Case:
    return ReadsModules(), set_attribute(settings, "rate", 2.0)


# Hooks.


def a_hook() -> Case:
    model = Holder()
    return model, lambda: model.register_forward_hook(lambda *_: None)


def a_hook_before() -> Case:
    model = Holder()
    return model, lambda: model.register_forward_pre_hook(lambda *_: None)


def a_hook_of_a_submodule() -> Case:
    model = Holder()
    return model, lambda: model.layer.register_forward_hook(lambda *_: None)


CHANGES = (
    a_number,
    a_number_of_another_type,
    a_text,
    a_tensor,
    a_parameter,
    a_buffer,
    a_buffer_that_is_taken_away,
    a_submodule,
    a_new_submodule,
    a_new_attribute,
    an_attribute_that_is_deleted,
    an_attribute_of_a_submodule,
    training_mode_of_a_submodule,
    an_attribute_of_a_module_in_a_list,
    a_method_of_the_instance,
    an_item_of_a_list,
    a_longer_list,
    a_shorter_list,
    an_entry_of_a_dict,
    a_key_of_a_dict,
    the_order_of_a_dict,
    a_set,
    a_queue,
    a_list_in_a_tuple_in_a_dict,
    an_attribute_of_an_object,
    a_list_of_an_object,
    a_slot,
    a_slot_beside_a_dict,
    a_dict_beside_a_slot,
    a_field_of_a_dataclass,
    a_name_of_a_namespace,
    the_object_of_a_method,
    an_argument_of_a_partial,
    the_list_of_a_built_in_method,
    an_attribute_of_a_kind_of_list,
    an_attribute_of_a_kind_of_dict,
    an_attribute_of_the_class,
    an_attribute_of_a_base_class,
    a_list_of_the_class,
    a_method_of_the_class,
    an_attribute_of_an_objects_class,
    an_attribute_of_a_class_that_is_held,
    what_a_property_closes_over,
    what_a_static_method_closes_over,
    what_a_class_method_closes_over,
    a_global,
    a_global_list,
    a_global_of_a_helper,
    an_attribute_of_a_global_class,
    a_variable_closed_over,
    a_variable_that_had_no_value,
    what_a_function_that_is_held_closes_over,
    what_a_decorator_closes_over,
    what_a_decorated_function_closes_over,
    an_attribute_of_a_function,
    a_default_argument,
    a_default_of_a_named_argument,
    other_defaults,
    other_code,
    an_attribute_of_another_file,
    a_hook,
    a_hook_before,
    a_hook_of_a_submodule,
)


@pytest.mark.parametrize("case", CHANGES)
def test_change_is_seen(case: Callable[[], Case]) -> None:
    model, change = case()
    reach = reach_of(model)
    assert reach.is_unchanged()
    model(torch.zeros(D))
    assert reach.is_unchanged(), "a call by itself changes nothing"
    change()
    assert not reach.is_unchanged()


# What changes nothing.


def another_equal_number() -> Case:
    model = Holder(1.5)
    return model, set_attribute(model, "held", float("1.5"))


def an_equal_text() -> Case:
    model = Holder("turn 4")
    return model, set_attribute(model, "held", f"turn {model.layer.in_features}")


def what_a_tensor_holds() -> Case:
    model = Holder(torch.zeros(D))
    return model, lambda: model.held.add_(1)


def what_a_buffer_holds() -> Case:
    model = Holder()
    return model, lambda: model.memory.fill_(1)


def an_object_out_of_reach() -> Case:
    return Holder(Box()), set_attribute(Box(), "content", 1)


def a_global_that_nothing_names() -> Case:
    return Holder(), lambda: globals().update(RATE=2.0)


def an_attribute_of_another_file_that_nothing_names() -> Case:
    return ReadsModules(), set_attribute(settings, "other", 2.0)


HARMLESS = (
    another_equal_number,
    an_equal_text,
    what_a_tensor_holds,
    what_a_buffer_holds,
    an_object_out_of_reach,
    a_global_that_nothing_names,
    an_attribute_of_another_file_that_nothing_names,
)


@pytest.mark.parametrize("case", HARMLESS, ids=lambda case: case.__name__)
def test_what_is_none_of_its_business_is_no_change(case: Callable[[], Case]) -> None:
    model, change = case()
    reach = reach_of(model)
    change()
    assert reach.is_unchanged()


def test_what_changed_back_is_unchanged() -> None:
    model = Holder(0)
    reach = reach_of(model)
    model.held = 1
    assert not reach.is_unchanged()
    model.held = 0
    assert reach.is_unchanged()


def test_a_hook_that_was_removed_is_no_change() -> None:
    model = Holder()
    reach = reach_of(model)
    model.register_forward_hook(lambda *_: None).remove()
    assert reach.is_unchanged()


def test_what_holds_itself_is_looked_at_once() -> None:
    held: list[object] = []
    held.append(held)
    box = Box()
    box.content = box
    reach = reach_of(Holder([held, box]))
    assert reach.is_unchanged()


def test_tensors_in_reach_are_known() -> None:
    closed_over, listed, in_a_box = torch.zeros(1), torch.zeros(1), torch.zeros(1)
    model = Holder([listed, Box(in_a_box), lambda: closed_over])
    expected = [model.layer.weight, model.layer.bias, model.memory, closed_over, listed, in_a_box]
    reach = reach_of(model)
    assert {id(tensor) for tensor in expected} <= reach.tensors
    assert id(torch.zeros(1)) not in reach.tensors


# What nobody can tell.


def numbers() -> Iterator[int]:
    yield 1


def nested(depth: int) -> object:
    held: object = Box()
    for _ in range(depth):
        held = [held]
    return held


UNKNOWN = {
    "an iterator": lambda: iter([1]),
    "a counter": itertools.count,
    "a generator": numbers,
    "a zip": lambda: zip([1], [2], strict=True),
    "a source of random numbers": lambda: random.Random(0),
    "one of numpy's": lambda: np.random.default_rng(0),
    "one of torch's": torch.Generator,
    "a context variable": lambda: ContextVar("turn"),
    "a weak reference": lambda: weakref.ref(Box()),
    "bytes that can be written": lambda: bytearray(b"a"),
    "a view of memory": lambda: memoryview(bytearray(b"a")),
    "an array": lambda: np.zeros(1),
    "an array of Python's": lambda: array("d", [1.0]),
    "a view of a dict": lambda: types.MappingProxyType({}),
    "a function with a cache": lambda: functools.cache(helper),
    "what is far down": lambda: nested(20),
    "more than can be watched": lambda: [[] for _ in range(3000)],
}


@pytest.mark.parametrize("make", UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_told_is_unknown(make: Callable[[], object]) -> None:
    with pytest.raises(UnknownState):
        reach_of(Holder(make()))


def test_what_cannot_be_told_is_unknown_in_a_closure_too() -> None:
    turns = itertools.count()
    with pytest.raises(UnknownState):
        reach_of(Holder(lambda: next(turns)))


@pytest.mark.parametrize("depth", [1, 5])
def test_what_is_not_far_down_is_known(depth: int) -> None:
    assert reach_of(Holder(nested(depth))).is_unchanged()


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
@pytest.mark.parametrize("part", ["", "layer"])
def test_a_module_with_a_hook_is_unknown(register: str, part: str) -> None:
    model = Holder()
    getattr(model.get_submodule(part), register)(lambda *_: None)
    with pytest.raises(UnknownState):
        reach_of(model)
