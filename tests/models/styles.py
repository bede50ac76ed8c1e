"""One loop in many hands: however it is written, h + B(norm(h)) read through a norm is blind."""

from __future__ import annotations

import asyncio
import operator
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import accumulate, repeat
from typing import Any, NamedTuple

import torch
from expect import Expect, State
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Styled(Language):
    """Subclasses run the loop; the parts are here."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.read(self.run(self.embed(tokens)))

    def branch(self, h: Tensor) -> Tensor:
        return self.mlp(F.rms_norm(h, (D,)))

    def step(self, h: Tensor, _: Any = None) -> Tensor:
        return h + self.branch(h)

    def read(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))

    def run(self, h: Tensor) -> Tensor:
        raise NotImplementedError


class Reduced(Styled):
    def run(self, h: Tensor) -> Tensor:
        return reduce(self.step, range(TURNS), h)


class Accumulated(Styled):
    """All states at once, of which the last is read."""

    def run(self, h: Tensor) -> Tensor:
        return [*accumulate(repeat(None, TURNS), self.step, initial=h)][-1]


class AccumulatedRaw(Accumulated):
    def read(self, h: Tensor) -> Tensor:
        return self.head(h)


class Recursion(Styled):
    def run(self, h: Tensor, left: int = TURNS) -> Tensor:
        return h if left == 0 else self.run(self.step(h), left - 1)


class Yielded(Styled):
    """A generator, left when it has turned often enough."""

    def run(self, h: Tensor) -> Tensor:
        for turn, state in enumerate(self.forever(h), start=1):
            if turn == TURNS:
                return state
        raise AssertionError

    def forever(self, h: Tensor) -> Iterator[Tensor]:
        while True:
            yield (h := self.step(h))


class Awaited(Styled):
    """A coroutine a turn."""

    def run(self, h: Tensor) -> Tensor:
        async def turn(h: Tensor) -> Tensor:
            return self.step(h)

        async def turns(h: Tensor) -> Tensor:
            for _ in range(TURNS):
                h = await turn(h)
            return h

        return asyncio.run(turns(h))


class Repeated(Styled):
    """One block, listed four times in a sequence of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[self.block] * TURNS)

    def run(self, h: Tensor) -> Tensor:
        return self.layers(h)


