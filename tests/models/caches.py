"""Key and value caches that are written in place, in buffers that the attention owns."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import BATCH, LENGTH, TURNS, D, Language, Mlp, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 2
WIDTH = D // HEADS
ROOM = 3 * LENGTH


class Cache(nn.Module):
    """Room for the keys and values of all positions: one buffer of each a turn."""

    def __init__(self) -> None:
        super().__init__()
        for slab in range(TURNS):
            for kind in ("keys", "values"):
                room = torch.zeros(BATCH, HEADS, ROOM, WIDTH)
                self.register_buffer(f"{kind}_{slab}", room, persistent=False)

    def reset(self) -> None:
        """Forget the last sequence, and its graph."""
        for buffer in self.buffers():
            buffer.detach_().zero_()

    def update(self, k: Tensor, v: Tensor, slab: int, places: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.get_buffer(f"keys_{slab}"), self.get_buffer(f"values_{slab}")
        return self.written(keys, k, places), self.written(values, v, places)

    def written(self, room: Tensor, new: Tensor, places: Tensor) -> Tensor:
        raise NotImplementedError


class IndexCopied(Cache):
    """As transformers' StaticCache."""

    def written(self, room: Tensor, new: Tensor, places: Tensor) -> Tensor:
        return room.index_copy_(2, places, new)


class SliceAssigned(Cache):
    """As LLaMA's first code: cache[:, start:stop] = k."""

    def written(self, room: Tensor, new: Tensor, places: Tensor) -> Tensor:
        stop = new.shape[-2]
        room[:, :, :stop] = new
        return room[:, :, :stop]


class Scattered(Cache):
    def written(self, room: Tensor, new: Tensor, places: Tensor) -> Tensor:
        return room.scatter_(2, places.view(1, 1, -1, 1).expand_as(new), new)


class IndexPut(Cache):
    """Assignment by a tensor of places, as gpt-fast writes it."""

    def written(self, room: Tensor, new: Tensor, places: Tensor) -> Tensor:
        room[:, :, places] = new
        return room


class Grown(Cache):
    """As transformers' DynamicCache: what came before and what is new, side by side."""

    def written(self, room: Tensor, new: Tensor, places: Tensor) -> Tensor:
        return torch.cat([room[:, :, :0], new], dim=-2)


class Cached(Language):
    """Attention over a cache in every turn, between a norm and a skip."""

    def __init__(self, cache: Cache) -> None:
        super().__init__()
        self.cache = cache
        self.to_qkv = nn.Linear(D, 3 * D, bias=False)
        self.to_out = nn.Linear(D, D, bias=False)
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        self.cache.reset()
        places = torch.arange(tokens.shape[1])
        h = self.embed(tokens)
        for turn in range(TURNS):
            h = h + self.attend(self.before(h), turn, places)
            h = h + self.mlp(F.rms_norm(h, (D,)))
        return self.head(self.after(h))

    def before(self, h: Tensor) -> Tensor:
        return F.rms_norm(h, (D,))

    def after(self, h: Tensor) -> Tensor:
        return self.norm(h)

    def attend(self, x: Tensor, turn: int, places: Tensor) -> Tensor:
        q, k, v = self.to_qkv(x).unflatten(-1, (3, HEADS, WIDTH)).permute(2, 0, 3, 1, 4)
        keys, values = self.cache.update(k, v, turn, places)
        mask = torch.arange(keys.shape[-2])[None, :] <= places[:, None]
        y = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
        return self.to_out(y.transpose(1, 2).flatten(2))


class RawHead(Cached):
    def after(self, h: Tensor) -> Tensor:
        return h


class RawAttention(Cached):
    """The cache holds keys and values of the raw state."""

    def before(self, h: Tensor) -> Tensor:
        return h


class Decoding(Cached):
    """One token after the other: every step runs all turns and reads the steps before."""

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        keys = [torch.zeros(BATCH, HEADS, LENGTH, WIDTH) for _ in range(TURNS)]
        values = [torch.zeros(BATCH, HEADS, LENGTH, WIDTH) for _ in range(TURNS)]
        total = torch.zeros(())
        for step in range(2):
            h = self.embed(tokens[:, step : step + 1])
            for turn in range(TURNS):
                q, k, v = self.projected(F.rms_norm(h, (D,)))
                keys[turn] = keys[turn].index_copy(2, torch.tensor([step]), k)
                values[turn] = values[turn].index_copy(2, torch.tensor([step]), v)
                y = F.scaled_dot_product_attention(q, keys[turn], values[turn])
                h = h + self.to_out(y.transpose(1, 2).flatten(2))
            total = total + cross_entropy(self.head(self.norm(h)), targets[:, step : step + 1])
        return total

    def projected(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.to_qkv(x).unflatten(-1, (3, HEADS, WIDTH)).permute(2, 0, 3, 1, 4).unbind()


def in_the_model(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    return model(tokens, targets)


EXPECT = {
    "index_copied": blind(),
    "index_copied_raw_head": safe("carried", "visible"),
    "index_copied_raw_values": blind("expanding", also="SCL201"),
    "slice_assigned": blind(),
    "slice_assigned_raw_head": safe("carried", "visible"),
    "scattered": blind(),
    "scattered_raw_values": blind("expanding", also="SCL201"),
    "index_put": blind(),
    "grown": blind(),
    "decoding": Expect((State("carried", "invariant"),), "SCL101", turns=(4, 8), carries=()),
}


def scaleaudit_target_index_copied() -> dict[str, Any]:
    return target(Cached(IndexCopied()))


def scaleaudit_target_index_copied_raw_head() -> dict[str, Any]:
    return target(RawHead(IndexCopied()))


def scaleaudit_target_index_copied_raw_values() -> dict[str, Any]:
    return target(RawAttention(IndexCopied()))


def scaleaudit_target_slice_assigned() -> dict[str, Any]:
    return target(Cached(SliceAssigned()))


def scaleaudit_target_slice_assigned_raw_head() -> dict[str, Any]:
    return target(RawHead(SliceAssigned()))


def scaleaudit_target_scattered() -> dict[str, Any]:
    return target(Cached(Scattered()))


def scaleaudit_target_scattered_raw_values() -> dict[str, Any]:
    return target(RawAttention(Scattered()))


def scaleaudit_target_index_put() -> dict[str, Any]:
    return target(Cached(IndexPut()))


def scaleaudit_target_grown() -> dict[str, Any]:
    return target(Cached(Grown()))


def scaleaudit_target_decoding() -> dict[str, Any]:
    return target(Decoding(IndexCopied()), in_the_model)
