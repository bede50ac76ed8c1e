"""Gradients through the last turns alone: burn-in without gradient, then a few turns with it."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State
from parts import TURNS, D, Language, Layer, Mlp, PostNormLayer, target
from torch import Tensor, nn
from torch.nn import functional as F

MEAN_TURNS, MEAN_BACKPROP = 4, 2


class Sandwich(Layer):
    """Norms before and behind every branch, the one behind over the sum: length is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.after_attention, self.after_mlp = nn.RMSNorm(D), nn.RMSNorm(D)

    def forward(self, x: Tensor) -> Tensor:
        x = self.after_attention(x + self.attention(self.before(x)))
        return self.after_mlp(x + self.mlp(self.between(x)))


class Added(nn.Module):
    """The embedded input is added to the state."""

    def forward(self, h: Tensor, given: Tensor) -> Tensor:
        return h + given


class Adapter(nn.Module):
    """State and embedded input, side by side, through a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * D, D, bias=False)

    def forward(self, h: Tensor, given: Tensor) -> Tensor:
        return self.linear(torch.cat([h, given], dim=-1))


class RecurrentDepth(Language):
    """Prelude, a core that turns as often as is drawn, coda; the state starts at random."""

    def __init__(self, core: nn.Module, inject: nn.Module, *, final: bool = True) -> None:
        super().__init__()
        self.prelude, self.coda = Layer(), Layer()
        self.core, self.inject = core, inject
        self.final = nn.RMSNorm(D) if final else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        given = self.prelude(self.embed(tokens))
        without, attached = self.drawn()
        h = nn.init.trunc_normal_(torch.empty_like(given), std=0.4, a=-1.2, b=1.2)
        with torch.no_grad():
            for _ in range(without):
                h = self.turn(h, given)
        for _ in range(attached):
            h = self.turn(h, given)
        return self.head(self.final(self.coda(h)))

    def turn(self, h: Tensor, given: Tensor) -> Tensor:
        return self.core(self.inject(h, given))

    @torch.no_grad()
    def drawn(self) -> tuple[int, int]:
        """How many turns without gradient, how many with: log-normal Poisson, of a fixed mean."""
        rate = torch.zeros((1,)).log_normal_(mean=torch.tensor(MEAN_TURNS).log().item(), std=0.5)
        p = torch.poisson(rate) + 1
        n = torch.clamp(p - MEAN_BACKPROP, min=0)
        k = torch.as_tensor(torch.minimum(torch.tensor(MEAN_BACKPROP), p))
        return int(n.item()), int(k.item())


class Reasoner(Language):
    """Two states at two rates; all but the last step of each is without gradient."""

    def __init__(self, level: type[nn.Module]) -> None:
        super().__init__()
        self.high_level, self.low_level = level(), level()
        self.register_buffer("high", torch.randn(D))
        self.register_buffer("low", torch.randn(D))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        zh, zl = self.high.expand_as(x), self.low.expand_as(x)
        with torch.no_grad():
            for step in range(2 * TURNS - 1):
                zl = self.low_level(zl, zh + x)
                if step % 2 == 1:
                    zh = self.high_level(zh, zl)
        zl = self.low_level(zl, zh + x)
        zh = self.high_level(zh, zl)
        return self.head(self.norm(zh))


class Level(nn.Module):
    """Adds what it is given inside of its branch alone."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, z: Tensor, given: Tensor) -> Tensor:
        return z + self.mlp(F.rms_norm(z + given, (D,)))


class PostNormLevel(nn.Module):
    """Adds what it is given, then goes through a layer that ends in a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = PostNormLayer()

    def forward(self, z: Tensor, given: Tensor) -> Tensor:
        return self.layer(z + given)


class TinyRecursion(Language):
    """One network refines a latent, then an answer: cycles without gradient, and one with it."""

    def __init__(self, level: type[nn.Module]) -> None:
        super().__init__()
        self.net = level()

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        y, z = torch.zeros_like(x), torch.zeros_like(x)
        with torch.no_grad():
            for _ in range(2):
                y, z = self.recursion(x, y, z)
        y, z = self.recursion(x, y, z)
        return self.head(self.norm(y))

    def recursion(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        for _ in range(3):
            z = self.net(z, x + y)
        return self.net(y, z), z


def deep(transition: str, visibility: str, codes: str = "", **more: Any) -> Expect:
    """One state, a number of turns that is drawn."""
    return Expect((State(transition, visibility, name="h"),), codes, turns=(), **more)


def levels(carries: tuple[str, ...], transition: str, codes: str = "") -> Expect:
    """States of one kind. Open: whether what follows the last boundary is seen apart from it."""
    state = State(transition, "invariant|asymptotic")
    return Expect((state,), codes, loops=(1, 2), alike=True, carries=carries, turns=())


EXPECT = {
    "recurrent_depth": deep("removed", "asymptotic"),
    "pre_norm_core": deep("carried", "asymptotic", "SCL101"),
    "pre_norm_core_adapter": deep("linear", "asymptotic", "SCL101 SCL202"),
    "raw_coda": deep("carried", "visible"),
    "reasoner": levels((), "carried", "SCL101"),
    "reasoner_post_norm": levels((), "removed"),
    "tiny_recursion": levels(("z",), "carried", "SCL101"),
    "tiny_recursion_post_norm": levels(("z",), "removed"),
}


def scaleaudit_target_recurrent_depth() -> dict[str, Any]:
    return target(RecurrentDepth(Sandwich(), Adapter()))


def scaleaudit_target_pre_norm_core() -> dict[str, Any]:
    return target(RecurrentDepth(Layer(), Added()))


def scaleaudit_target_pre_norm_core_adapter() -> dict[str, Any]:
    return target(RecurrentDepth(Layer(), Adapter()))


def scaleaudit_target_raw_coda() -> dict[str, Any]:
    return target(RecurrentDepth(Layer(), Added(), final=False))


def scaleaudit_target_reasoner() -> dict[str, Any]:
    return target(Reasoner(Level))


def scaleaudit_target_reasoner_post_norm() -> dict[str, Any]:
    return target(Reasoner(PostNormLevel))


def scaleaudit_target_tiny_recursion() -> dict[str, Any]:
    return target(TinyRecursion(Level))


def scaleaudit_target_tiny_recursion_post_norm() -> dict[str, Any]:
    return target(TinyRecursion(PostNormLevel))
