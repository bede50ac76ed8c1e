"""States between calls, as their callers write them: losses that step a model, memories, agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from expect import Expect, State
from parts import BATCH, LENGTH, VOCABULARY, D, Language, Mlp, cross_entropy
from torch import Tensor, nn
from torch.nn import functional as F


class Tiny(Language):
    """A latent and an answer; the latent steps twice before the answer does."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Mlp()

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.embed(x)
        for _ in range(2):
            z = self.moved(z, x + y)
        y = self.moved(y, z)
        return y, z, self.read(y)

    def moved(self, state: Tensor, given: Tensor) -> Tensor:
        return state + self.net(F.rms_norm(state + given, (D,)))

    def read(self, y: Tensor) -> Tensor:
        return self.head(self.norm(y))


class TinyPostNorm(Tiny):
    def moved(self, state: Tensor, given: Tensor) -> Tensor:
        return F.rms_norm(state + self.net(state + given), (D,))


class TinyRaw(Tiny):
    """Answer and latent are both read raw."""

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, z, _ = super().forward(x, y, z)
        return y, z, self.head(y) + self.head(z)


class Recurrence(Language):
    """A layer reads its own past segment through a norm, and hands on what it made of this one."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(D, 2, batch_first=True)

    def forward(
        self, tokens: Tensor, mems: list[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        x = self.embed(tokens)
        past = torch.zeros_like(x) if mems is None else mems[0]
        seen = F.rms_norm(torch.cat((past, x), dim=1), (D,))
        x = x + self.attention(self.norm(x), seen, seen, need_weights=False)[0]
        x = x + self.block.mlp(self.norm(x))
        return self.head(self.norm(x)), [x.detach()]


@dataclass
class Output:
    logits: Tensor
    memory: Tensor
    loss: Tensor | None = None


class KeywordMemory(Language):
    """State by keyword, result in an object with a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor, *, memory: Tensor, labels: Tensor | None = None) -> Output:
        x = self.embed(tokens)
        memory = memory + self.mlp(F.rms_norm(memory + x.mean(1), (D,)))
        logits = self.head(self.norm(x + F.rms_norm(memory, (D,)).unsqueeze(1)))
        loss = None if labels is None else cross_entropy(logits, labels)
        return Output(logits=logits, memory=memory, loss=loss)


class Agent(Language):
    """Steps in a world: observation and hidden state in, two heads and hidden state out."""

    def __init__(self) -> None:
        super().__init__()
        self.core = nn.LSTMCell(D, D)
        self.policy, self.value = nn.Linear(D, 3), nn.Linear(D, 1)

    def forward(self, seen: Tensor, core: tuple[Tensor, Tensor]) -> Any:
        hx, cx = self.core(F.relu(seen), core)
        return {"policy": self.policy(hx), "value": self.value(hx), "core": (hx, cx)}


class Layers(Language):
    """One state a layer, in a list; a relu keeps none of them short."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.RNNCell(D, D, nonlinearity="relu") for _ in range(2))

    def forward(self, tokens: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        y, after = self.embed(tokens[:, 0]), []
        for cell, state in zip(self.cells, states, strict=True):
            y = cell(y, state)
            after.append(y)
        return self.head(self.norm(y)), after


class Sampler(Language):
    """One step of a sampler that is trained through: what it says is what it is given next."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return x + 0.25 * self.mlp(F.rms_norm(x, (D,)) + t)


def repeatedly(model: nn.Module, x: Tensor, y: Tensor, z: Tensor, answers: Tensor) -> Tensor:
    """Supervise every step; the states are detached between them."""
    total = torch.zeros(())
    for _ in range(3):
        y, z, logits = model(x, y, z)
        total = total + cross_entropy(logits, answers)
        y, z = y.detach(), z.detach()
    return total


def three_then_one(model: nn.Module, x: Tensor, y: Tensor, z: Tensor, answers: Tensor) -> Tensor:
    """Steps without gradient, then a last one with."""
    with torch.no_grad():
        for _ in range(3):
            y, z, _ = model(x, y, z)
    return cross_entropy(model(x, y, z)[2], answers)