class Composed(Styled):
    """A function that is composed with itself before anything is run."""

    def run(self, h: Tensor) -> Tensor:
        def twice(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
            return lambda x: f(f(x))

        return twice(twice(self.step))(h)


@dataclass(frozen=True)
class Frame:
    h: Tensor
    turn: int = 0


class Frames(Styled):
    """A frozen dataclass is replaced at every turn."""

    def run(self, h: Tensor) -> Tensor:
        frame = Frame(h)
        while frame.turn < TURNS:
            frame = replace(frame, h=self.step(frame.h), turn=frame.turn + 1)
        return frame.h


class Pair(NamedTuple):
    state: Tensor
    context: Tensor


class Tuples(Styled):
    def run(self, h: Tensor) -> Tensor:
        pair = Pair(h, h)
        for _ in range(TURNS):
            pair = pair._replace(state=pair.state + self.branch(pair.state + pair.context))
        return pair.state


class Window(Styled):
    """A queue of length one."""

    def run(self, h: Tensor) -> Tensor:
        window = deque([h], maxlen=1)
        for _ in range(TURNS):
            window.append(self.step(window[-1]))
        return window.pop()


class Attribute(Styled):
    """The state lives on the module for as long as the call lasts."""

    def run(self, h: Tensor) -> Tensor:
        self.h = h
        for _ in range(TURNS):
            self.h = self.h + self.branch(self.h)
        h, self.h = self.h, None
        return h


class Buffer(Styled):
    """Turns are written into a tensor that was there before."""

    def run(self, h: Tensor) -> Tensor:
        history = torch.zeros(TURNS + 1, *h.shape)
        history[0] = h
        for turn in range(TURNS):
            history[turn + 1] = self.step(history[turn].clone())
        return history[TURNS]


class InPlace(Styled):
    def run(self, h: Tensor) -> Tensor:
        h = h.clone()
        for _ in range(TURNS):
            h.add_(self.branch(h.clone()))
        return h


class InPlaceOperator(Styled):
    def run(self, h: Tensor) -> Tensor:
        h = h.clone()
        for _ in range(TURNS):
            h = operator.iadd(h, self.branch(h.clone()))
        return h


class Fused(Styled):
    """One fused operator for the product and the sum."""

    def run(self, h: Tensor) -> Tensor:
        gate = torch.sigmoid(self.head.weight[0])
        for _ in range(TURNS):
            h = torch.addcmul(h, gate, self.branch(h))
        return h


class Matrices(Styled):
    """The residual is a part of the matrix product's operator."""

    def run(self, h: Tensor) -> Tensor:
        shape = h.shape
        h = h.flatten(0, 1)
        for _ in range(TURNS):
            h = torch.addmm(h, F.rms_norm(h, (D,)).relu(), self.mlp.up.weight[:D])
        return h.view(shape)


class Hook(Styled):
    """The residual is added by a hook."""

    def __init__(self) -> None:
        super().__init__()
        self.normed = nn.Sequential(nn.RMSNorm(D), Mlp())
        self.normed.register_forward_hook(lambda _, inputs, output: inputs[0] + output)

    def run(self, h: Tensor) -> Tensor:
        for _ in range(TURNS):
            h = self.normed(h)
        return h


class Functional(Styled):
    """The block's parameters are handed to it."""

    def run(self, h: Tensor) -> Tensor:
        weights = dict(self.block.named_parameters())
        for _ in range(TURNS):
            h = functional_call(self.block, weights, (h,))
        return h


class Checkpointed(Styled):
    def run(self, h: Tensor) -> Tensor:
        for _ in range(TURNS):
            h = checkpoint(self.step, h, use_reentrant=False)
        return h


class Unrolled(Styled):
    def run(self, h: Tensor) -> Tensor:
        h1 = self.step(h)
        h2 = self.step(h1)
        h3 = self.step(h2)
        return self.step(h3)


class Curried(Styled):
    """Turns are prepared as calls, each with a number of its own."""

    def run(self, h: Tensor) -> Tensor:
        calls = [partial(self.numbered, turn=turn) for turn in range(TURNS)]
        for call in calls:
            h = call(h)
        return h

    def numbered(self, h: Tensor, *, turn: int) -> Tensor:
        return h + self.branch(h) / (turn + 1)


class PerSequence(Styled):
    """Every sequence of the batch in a comprehension of its own, stacked again at every turn."""

    def run(self, h: Tensor) -> Tensor:
        for _ in range(TURNS):
            h = torch.stack([self.step(row) for row in h.unbind(0)])
        return h


class PerHalf(Styled):
    """Channels are split, written to apart, and joined."""

    def run(self, h: Tensor) -> Tensor:
        for _ in range(TURNS):
            write = self.branch(h)
            parts = zip(h.split(D // 2, -1), write.split(D // 2, -1), strict=True)
            h = torch.cat([mine + given for mine, given in parts], dim=-1)
        return h


class Flattened(Styled):
    """Tokens first, channels in heads, and back, at every turn."""

    def run(self, h: Tensor) -> Tensor:
        for _ in range(TURNS):
            heads = h.transpose(0, 1).unflatten(-1, (4, D // 4)).permute(2, 0, 1, 3)
            flat = heads.permute(1, 2, 0, 3).reshape(-1, D)
            h = (flat + self.branch(flat)).view(h.shape[1], h.shape[0], D).transpose(0, 1)
        return h


def styled(name: str = "h", line: str = "", visibility: str = "invariant", **more: Any) -> Expect:
    """One carried state."""
    codes = "" if visibility == "visible" else "SCL101"
    state = State("carried", visibility, name=name, line=line)
    return Expect((state,), codes, **{"carries": (), **more})


STEP = "return h + self.branch"

EXPECT = {
    "reduced": styled(line=STEP),
    "accumulated": styled(line=STEP),
    "accumulated_raw": styled(line=STEP, visibility="visible"),
    "recursion": styled(line=STEP),
    "yielded": styled("h|state", line=STEP),
    "awaited": styled(line=STEP),
    # The state is h in no line of the model, input and x in the modules'.
    "repeated": styled("h|x|input|layers|block", line="return x + self.mlp"),
    "composed": styled("h|x", line=STEP),
    "frames": styled("h|frame|frame.h", line=STEP),
    "tuples": styled("state|pair|pair.state|h", line="state=pair.state +"),
    "window": styled("h|window", line=STEP),
    "attribute": styled("h|self.h", line="self.h = self.h +"),
    # The row has no variable of its own.
    "buffer": styled("", line="return h + self.branch|history[turn + 1]"),
    "in_place": styled(line="h.add_("),
    "in_place_operator": styled(line="operator.iadd"),
    "fused": styled(line="torch.addcmul", carries=("h",)),
    "matrices": styled(line="torch.addmm", carries=("h",)),
    "hook": styled(line="inputs[0] + output", carries=("h",)),
    "functional": styled(line="return x + self.mlp", carries=("h",)),
    "checkpointed": styled(line=STEP, carries=("h",)),
    "unrolled": styled("h|h1|h2|h3", line=STEP),
    "curried": styled(line="return h + self.branch(h) /", carries=("h",)),
    # Open: whether each sequence is a state of its own.
    "per_sequence": styled(
        "",
        visibility="invariant|asymptotic",
        line="return h + self.branch|torch.stack",
        carries=("h",),
        loops=(1, 2),
        alike=True,
    ),
    "per_half": styled(line="h = torch.cat|mine + given", carries=("h",)),
    "flattened": styled("h|flat", line="h = (flat + self", carries=("h",)),
}


def scaleaudit_target_reduced() -> dict[str, Any]:
    return target(Reduced())


def scaleaudit_target_accumulated() -> dict[str, Any]:
    return target(Accumulated())


def scaleaudit_target_accumulated_raw() -> dict[str, Any]:
    return target(AccumulatedRaw())


def scaleaudit_target_recursion() -> dict[str, Any]:
    return target(Recursion())


def scaleaudit_target_yielded() -> dict[str, Any]:
    return target(Yielded())


def scaleaudit_target_awaited() -> dict[str, Any]:
    return target(Awaited())


def scaleaudit_target_repeated() -> dict[str, Any]:
    return target(Repeated())


def scaleaudit_target_composed() -> dict[str, Any]:
    return target(Composed())


def scaleaudit_target_frames() -> dict[str, Any]:
    return target(Frames())


def scaleaudit_target_tuples() -> dict[str, Any]:
    return target(Tuples())


def scaleaudit_target_window() -> dict[str, Any]:
    return target(Window())


def scaleaudit_target_attribute() -> dict[str, Any]:
    return target(Attribute())


def scaleaudit_target_buffer() -> dict[str, Any]:
    return target(Buffer())


def scaleaudit_target_in_place() -> dict[str, Any]:
    return target(InPlace())


def scaleaudit_target_in_place_operator() -> dict[str, Any]:
    return target(InPlaceOperator())


def scaleaudit_target_fused() -> dict[str, Any]:
    return target(Fused())


def scaleaudit_target_matrices() -> dict[str, Any]:
    return target(Matrices())


def scaleaudit_target_hook() -> dict[str, Any]:
    return target(Hook())


def scaleaudit_target_functional() -> dict[str, Any]:
    return target(Functional())


def scaleaudit_target_checkpointed() -> dict[str, Any]:
    return target(Checkpointed())


def scaleaudit_target_unrolled() -> dict[str, Any]:
    return target(Unrolled())


def scaleaudit_target_curried() -> dict[str, Any]:
    return target(Curried())


def scaleaudit_target_per_sequence() -> dict[str, Any]:
    return target(PerSequence())


def scaleaudit_target_per_half() -> dict[str, Any]:
    return target(PerHalf())


def scaleaudit_target_flattened() -> dict[str, Any]:
    return target(Flattened())
