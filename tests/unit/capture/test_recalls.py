"""Calls that repeat others are recalled, and nothing else is; either way the graph is the same."""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
import torch
from capture_support import assert_runs_alike, calls, target_of
from torch import nn
from torch.utils.checkpoint import checkpoint

from scaleaudit.capture.capturing import Captured, capture
from scaleaudit.capture.engines import FakeEngine
from scaleaudit.domain.graph import NoteKind, OpGraph

D = 8
TURNS = 4
# Every block calls it once, and nobody else does.
MARK = "aten.tanh"

Loop = Callable[[nn.Module, torch.Tensor], Any]


class Block(nn.Module):
    """A pre-norm residual block, with a buffer and a few attributes for others to use."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(D)
        self.w = nn.Linear(D, D)
        self.register_buffer("memory", torch.zeros(D))
        self.turn = 0
        self.rate = 1.0
        self.kept: list[Any] = []

    def forward(self, h):
        return self.step(h)

    def step(self, h):
        return h + self.rate * torch.tanh(self.w(self.norm(h)))


class Looped(nn.Module):
    """A block, and a loop over it that is given."""

    def __init__(self, block: nn.Module, loop: Loop) -> None:
        super().__init__()
        self.first = nn.Linear(D, D)
        self.block = block
        self.loop = loop

    def forward(self, x):
        return self.loop(self.block, self.first(x))


def plainly(block, h):
    for _ in range(TURNS):
        h = block(h)
    return h.sum()


@contextmanager
def counting_runs() -> Iterator[Counter[str]]:
    """Count the operators that the engine runs."""
    counted: Counter[str] = Counter()
    run = FakeEngine.run

    @functools.wraps(run)
    def counts(self: FakeEngine, op: Any, *args: Any) -> Any:
        counted[str(op.overloadpacket)] += 1
        return run(self, op, *args)

    with patch.object(FakeEngine, "run", counts):
        yield counted


@pytest.fixture
def given() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(3, D)


def runs_of(model: nn.Module, x: torch.Tensor, *, whole: bool = False) -> tuple[int, Captured]:
    """Capture a model, and count how often a block was run."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the generator that everybody shares
    with counting_runs() as counted:
        found = capture(target_of(model, x), whole=whole)
    assert NoteKind.FALLBACK not in {note.kind for note in found.graph.notes}
    return counted[MARK], found


def described(graph: OpGraph) -> list[Any]:
    """Describe all that a graph says of its nodes, but for what merely numbers them."""
    return [
        (
            node.op,
            node.arguments,
            node.outputs,
            node.names,
            node.grad,
            [(frame.location, frame.function) for frame in node.frames],
            [(module.path, module.call) for module in node.modules],
            [offset for _, offset in node.turn_frames],
        )
        for node in graph.nodes
    ]


def turns_of(graph: OpGraph) -> list[list[int]]:
    """Number the running frames of every node in the order in which they come up."""
    numbers: dict[int, int] = {}
    return [
        [numbers.setdefault(serial, len(numbers)) for serial, _ in node.turn_frames]
        for node in graph.nodes
    ]


def runs_as_if_whole(make: Callable[[], nn.Module], x: torch.Tensor) -> tuple[int, int]:
    """Count how often a block was run, and how often it would have been if nothing was recalled.

    The graph is held to that of a capture that runs all.
    """
    ran, economical = runs_of(make(), x)
    every, whole = runs_of(make(), x, whole=True)
    assert described(economical.graph) == described(whole.graph)
    assert turns_of(economical.graph) == turns_of(whole.graph)
    return ran, every


# What is recalled.


@pytest.mark.parametrize("turns", [1, 2, 3, 5])
def test_block_is_run_once_however_often_it_is_called(turns: int, given: torch.Tensor) -> None:
    def loop(block, h):
        for _ in range(turns):
            h = block(h)
        return h.sum()

    assert runs_as_if_whole(lambda: Looped(Block(), loop), given) == (1, turns)
    found = assert_runs_alike(Looped(Block(), loop), given)
    assert len(calls(found.graph, f"{MARK}.default")) == turns


def test_whole_captures_run_every_call(given: torch.Tensor) -> None:
    ran, _ = runs_of(Looped(Block(), plainly), given, whole=True)
    assert ran == TURNS


class Carry(NamedTuple):
    """A named tuple of tensors."""

    state: Any
    mean: Any


