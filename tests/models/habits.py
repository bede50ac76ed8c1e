"""Ways of writing a loop that hide its state, its weights or its turns from a careless reader."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind
from parts import TURNS, D, Language, Mlp, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations


class Reparametrised(Language):
    """The only weights of the loop are computed anew at every use."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + F.silu(self.linear(F.rms_norm(h, (D,))))
        return self.head(self.norm(h))


class Routed(Language):
    """Half of the tokens take part in a turn; they are picked and put back in some way."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(D, 1)
        self.mlp = Mlp()

    def branch(self, h: Tensor) -> Tensor:
        return self.mlp(F.rms_norm(h, (D,)))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            scores = self.router(F.rms_norm(h, (D,))).squeeze(-1)
            index = scores.topk(tokens.shape[1] // 2, dim=1).indices
            h = self.turn(h, index)
        return self.head(self.norm(h))

    def turn(self, h: Tensor, index: Tensor) -> Tensor:
        raise NotImplementedError


class ScatterAdd(Routed):
    def turn(self, h: Tensor, index: Tensor) -> Tensor:
        places = index.unsqueeze(-1).expand(-1, -1, D)
        return h.scatter_add(1, places, self.branch(h.gather(1, places)))


class Scatter(Routed):
    def turn(self, h: Tensor, index: Tensor) -> Tensor:
        places = index.unsqueeze(-1).expand(-1, -1, D)
        picked = h.gather(1, places)
        return h.scatter(1, places, picked + self.branch(picked))


class IndexAdd(Routed):
    def turn(self, h: Tensor, index: Tensor) -> Tensor:
        even = torch.arange(0, h.shape[1], 2)
        return h.index_add(1, even, self.branch(h[:, even]))


class SetItem(Routed):
    def turn(self, h: Tensor, index: Tensor) -> Tensor:
        even = torch.arange(0, h.shape[1], 2)
        h = h.clone()
        h[:, even] = h[:, even] + self.branch(h[:, even])
        return h


class Rolled(Routed):
    def turn(self, h: Tensor, index: Tensor) -> Tensor:
        return h.roll(1, 1) + self.branch(h)


class RungeKutta(Language):
    """Every turn uses the same weights four times, one line after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def slope(self, h: Tensor) -> Tensor:
        return self.mlp(F.rms_norm(h, (D,)))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            first = self.slope(h)
            second = self.slope(h + 0.5 * first)
            third = self.slope(h + 0.5 * second)
            last = self.slope(h + third)
            h = h + (first + 2 * second + 2 * third + last) / 6
        return self.head(self.norm(h))


class Flow(Language):
    """A bounded memory drives an estimate that is read raw: the memory's scale is no growth."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.candidate, self.delta = (nn.Linear(2 * D, D) for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        memory, estimate = torch.tanh(x), torch.zeros_like(x)
        for _ in range(TURNS):
            given = torch.cat([memory, x], -1)
            z = torch.sigmoid(self.gate(given))
            memory = (1 - z) * memory + z * torch.tanh(self.candidate(given))
            estimate = estimate + self.delta(torch.cat([memory, estimate.tanh()], -1))
        return self.head(estimate)


class SharedWithGate(Language):
    """A gate in the loss uses a weight of the loop between its turns."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(D, D), nn.Linear(D, D)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        h = self.embed(tokens)
        total = torch.zeros(())
        for _ in range(TURNS):
            h = h + self.down(F.silu(self.up(self.norm(h))))
            gate = torch.sigmoid(self.up(h)).mean(-1)
            each = F.cross_entropy(
                self.head(self.norm(h)).transpose(1, 2), targets, reduction="none"
            )
            total = total + (gate * each).mean()
        return total


