"""Models written with einops: rearrange, reduce, repeat, einsum, pack and the layers of it."""

from __future__ import annotations

from typing import Any

import torch
from einops import einsum, pack, rearrange, reduce, repeat, unpack
from einops.layers.torch import EinMix, Rearrange, Reduce
from expect import Expect, State, blind, safe
from parts import LENGTH, TURNS, D, Language, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 2


class Attention(nn.Module):
    """Attention as lucidrains writes it: rearrange in, einsum, rearrange out."""

    def __init__(self) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(D, 3 * D, bias=False)
        self.to_out = nn.Linear(D, D, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = rearrange(self.to_qkv(x), "b n (three h d) -> three b h n d", three=3, h=HEADS)
        scores = einsum(q, k, "b h i d, b h j d -> b h i j") * (D // HEADS) ** -0.5
        y = einsum(scores.softmax(dim=-1), v, "b h i j, b h j d -> b h i d")
        return self.to_out(rearrange(y, "b h n d -> b n (h d)"))


class FeedForward(nn.Sequential):
    """A feed-forward block as a sequence, layers of einops among the others."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(D, 2 * D),
            Rearrange("b n (g d) -> b n d g", g=2),
            nn.GELU(),
            Rearrange("b n d g -> b n (g d)"),
            nn.Linear(2 * D, D),
        )


class Looped(Language):
    """A looped transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.feed_forward = Attention(), FeedForward()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.attention(self.before(h)) + h
            h = self.feed_forward(self.before(h)) + h
        return self.head(self.readout(h))

    def before(self, h: Tensor) -> Tensor:
        return F.layer_norm(h, (D,))

    def readout(self, h: Tensor) -> Tensor:
        return self.norm(h)


class RawHead(Looped):
    def readout(self, h: Tensor) -> Tensor:
        return h


class RawAttention(Looped):
    def before(self, h: Tensor) -> Tensor:
        return h


class NormByReduce(Looped):
    """The norm itself by reduce and repeat."""

    def readout(self, h: Tensor) -> Tensor:
        mean_square = reduce(h**2, "b n d -> b n 1", "mean")
        return h / repeat(mean_square + 1e-6, "b n 1 -> b n d", d=D).sqrt()


class Pooled(Looped):
    """The readout is a mean over positions, by a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Reduce("b n d -> b d", "mean")

    def readout(self, h: Tensor) -> Tensor:
        return repeat(self.pool(F.layer_norm(h, (D,))), "b d -> b n d", n=LENGTH)


class PooledRaw(Pooled):
    def readout(self, h: Tensor) -> Tensor:
        return repeat(self.pool(h), "b d -> b n d", n=LENGTH)


class Registers(Looped):
    """Register tokens are packed before the others for the whole loop, and unpacked after it."""

    def __init__(self) -> None:
        super().__init__()
        self.registers = nn.Parameter(torch.randn(2, D))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        registers = repeat(self.registers, "r d -> b r d", b=len(x))
        h, packed = pack([registers, x], "b * d")
        for _ in range(TURNS):
            h = self.attention(self.before(h)) + h
            h = self.feed_forward(self.before(h)) + h
        _, h = unpack(h, packed, "b * d")
        return self.head(self.readout(h))


class Patches(nn.Module):
    """A looped mixer on patches of an image: the state changes its shape in every turn."""

    def __init__(self) -> None:
        super().__init__()
        self.to_patches = Rearrange("b c (h p) (w q) -> b (h w) (p q c)", p=4, q=4)
        self.embed = nn.Linear(4 * 4 * 3, D)
        self.tokens = EinMix("b n d -> b m d", weight_shape="n m", bias_shape="m", n=4, m=4)
        self.channels = EinMix("b n d -> b n e", weight_shape="d e", bias_shape="e", d=D, e=D)
        self.head = nn.Linear(D, 5)

    def forward(self, images: Tensor) -> Tensor:
        h = self.embed(self.to_patches(images))
        for _ in range(TURNS):
            h = h + F.gelu(self.tokens(F.layer_norm(h, (D,))))
            h = h + F.gelu(self.channels(F.layer_norm(h, (D,))))
        return self.head(self.readout(reduce(h, "b n d -> b d", "mean")))

    def readout(self, h: Tensor) -> Tensor:
        return F.layer_norm(h, (D,))


class PatchesRaw(Patches):
    def readout(self, h: Tensor) -> Tensor:
        return h


class Axial(Looped):
    """The state goes around as a grid, attended along its rows and then along its columns."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = rearrange(self.embed(tokens), "b (r c) d -> b r c d", r=2)
        for _ in range(TURNS):
            rows = rearrange(h, "b r c d -> (b r) c d")
            rows = self.attention(self.before(rows)) + rows
            columns = rearrange(rows, "(b r) c d -> (b c) r d", r=2)
            columns = self.attention(self.before(columns)) + columns
            h = rearrange(columns, "(b c) r d -> b r c d", c=LENGTH // 2)
        return self.head(self.readout(rearrange(h, "b r c d -> b (r c) d")))


class AxialRaw(Axial):
    def readout(self, h: Tensor) -> Tensor:
        return h


def with_penalty(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    logits, h = model(tokens)
    return cross_entropy(logits, targets) + 0.01 * reduce(h**2, "b n d -> ", "mean")


class Penalised(Looped):
    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.attention(self.before(h)) + h
            h = self.feed_forward(self.before(h)) + h
        return self.head(self.readout(h)), h


def images(model: nn.Module) -> dict[str, Any]:
    inputs, labels = torch.randn(2, 3, 8, 8), torch.randint(5, (2,))
    return {"model": model, "args": (inputs,), "loss": labelled, "loss_args": (inputs, labels)}


def labelled(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(model(inputs), labels)


EXPECT = {
    "transformer": blind(),
    "transformer_raw_head": safe("carried", "visible"),
    "transformer_raw_blocks": blind("expanding", also="SCL201"),
    "transformer_penalised": Expect((State("carried", "invariant", effective=1),)),
    "norm_by_reduce": blind(),
    "pooled": blind(),
    "pooled_raw": safe("carried", "visible"),
    "registers": blind(),
    "axial": blind(),
    "axial_raw_head": safe("carried", "visible"),
    "patches": blind(),
    "patches_raw_head": safe("carried", "visible"),
}


def scaleaudit_target_transformer() -> dict[str, Any]:
    return target(Looped())


def scaleaudit_target_transformer_raw_head() -> dict[str, Any]:
    return target(RawHead())


def scaleaudit_target_transformer_raw_blocks() -> dict[str, Any]:
    return target(RawAttention())


def scaleaudit_target_transformer_penalised() -> dict[str, Any]:
    return target(Penalised(), with_penalty)


def scaleaudit_target_norm_by_reduce() -> dict[str, Any]:
    return target(NormByReduce())


def scaleaudit_target_pooled() -> dict[str, Any]:
    return target(Pooled())


def scaleaudit_target_pooled_raw() -> dict[str, Any]:
    return target(PooledRaw())


def scaleaudit_target_registers() -> dict[str, Any]:
    return target(Registers())


def scaleaudit_target_axial() -> dict[str, Any]:
    return target(Axial())


def scaleaudit_target_axial_raw_head() -> dict[str, Any]:
    return target(AxialRaw())


def scaleaudit_target_patches() -> dict[str, Any]:
    return images(Patches())


def scaleaudit_target_patches_raw_head() -> dict[str, Any]:
    return images(PatchesRaw())
