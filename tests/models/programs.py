"""PyTorch as people write it, around one blind loop: none of it may change the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from expect import Expect, State, blind
from parts import BATCH, LENGTH, TURNS, VOCABULARY, Block, D, Language, Mlp, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F


class Dropouts(Language):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.1)
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.drop(self.embed(tokens))
        for _ in range(TURNS):
            h = h + self.drop(self.mlp(F.rms_norm(h, (D,))))
        return self.head(self.norm(h))


class DropoutOnState(Dropouts):
    """Dropout on the carried state keeps its scale on average."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.drop(h + self.mlp(F.rms_norm(h, (D,))))
        return self.head(self.norm(h))


class Autocast(Language):
    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for _ in range(TURNS):
                h = self.block(h)
            return self.head(self.norm(h)).float()


class Compiled(Language):
    """The block's forward is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.block = torch.compile(Block(), backend="eager")

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        return self.head(self.norm(h))


class LoggedItems(Language):
    """A number is read for the log at every turn."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[float] = []

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            before = h
            h = self.block(h)
            self.log.append((h - before).detach().abs().mean().item())
        return self.head(self.norm(h))


class UntilItSettles(Language):
    """The loop ends when the state hardly moves: a branch on data."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            before, h = h, self.block(h)
            if (h - before).norm() < 1e-3 * before.norm():
                break
        return self.head(self.norm(h))


class InPlace(Language):
    """The state is added to in place."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens).clone()
        for _ in range(TURNS):
            h += self.mlp(F.rms_norm(h.clone(), (D,)))
        return self.head(self.norm(h))


class InPlaceSlices(InPlace):
    """Half of the channels are written to at a time."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens).clone()
        for _ in range(TURNS):
            write = self.mlp(F.rms_norm(h.clone(), (D,)))
            h[..., : D // 2] += write[..., : D // 2]
            h[..., D // 2 :] += write[..., D // 2 :]
        return self.head(self.norm(h))


class DictOutput(Language):
    def forward(self, tokens: Tensor) -> dict[str, Any]:
        h = self.embed(tokens)
        history = []
        for _ in range(TURNS):
            h = self.block(h)
            history.append(h)
        return {"out": {"logits": self.head(self.norm(h))}, "history": tuple(history)}


@dataclass
class Answer:
    logits: Tensor
    loss: Tensor | None = None


class DataclassOutput(Language):
    """The loss is computed in forward, from a keyword argument."""

    def forward(self, tokens: Tensor, *, labels: Tensor | None = None) -> Answer:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        logits = self.head(self.norm(h))
        return Answer(logits, None if labels is None else cross_entropy(logits, labels))


class TupleOutput(Language):
    """nanoGPT's way: (logits, loss)."""

    def forward(
        self, tokens: Tensor, targets: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        logits = self.head(self.norm(h))
        return logits, None if targets is None else cross_entropy(logits, targets)


class StateInArgument(Language):
    """The turn is a method that takes keyword arguments and returns a dict."""

    def forward(self, tokens: Tensor) -> Tensor:
        carry = {"h": self.embed(tokens), "turn": 0}
        while carry["turn"] < TURNS:
            carry = self.turn(**carry)
        return self.head(self.norm(carry["h"]))

    def turn(self, *, h: Tensor, turn: int) -> dict[str, Any]:
        return {"h": self.block(h), "turn": turn + 1}


class Experts(Language):
    """Sparse experts: every token goes to the one that the router likes best."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(D, 3)
        self.experts = nn.ModuleList(Mlp() for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + self.route(self.norm(h))
        return self.head(self.norm(h))

    def route(self, x: Tensor) -> Tensor:
        weights, chosen = self.router(x).softmax(dim=-1).max(dim=-1)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-2)
        index = chosen[..., None, None].expand(*x.shape[:-1], 1, D)
        return weights.unsqueeze(-1) * outputs.gather(-2, index).squeeze(-2)


class Convolutional(Language):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv1d(D, D, 3, padding=1, groups=4)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            y = self.norm(h).transpose(1, 2)
            h = h + F.gelu(self.mix(y)).transpose(1, 2)
        return self.head(self.norm(h))


class WeightNormed(Language):
    """Weights are reparametrised; the state is not."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.utils.parametrizations.weight_norm(nn.Linear(D, D))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + F.silu(self.linear(self.norm(h)))
        return self.head(self.norm(h))


def inner_logits(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(model(tokens)["out"]["logits"], targets)


EXPECT = {
    "dropouts": blind(),
    # Open: kept entries grow by 1 / (1 - p) and the others vanish; on average the gain is 1.
    "dropout_on_state": Expect(
        (State("carried|expanding", "invariant"),), "SCL101", "SCL201 SCL204", carries=()
    ),
    "autocast": Expect((State("carried", "invariant"),), "SCL101", "SCL301", carries=()),
    "compiled": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    # Open: whether a logged length is an unsupervised readout.
    "logged_items": Expect((State("carried", "invariant"),), "SCL101", "SCL103"),
    # How long it runs, nobody knows before: the audit chooses.
    "until_it_settles": Expect((State("carried", "invariant"),), "SCL101", "SCL103", turns=()),
    "in_place": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    "in_place_slices": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    "dict_output": blind(),
    "dataclass_output": blind(),
    "tuple_output": blind(),
    "state_in_argument": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    "experts": blind(),
    "convolutional": blind(),
    "weight_normed": blind(),
}


def scaleaudit_target_dropouts() -> dict[str, Any]:
    return target(Dropouts())


def scaleaudit_target_dropout_on_state() -> dict[str, Any]:
    return target(DropoutOnState())


def scaleaudit_target_autocast() -> dict[str, Any]:
    return target(Autocast())


def scaleaudit_target_compiled() -> dict[str, Any]:
    return target(Compiled())


def scaleaudit_target_logged_items() -> dict[str, Any]:
    return target(LoggedItems())


def scaleaudit_target_until_it_settles() -> dict[str, Any]:
    return target(UntilItSettles())


def scaleaudit_target_in_place() -> dict[str, Any]:
    return target(InPlace())


def scaleaudit_target_in_place_slices() -> dict[str, Any]:
    return target(InPlaceSlices())


def scaleaudit_target_dict_output() -> dict[str, Any]:
    return target(DictOutput(), inner_logits)


def scaleaudit_target_dataclass_output() -> dict[str, Any]:
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH))
    return {"model": DataclassOutput(), "args": (tokens,), "kwargs": {"labels": tokens}}


def scaleaudit_target_tuple_output() -> dict[str, Any]:
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH))
    return {"model": TupleOutput(), "args": (tokens,), "kwargs": {"targets": tokens}}


def scaleaudit_target_state_in_argument() -> dict[str, Any]:
    return target(StateInArgument())


def scaleaudit_target_experts() -> dict[str, Any]:
    return target(Experts())


def scaleaudit_target_convolutional() -> dict[str, Any]:
    return target(Convolutional())


def scaleaudit_target_weight_normed() -> dict[str, Any]:
    return target(WeightNormed())