@dataclass
class Record:
    """A record of tensors and plain values."""

    state: Any
    turns: int = 0


class Returns(Block):
    """A block that returns what a function makes of its result."""

    def __init__(self, make: Callable[[torch.Tensor, torch.Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, h):
        return self.make(h, self.step(h))


def returning(
    make: Callable[[torch.Tensor, torch.Tensor], Any], read: Callable[..., Any]
) -> Looped:
    """Make a model whose block returns a structure, which its loop reads."""

    def loop(block, h):
        total = 0.0
        for _ in range(TURNS):
            h, more = read(block(h))
            total = total + more
        return h.sum() + total

    return Looped(Returns(make), loop)


STRUCTURES: dict[str, Callable[[], nn.Module]] = {
    "a tuple": lambda: returning(lambda _, y: (y, y.mean()), lambda out: out),
    "a list": lambda: returning(lambda _, y: [y, y.mean()], lambda out: out),
    "a dict": lambda: returning(
        lambda _, y: {"h": y, "m": y.mean()}, lambda out: (out["h"], out["m"])
    ),
    "a dataclass": lambda: returning(
        lambda _, y: Record(y, 3), lambda out: (out.state, float(out.turns))
    ),
    "a nested structure": lambda: returning(
        lambda _, y: (y, {"all": [y.mean(), None]}), lambda out: (out[0], out[1]["all"][0])
    ),
    "its argument too": lambda: returning(
        lambda h, y: (y, h), lambda out: (out[0], out[1].square().mean())
    ),
    "a number": lambda: returning(lambda _, y: (y, 0.5), lambda out: out),
}


@pytest.mark.parametrize("make", STRUCTURES.values(), ids=STRUCTURES)
def test_structures_are_made_anew(make: Callable[[], nn.Module], given: torch.Tensor) -> None:
    ran, every = runs_as_if_whole(make, given)
    assert ran <= 2 < every, "the first call may be of another form"
    assert_runs_alike(make(), given)


def test_named_tuples_are_made_anew(given: torch.Tensor) -> None:
    def make():
        return returning(lambda _, y: Carry(y, y.mean()), lambda out: (out.state, out.mean))

    assert runs_as_if_whole(make, given) == (1, TURNS)


class Mixes(Block):
    """A block with two arguments."""

    def forward(self, h, x, rate=1.0):
        return self.step(h) + rate * x * h


class Packed(Block):
    """A block whose argument is a structure."""

    def forward(self, carry):
        return {"h": self.step(carry["h"]), "x": carry["x"][0] * 2}


class Outer(nn.Module):
    """A block of blocks, one of which is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Block()
        self.other = nn.Sequential(nn.Linear(D, D), nn.GELU(), nn.Linear(D, D))

    def forward(self, h):
        return self.inner(self.inner(h)) + self.other(h)


def with_the_input(block, h):
    x = h
    for _ in range(TURNS):
        h = block(h, x=x)
    return h.sum()


def with_one_tensor_twice(block, h):
    for _ in range(TURNS):
        h = block(h, h, rate=0.5)
    return h.sum()


def with_a_dict(block, h):
    carry = {"h": h, "x": (h,)}
    for _ in range(TURNS):
        carry = block(carry)
        carry["x"] = (carry["x"],)
    return carry["h"].sum() + carry["x"][0].sum()


def with_additions_in_place(block, h):
    x = h.clone()
    for _ in range(TURNS):
        h = block(h)
        h += x
        h[:, :2].mul_(0.5)
    return h.sum()


def with_additions_in_place_afterwards(block, h):
    states = []
    for _ in range(TURNS):
        h = block(h)
        states.append(h)
    for state in states:
        state.mul_(0.5)
    return torch.stack(states).sum()


def with_views_of_outputs(block, h):
    for _ in range(TURNS):
        h = block(h)
        h = torch.cat([h[:, : D // 2], h[:, D // 2 :].flip(1)], 1)
    return h.sum()


def without_gradient(block, h):
    with torch.no_grad():
        for _ in range(TURNS):
            h = block(h)
    return h.sum()


def in_half_precision(block, h):
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(TURNS):
            h = block(h)
    return h.float().sum()


def in_half_precision_turn_by_turn(block, h):
    for _ in range(TURNS):
        with torch.autocast("cpu", torch.bfloat16):
            h = block(h)
    return h.float().sum()


def by_recursion(block, h, left=TURNS):
    return by_recursion(block, block(h), left - 1) if left else h.sum()


def in_nested_loops(block, h):
    for _ in range(2):
        for _ in range(2):
            h = block(h)
        h = torch.relu(h)
    return h.sum()


def reading_every_turn(block, h):
    total = 0
    for _ in range(TURNS):
        h = block(h)
        total = total + h.square().mean()
    return total


ONCE: dict[str, Callable[[], nn.Module]] = {
    "an argument by name": lambda: Looped(Mixes(), with_the_input),
    "one tensor twice": lambda: Looped(Mixes(), with_one_tensor_twice),
    "a dict": lambda: Looped(Packed(), with_a_dict),
    "additions in place": lambda: Looped(Block(), with_additions_in_place),
    "additions in place afterwards": lambda: Looped(Block(), with_additions_in_place_afterwards),
    "views of outputs": lambda: Looped(Block(), with_views_of_outputs),
    "no gradient": lambda: Looped(Block(), without_gradient),
    "half precision": lambda: Looped(Block(), in_half_precision),
    "recursion": lambda: Looped(Block(), by_recursion),
    "nested loops": lambda: Looped(Block(), in_nested_loops),
    "blocks in blocks": lambda: Looped(Outer(), plainly),
    "readouts": lambda: Looped(Block(), reading_every_turn),
    "a sequence of modules": lambda: Looped(nn.Sequential(Block(), nn.Linear(D, D)), plainly),
}


@pytest.mark.parametrize("make", ONCE.values(), ids=ONCE)
def test_block_is_run_once(make: Callable[[], nn.Module], given: torch.Tensor) -> None:
    ran, every = runs_as_if_whole(make, given)
    assert ran <= 2 < every, "the first call may be of another form"
    assert_runs_alike(make(), given)


# What is not: the block does more than return a value.


class ReadsNumber(Block):
    def forward(self, h):
        return self.step(h) * float(h.mean().item())


class Branches(Block):
    def forward(self, h):
        return self.step(h) if h.mean() > 0 else self.step(-h)


class ComparesTensors(Block):
    def forward(self, h):
        return self.step(h) if not torch.equal(h, h + 1) else h


class DrawsNumber(Block):
    def forward(self, h):
        return self.step(h) * random.uniform(0.5, 1)


class DrawsNumberOfNumpy(Block):
    def forward(self, h):
        return self.step(h) * float(np.random.uniform(0.5, 1))  # noqa: NPY002


class WritesToBuffer(Block):
    def forward(self, h):
        self.memory.mul_(0.9)
        return self.step(h) + self.memory


class WritesToPartOfBuffer(Block):
    def forward(self, h):
        self.memory[:2] = h[0, :2].detach()
        return self.step(h)


class WritesToArgument(Block):
    def forward(self, h):
        h.mul_(0.5)
        return self.step(h)


class Counts(Block):
    def forward(self, h):
        self.turn += 1
        return self.step(h) * self.turn


class KeepsTensor(Block):
    def forward(self, h):
        self.last = self.step(h)
        return self.last * 2


class KeepsTensors(Block):
    def forward(self, h):
        out = self.step(h)
        self.kept.append(out)
        return out * 2


class ReplacesBuffer(Block):
    def forward(self, h):
        self.memory = h.detach().mean(0)
        return self.step(h) + self.memory


class ReturnsView(Block):
    def forward(self, h):
        return self.step(h), h[:, :2]


class ReturnsOneTwice(Block):
    def forward(self, h):
        out = self.step(h)
        return out, out


class ReturnsTwoViews(Block):
    def forward(self, h):
        return self.step(h).chunk(2, 1)


class ReturnsBuffer(Block):
    def forward(self, h):
        return self.step(h) + self.memory, self.memory


class ReturnsOwnList(Block):
    def forward(self, h):
        return self.step(h), self.kept


class ReturnsFunction(Block):
    def forward(self, h):
        return self.step(h), lambda x: x * 2


class MutatesList(Block):
    def forward(self, h, log):
        log.append(1)
        return self.step(h)


def reading_first(block, h):
    for _ in range(TURNS):
        h = block(h)[0]
    return h.sum()


def joining_parts(block, h):
    for _ in range(TURNS):
        h = torch.cat(block(h), 1)
    return h.sum()


def summing_what_is_kept(block, h):
    plainly(block, h)
    return torch.stack(block.kept).sum()


def on_copies(block, h):
    for _ in range(TURNS):
        h = block(h.clone())
    return h.sum()


def with_a_log(block, h):
    log = []
    for _ in range(TURNS):
        h = block(h, log)
    return h.sum() * len(log)


def writing_to_what_is_returned(block, h):
    for _ in range(TURNS):
        h, memory = block(h)
        with torch.no_grad():
            memory.add_(1)
    return h.sum()


DOES_MORE: dict[str, Callable[[], nn.Module]] = {
    "reads a number": lambda: Looped(ReadsNumber(), plainly),
    "branches on a value": lambda: Looped(Branches(), plainly),
    "compares tensors": lambda: Looped(ComparesTensors(), plainly),
    "writes to a buffer": lambda: Looped(WritesToBuffer(), plainly),
    "writes to part of a buffer": lambda: Looped(WritesToPartOfBuffer(), plainly),
    "writes to an argument": lambda: Looped(WritesToArgument(), on_copies),
    "counts": lambda: Looped(Counts(), plainly),
    "keeps a tensor": lambda: Looped(KeepsTensor(), plainly),
    "keeps tensors": lambda: Looped(KeepsTensors(), summing_what_is_kept),
    "replaces a buffer": lambda: Looped(ReplacesBuffer(), plainly),
    "returns a view of its argument": lambda: Looped(ReturnsView(), reading_first),
    "returns one tensor twice": lambda: Looped(ReturnsOneTwice(), reading_first),
    "returns two views": lambda: Looped(ReturnsTwoViews(), joining_parts),
    "returns its buffer": lambda: Looped(ReturnsBuffer(), writing_to_what_is_returned),
    "returns its list": lambda: Looped(ReturnsOwnList(), reading_first),
    "returns a function": lambda: Looped(ReturnsFunction(), reading_first),
    "changes a list that it is given": lambda: Looped(MutatesList(), with_a_log),
    "draws numbers": lambda: Looped(DrawsNumber(), plainly),
    "draws numbers of numpy": lambda: Looped(DrawsNumberOfNumpy(), plainly),
}


@pytest.mark.parametrize("make", DOES_MORE.values(), ids=DOES_MORE)
def test_block_that_does_more_is_run_every_time(
    make: Callable[[], nn.Module], given: torch.Tensor
) -> None:
    ran, every = runs_as_if_whole(make, given)
    assert ran == every


# What is not: the call is another one.


class Numbered(Block):
    def forward(self, h, turn):
        return self.step(h) * (turn + 1)


class Asks(Block):
    def forward(self, h, ask):
        return self.step(h) * (next(ask) if hasattr(ask, "__next__") else ask())


class Plain(nn.Module):
    """A block without weights."""

    def forward(self, h):
        return (torch.tanh(h) * 2 - 1).exp() + h


def other_numbers(block, h):
    for turn in range(TURNS):
        h = block(h, turn)
    return h.sum()


def other_texts(block, h):
    for turn in range(TURNS):
        h = block(h, len(str(turn) * turn))
    return h.sum()


def other_shapes(block, h):
    for _ in range(TURNS):
        h = torch.cat([block(h), h[:1]])
    return h.sum()


def other_types(block, h):
    types = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
    return sum(block(h.to(dtype)).float().sum() for dtype in types)


def other_strides(block, h):
    square = torch.cat([h, h, h])[:D]
    views = (square, square.t(), torch.stack([square, h[:1] + square], 2)[:, :, 0], square[::2])
    return sum(block(view).sum() for view in views)


def other_modes(block, h):
    out = block(h).sum()
    with torch.no_grad():
        out = out + block(h).sum()
    with torch.autocast("cpu", torch.bfloat16):
        out = out + block(h).float().sum()
    with torch.autocast("cpu", torch.float16):
        return out + block(h).float().sum()


def other_rates(block, h):
    for turn in range(TURNS):
        block.rate = float(turn)
        h = block(h)
    return h.sum()


def other_weights(block, h):
    for _ in range(TURNS):
        h = block(h)
        with torch.no_grad():
            block.w.weight.mul_(0.5)
    return h.sum()


def other_parameters(block, h):
    for _ in range(TURNS):
        h = block(h)
        block.w.weight = nn.Parameter(block.w.weight * 2)
    return h.sum()


def other_data(block, h):
    for _ in range(TURNS):
        h = block(h)
        block.w.weight.data = block.w.weight.data * 2
    return h.sum()


def other_training(block, h):
    for turn in range(TURNS):
        block.train(turn % 2 == 0)
        h = block(h.detach() if turn else h)
    return h.sum()


def given_a_counter(block, h):
    ask = iter(range(TURNS))
    for _ in range(TURNS):
        h = block(h, ask)
    return h.sum()


def given_a_function(block, h):
    turns = []

    def ask():
        turns.append(1)
        return len(turns)

    for _ in range(TURNS):
        h = block(h, ask)
    return h.sum()


ANOTHER: dict[str, Callable[[], nn.Module]] = {
    "other numbers": lambda: Looped(Numbered(), other_numbers),
    "numbers made of texts": lambda: Looped(Numbered(), other_texts),
    "other shapes": lambda: Looped(Block(), other_shapes),
    "other types": lambda: Looped(Plain(), other_types),
    "other strides": lambda: Looped(Block(), other_strides),
    "other modes": lambda: Looped(Block(), other_modes),
    "other attributes": lambda: Looped(Block(), other_rates),
    "other parameters": lambda: Looped(Block(), other_parameters),
    "a counter": lambda: Looped(Asks(), given_a_counter),
    "a function": lambda: Looped(Asks(), given_a_function),
}


@pytest.mark.parametrize("make", ANOTHER.values(), ids=ANOTHER)
def test_call_that_is_another_is_run(make: Callable[[], nn.Module], given: torch.Tensor) -> None:
    assert runs_as_if_whole(make, given) == (TURNS, TURNS)


def test_block_that_is_switched_to_evaluation_is_run_again(given: torch.Tensor) -> None:
    ran, _ = runs_as_if_whole(lambda: Looped(Block(), other_training), given)
    assert ran >= 2


@pytest.mark.parametrize("loop", [other_weights, other_data], ids=["weights", "data"])
def test_weights_that_are_put_in_the_place_of_others_are_recalled_as_such(
    loop: Callable[..., torch.Tensor], given: torch.Tensor
) -> None:
    assert runs_as_if_whole(lambda: Looped(Block(), loop), given) == (1, TURNS)


def test_one_of_two_blocks_of_a_kind_is_run(given: torch.Tensor) -> None:
    def make():
        return Looped(nn.ModuleList([Block(), Block()]), alternating)

    def alternating(blocks, h):
        for turn in range(TURNS):
            h = blocks[turn % 2](h)
        return h.sum()

    assert runs_as_if_whole(make, given) == (1, TURNS)
    assert_runs_alike(make(), given)


def test_two_tensors_are_not_one_given_twice(given: torch.Tensor) -> None:
    def loop(block, h):
        x = h * 2
        return (block(h, h) + block(h, x) + block(x, x)).sum()

    assert runs_as_if_whole(lambda: Looped(Mixes(), loop), given) == (2, 3)
    assert_runs_alike(Looped(Mixes(), loop), given)


def test_a_tensor_that_shares_memory_is_not_one_of_its_own(given: torch.Tensor) -> None:
    def loop(block, h):
        one, two, three, four, five = (h * i for i in range(5))
        return (block(one, two) + block(three, three.view(h.shape)) + block(four, five)).sum()

    assert runs_as_if_whole(lambda: Looped(Mixes(), loop), given) == (2, 3)
    assert_runs_alike(Looped(Mixes(), loop), given)


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_block_with_a_hook_is_run_every_time(register: str, given: torch.Tensor) -> None:
    def make():
        block = Block()
        getattr(block, register)(lambda module, *_: None)
        return Looped(block, plainly)

    assert runs_as_if_whole(make, given) == (TURNS, TURNS)


def test_small_block_is_not_worth_it(given: torch.Tensor) -> None:
    class Small(nn.Module):
        def forward(self, h):
            return torch.tanh(h) + 1

    assert runs_as_if_whole(lambda: Looped(Small(), plainly), given) == (TURNS, TURNS)


def test_block_that_fails_leaves_nothing_behind(given: torch.Tensor) -> None:
    class Fails(Block):
        def forward(self, h, fail):
            out = self.step(h)
            if fail:
                raise ValueError
            return out

    def loop(block, h):
        for turn in range(TURNS):
            try:
                h = block(h, turn % 2 == 1)
            except ValueError:
                h = h * 2
        return h.sum()

    assert runs_as_if_whole(lambda: Looped(Fails(), loop), given) == (3, 4)
    assert_runs_alike(Looped(Fails(), loop), given)


def test_checkpointed_block_is_what_it_is_without(given: torch.Tensor) -> None:
    def loop(block, h):
        for _ in range(TURNS):
            h = checkpoint(block, h, use_reentrant=False)
        return h.sum()

    runs_as_if_whole(lambda: Looped(Block(), loop), given)
    assert_runs_alike(Looped(Block(), loop), given)


def test_block_that_reads_what_the_caller_left_in_a_cell_is_recalled_with_that(
    given: torch.Tensor,
) -> None:
    def make():
        scale = None

        class Reads(Block):
            def forward(self, h):
                return self.step(h) * scale

        def loop(block, h):
            nonlocal scale
            for _ in range(TURNS):
                scale = h.mean()
                h = block(h)
            return h.sum()

        return Looped(Reads(), loop)

    # Inside of a recalled call, names of what it reads by itself are not looked up again.
    ran, _ = runs_of(make(), given)
    assert ran == 1
    assert_runs_alike(make(), given)


# What is not: the block keeps something out of sight.


def stretching_of_weights(block, h):
    for turn in range(TURNS):
        block.requires_grad_(turn == TURNS - 1)
        h = block(h.detach())
    (slope,) = torch.autograd.grad(h.sum(), block.w.weight)
    return h.sum() + slope.square().sum()


class Registry:
    """A class that is used as a place for a number."""

    turn = 1


class CountsInClass(Block):
    def forward(self, h):
        Registry.turn = Registry.turn + 1 if Registry.turn < TURNS else 1
        return self.step(h) * Registry.turn


def counted(h):
    counted.turn = counted.turn + 1 if counted.turn < TURNS else 1
    return h * counted.turn


counted.turn = 1


class CountsInFunction(Block):
    def forward(self, h):
        return counted(self.step(h))


class KeepsByMethod(Block):
    """Hands what it computes to a list that it knows by its method alone."""

    def forward(self, h):
        out = self.step(h)
        self.keep(out)
        return out * 2


def keeping_by_method(block, h):
    states = []
    block.keep = states.append
    for _ in range(TURNS):
        h = block(h)
    return torch.stack(states).sum()


class AccumulatesInCache(Block):
    """Adds up in a tensor that a function with a cache keeps."""

    def __init__(self) -> None:
        super().__init__()

        @functools.cache
        def total(width):
            return torch.zeros(3, width)

        self.total = total

    def forward(self, h):
        out = self.step(h)
        total = self.total(D)
        total.add_(out)
        return total * 2


class Log(list[Any]):
    """A list that counts."""

    turn = 0


class CountsInLog(Block):
    def __init__(self) -> None:
        super().__init__()
        self.log = Log()

    def forward(self, h):
        self.log.turn += 1
        return self.step(h) * self.log.turn


UNSEEN: dict[str, Callable[[], nn.Module]] = {
    "a number of a class": lambda: Looped(CountsInClass(), plainly),
    "an attribute of a function": lambda: Looped(CountsInFunction(), plainly),
    "a list by its method": lambda: Looped(KeepsByMethod(), keeping_by_method),
    "a tensor in a cache": lambda: Looped(AccumulatesInCache(), plainly),
    "an attribute of a list": lambda: Looped(CountsInLog(), plainly),
    "whether weights learn": lambda: Looped(Block(), stretching_of_weights),
}


@pytest.mark.parametrize("make", UNSEEN.values(), ids=UNSEEN)
def test_block_that_keeps_something_unseen_is_run(
    make: Callable[[], nn.Module], given: torch.Tensor
) -> None:
    runs_as_if_whole(make, given)


def test_casts_are_made_anew_where_autocast_ended(given: torch.Tensor) -> None:
    runs_as_if_whole(lambda: Looped(Block(), in_half_precision_turn_by_turn), given)


def test_hook_on_all_modules_is_called_every_time(given: torch.Tensor) -> None:
    called = []

    def seen(module, *_):
        if isinstance(module, Block):
            called.append(module)

    handle = nn.modules.module.register_module_forward_hook(seen)
    try:
        runs_of(Looped(Block(), plainly), given)
    finally:
        handle.remove()
    assert len(called) == TURNS
