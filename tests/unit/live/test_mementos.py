"""What a memento keeps and puts back, thing by thing, and what it never asks."""

from __future__ import annotations

import importlib
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import pytest
import torch

from scaleaudit.capture._torch_private import storage_key
from scaleaudit.capture.engines import FakeEngine
from scaleaudit.capture.mementos import Memento


class Box:
    pass


class Slotted:
    __slots__ = ("__hidden", "shown")

    def hide(self, value: object) -> None:
        self.__hidden = value

    def hidden(self) -> object:
        return self.__hidden


class Loud(OrderedDict):  # as the lazy tables of libraries, which import what they are asked for
    def _asked(self, *_: Any) -> Any:
        raise AssertionError("nobody may ask")

    keys = values = items = __iter__ = __getitem__ = __len__ = _asked


class Noisy:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError("nobody may ask")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("nobody may ask")

    __hash__ = object.__hash__


def _closure() -> tuple[Callable[[], None], Callable[[], int]]:
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    return step, lambda: count


def _box(**held: Any) -> Box:
    made = Box()
    vars(made).update(held)
    return made


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ({"a": 1}, lambda d: d.update(b=2)),
        ({"a": 1, "b": 2}, lambda d: d.pop("a")),
        (OrderedDict(a=1, b=2), lambda d: d.move_to_end("a")),
        (defaultdict(list, a=[1]), lambda d: d["b"]),
        ([1, [2]], lambda x: x[1].append(3)),
        (deque([1, 2], maxlen=2), lambda q: q.append(3)),
        ({1, 2}, lambda s: s.discard(1)),
        ((_box(x=1), [0]), lambda t: (setattr(t[0], "x", 2), t[1].clear())),
        (_box(x=1), lambda b: delattr(b, "x")),
        (_box(inner=_box(y=[1])), lambda b: b.inner.y.append(2)),
    ],
)
def test_what_an_object_holds_is_put_back(value, change):
    def seen(held: Any) -> Any:
        return {k: seen(v) for k, v in vars(held).items()} if isinstance(held, Box) else held

    before = repr([seen(each) for each in value] if isinstance(value, tuple) else seen(value))
    memento = Memento([value])
    change(value)
    memento.restore()
    assert (
        repr([seen(each) for each in value] if isinstance(value, tuple) else seen(value)) == before
    )


def test_slots_are_put_back_hidden_ones_too():
    slotted = Slotted()
    slotted.hide(1)
    memento = Memento([slotted])
    slotted.hide(2)
    memento.restore()
    assert slotted.hidden() == 1


def test_what_functions_close_over_is_put_back():
    step, count = _closure()
    memento = Memento([step])
    step()
    memento.restore()
    assert count() == 0


def test_objects_are_not_asked_for_anything():
    loud = Loud()
    OrderedDict.__setitem__(loud, "a", [1])
    held = OrderedDict.get(loud, "a")
    memento = Memento([loud, Noisy(), [Noisy()]])
    held.append(2)
    OrderedDict.__setitem__(loud, "b", 3)
    memento.restore()
    assert (held, dict.__len__(loud)) == ([1], 1)


def test_values_of_tensors_are_put_back_only_where_they_changed():
    changed, same = torch.zeros(2), torch.zeros(2)
    memento = Memento([(changed, same)])
    memento.keep_values()
    changed.add_(1)
    memento.restore()
    assert changed.tolist() == [0, 0]
    assert same._version == 0


def test_tensors_elsewhere_become_fakes_that_share_what_memory_they_shared():
    engine, whole = FakeEngine(building=False), torch.zeros(12)
    first, second = (engine.brought(part.view(2, 3)) for part in whole.split(6))
    assert storage_key(first) == storage_key(second)
    assert (second.shape, second.stride(), second.storage_offset()) == ((2, 3), (3, 1), 6)
    weight = engine.brought(torch.nn.Parameter(torch.zeros(2, 3)))
    assert isinstance(weight, torch.nn.Parameter)
    assert weight.requires_grad
    assert storage_key(weight) != storage_key(first)


def test_modules_that_name_each_other_are_looked_at_once(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "naming_one.py").write_text(
        "import naming_two\nCOUNT = [0]\ndef step():\n    naming_two.naming_one.COUNT[0] += 1\n"
    )
    (tmp_path / "naming_two.py").write_text("import naming_one\n")
    one = importlib.import_module("naming_one")
    memento = Memento([one.step])
    one.step()
    memento.restore()
    assert one.COUNT == [0]