def through_the_sampler(model: nn.Module, x: Tensor, answers: Tensor) -> Tensor:
    for t in range(4):
        x = model(x, torch.tensor(float(t)))
    return 1 - F.cosine_similarity(x, answers, dim=-1).mean()


def through_the_sampler_raw(model: nn.Module, x: Tensor, answers: Tensor) -> Tensor:
    for t in range(4):
        x = model(x, torch.tensor(float(t)))
    return F.mse_loss(x, answers)


def over_segments(model: nn.Module, tokens: Tensor, answers: Tensor) -> Tensor:
    mems, losses = None, []
    for piece, answer in zip(tokens.split(2, 1), answers.split(2, 1), strict=True):
        logits, mems = model(piece, mems)
        losses.append(cross_entropy(logits, answer))
    return torch.stack(losses).mean()


def rollout(model: nn.Module, seen: Tensor, core: tuple[Tensor, Tensor], goal: Tensor) -> Tensor:
    """Act for as long as the episode lasts."""
    losses = []
    for observation in seen.unbind(1):
        out = model(observation, core)
        core = out["core"]
        losses.append(F.cross_entropy(out["policy"], goal) + out["value"].square().mean())
    return torch.stack(losses).sum()


def first_output(model: nn.Module, *given: Any) -> Tensor:
    *inputs, answers = given
    return cross_entropy(model(*inputs)[0], answers)


def tiny(model: nn.Module, loss: Any) -> dict[str, Any]:
    x, answers = torch.randint(VOCABULARY, (2, BATCH, LENGTH))
    # States of callers are told from encoders' outputs by starting as zeros.
    y, z = torch.zeros(2, BATCH, LENGTH, D)
    args = (x, y, z)
    return {"model": model, "args": args, "loss": loss, "loss_args": (*args, answers)}


def two(transition: str, line: str, codes: str, seen: str = "invariant") -> Expect:
    """The answer y, and the latent z that reaches the loss through it."""
    latent = seen if seen == "visible" else "invariant|asymptotic"
    return Expect(
        (
            State(transition, seen, name="y", line=line),
            State(transition, latent, name="z", line=line),
        ),
        codes,
        "SCL302",
        loops=(1, 2, 3),
        alike=True,
        verdict="fail" if "SCL101" in codes else "pass",
        carries=(),
        turns=(),
    )


def called(*states: State, codes: str = "", turns: tuple[int, ...] = (), **more: Any) -> Expect:
    verdict = "fail" if "SCL101" in codes else "warn" if codes else "pass"
    return Expect(states, codes, "SCL302", verdict=verdict, carries=(), turns=turns, **more)


RESIDUAL, POST_NORM = "return state + self.net", "return F.rms_norm(state + self.net"
CORE = "self.core("

EXPECT = {
    "tiny": two("carried", RESIDUAL, "SCL101"),
    "tiny_once": two("carried", RESIDUAL, "SCL101"),
    "tiny_last_gradient": two("carried", RESIDUAL, "SCL101"),
    "tiny_post_norm": two("removed", POST_NORM, ""),
    "tiny_raw": two("carried", RESIDUAL, "", "visible"),
    # What is handed on is made of the segment's own tokens; of its past it keeps no length.
    "recurrence": called(State("removed", "invariant|asymptotic", name="mems[0]|mems|x|past")),
    "recurrence_over_segments": called(
        State("removed", "invariant|asymptotic", name="mems[0]|mems|x|past"), turns=(4, 3)
    ),
    "keyword_memory": called(
        State("carried", "invariant", name="memory", line="memory = memory + self.mlp"),
        codes="SCL101",
    ),
    "agent": called(
        State("bounded", "visible", name="hx|core[0]|core", line=CORE),
        State("damped|bounded", "visible|saturating", name="cx|core[1]|core", line=CORE),
    ),
    "agent_once": called(
        State("bounded", "visible", name="hx|core[0]|core", line=CORE),
        State("damped|bounded", "visible|saturating", name="cx|core[1]|core", line=CORE),
    ),
    # The lower state enters the upper one beside its past: behind the norm it fades.
    "layers": called(
        State("linear", "invariant", name="states[1]|states|state|y", line="cell(y, state)"),
        State(
            "linear",
            "invariant|asymptotic",
            name="states[0]|states|state|y",
            line="cell(y, state)",
        ),
        codes="SCL101 SCL202",
        loops=(1, 2),
    ),
    "sampler": called(
        State("carried", "invariant", name="x", line="return x + 0.25"), codes="SCL101", turns=(4,)
    ),
    "sampler_raw": called(
        State("carried", "visible", name="x", line="return x + 0.25"), turns=(4,)
    ),
}