class Penalised(Language):
    """Each turn adds to a penalty; the loss is computed in the model."""

    def penalty(self, h: Tensor, before: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        h = self.embed(tokens)
        penalty = torch.zeros(())
        for _ in range(TURNS):
            before = h
            h = self.block(h)
            penalty = self.summed(penalty, h, before)
        return cross_entropy(self.head(self.norm(h)), targets) + 0.01 * penalty

    def summed(self, penalty: Tensor, h: Tensor, before: Tensor) -> Tensor:
        return penalty + self.penalty(h, before)


class OneChannel(Penalised):
    def penalty(self, h: Tensor, before: Tensor) -> Tensor:
        return h[..., 0].abs().mean()


class SummedWithoutGradient(Penalised):
    @torch.no_grad()
    def summed(self, penalty: Tensor, h: Tensor, before: Tensor) -> Tensor:
        return penalty + h.square().mean()


class Cosine(Penalised):
    def penalty(self, h: Tensor, before: Tensor) -> Tensor:
        return (1 - F.cosine_similarity(h, before, dim=-1)).mean()


class Inverse(Penalised):
    def penalty(self, h: Tensor, before: Tensor) -> Tensor:
        return (1 / h.norm(dim=-1)).mean()


class Segments(Language):
    """Deep supervision: the state is detached after every readout."""

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        h = self.embed(tokens)
        total = torch.zeros(())
        for _ in range(2):
            for _ in range(2):
                h = self.block(h)
            total = total + cross_entropy(self.head(self.norm(h)), targets)
            h = h.detach()
        return total


def flawed(flaw: str) -> Expect:
    state = State("carried", "invariant", flaws=(flaw,))
    return Expect((state,), "SCL101 SCL104", carries=())


EXPECT = {
    "orthogonal": blind(),
    # The power iteration behind the norm runs without gradient: it is no loop of the model.
    "spectral": blind(),
    "scatter_add": Expect((State("carried", "invariant"),), "SCL101", "SCL103", carries=()),
    "scatter": Expect((State("carried", "invariant"),), "SCL101", "SCL103", carries=()),
    "index_add": Expect((State("carried", "invariant"),), "SCL101", "SCL103", carries=()),
    "set_item": Expect((State("carried", "invariant"),), "SCL101", "SCL103", carries=()),
    "rolled": Expect((State("carried", "invariant"),), "SCL101", "SCL103", carries=()),
    "runge_kutta": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    "flow": Expect(
        (State("bounded", "visible"), State("carried", "visible")), loops=(1, 2), carries=()
    ),
    "shared_with_gate": Expect((State("carried", "saturating"),), "SCL102", carries=()),
    "one_channel": flawed("covers only a part of the state"),
    "summed_without_gradient": flawed("computed under no_grad"),
    "cosine": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    "inverse": flawed("falls as the length grows"),
    "segments": Expect((State("carried", "invariant"),), "SCL101", carries=()),
}


def in_the_model(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    return model(tokens, targets)


def scaleaudit_target_orthogonal() -> dict[str, Any]:
    return target(Reparametrised(parametrizations.orthogonal(nn.Linear(D, D, bias=False))))


def scaleaudit_target_spectral() -> dict[str, Any]:
    return target(Reparametrised(parametrizations.spectral_norm(nn.Linear(D, D, bias=False))))


def scaleaudit_target_scatter_add() -> dict[str, Any]:
    return target(ScatterAdd())


def scaleaudit_target_scatter() -> dict[str, Any]:
    return target(Scatter())


def scaleaudit_target_index_add() -> dict[str, Any]:
    return target(IndexAdd())


def scaleaudit_target_set_item() -> dict[str, Any]:
    return target(SetItem())


def scaleaudit_target_rolled() -> dict[str, Any]:
    return target(Rolled())


def scaleaudit_target_runge_kutta() -> dict[str, Any]:
    return target(RungeKutta())


def scaleaudit_target_flow() -> dict[str, Any]:
    return target(Flow())


def scaleaudit_target_shared_with_gate() -> dict[str, Any]:
    return target(SharedWithGate(), in_the_model)


def scaleaudit_target_one_channel() -> dict[str, Any]:
    return target(OneChannel(), in_the_model)


def scaleaudit_target_summed_without_gradient() -> dict[str, Any]:
    return target(SummedWithoutGradient(), in_the_model)


def scaleaudit_target_cosine() -> dict[str, Any]:
    return target(Cosine(), in_the_model)


def scaleaudit_target_inverse() -> dict[str, Any]:
    return target(Inverse(), in_the_model)


def scaleaudit_target_segments() -> dict[str, Any]:
    return target(Segments(), in_the_model)