def scaleaudit_target_tiny() -> dict[str, Any]:
    return tiny(Tiny(), repeatedly)


def scaleaudit_target_tiny_once() -> dict[str, Any]:
    def loss(model: nn.Module, x: Tensor, y: Tensor, z: Tensor, answers: Tensor) -> Tensor:
        return cross_entropy(model(x, y, z)[2], answers)

    return tiny(Tiny(), loss)


def scaleaudit_target_tiny_last_gradient() -> dict[str, Any]:
    return tiny(Tiny(), three_then_one)


def scaleaudit_target_tiny_post_norm() -> dict[str, Any]:
    return tiny(TinyPostNorm(), repeatedly)


def scaleaudit_target_tiny_raw() -> dict[str, Any]:
    return tiny(TinyRaw(), repeatedly)


def scaleaudit_target_recurrence() -> dict[str, Any]:
    tokens, answers = torch.randint(VOCABULARY, (2, BATCH, LENGTH))
    args = (tokens, [torch.randn(BATCH, LENGTH, D)])
    given = {"loss": first_output, "loss_args": (*args, answers)}
    return {"model": Recurrence(), "args": args, **given}


def scaleaudit_target_recurrence_over_segments() -> dict[str, Any]:
    tokens, answers = torch.randint(VOCABULARY, (2, BATCH, LENGTH))
    given = {"loss": over_segments, "loss_args": (tokens, answers)}
    return {"model": Recurrence(), "args": (tokens[:, :2],), **given}


def scaleaudit_target_keyword_memory() -> dict[str, Any]:
    tokens, labels = torch.randint(VOCABULARY, (2, BATCH, LENGTH))
    kwargs = {"memory": torch.zeros(BATCH, D), "labels": labels}
    return {"model": KeywordMemory(), "args": (tokens,), "kwargs": kwargs}


def agent(steps: tuple[int, ...], loss: Any) -> dict[str, Any]:
    core = (torch.zeros(BATCH, D), torch.zeros(BATCH, D))
    seen, goal = torch.randn(BATCH, *steps, D), torch.randint(3, (BATCH,))
    first = seen[:, 0] if steps else seen
    given = {"loss": loss, "loss_args": (seen, core, goal)}
    return {"model": Agent(), "args": (first, core), **given}


def scaleaudit_target_agent() -> dict[str, Any]:
    return agent((5,), rollout)


def scaleaudit_target_agent_once() -> dict[str, Any]:
    def loss(model: nn.Module, seen: Tensor, core: Any, goal: Tensor) -> Tensor:
        out = model(seen, core)
        return F.cross_entropy(out["policy"], goal) + out["value"].square().mean()

    return agent((), loss)


def scaleaudit_target_layers() -> dict[str, Any]:
    tokens, answers = torch.randint(VOCABULARY, (2, BATCH, LENGTH))
    args = (tokens, [torch.zeros(BATCH, D), torch.zeros(BATCH, D)])
    given = {"loss": first_output, "loss_args": (*args, answers[:, 0])}
    return {"model": Layers(), "args": args, **given}


def sampler(loss: Any) -> dict[str, Any]:
    x, answers = torch.randn(2, BATCH, LENGTH, D)
    args = (x, torch.tensor(0.0))
    return {"model": Sampler(), "args": args, "loss": loss, "loss_args": (x, answers)}


def scaleaudit_target_sampler() -> dict[str, Any]:
    return sampler(through_the_sampler)


def scaleaudit_target_sampler_raw() -> dict[str, Any]:
    return sampler(through_the_sampler_raw)
