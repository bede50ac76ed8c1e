"""torch's own transformer modules, looped: their fused fast paths and their flags change nothing."""

from __future__ import annotations

from typing import Any

import torch
from expect import blind, safe
from parts import TURNS, D, Language, target
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 2


def layer_of(
    *, norm_first: bool, activation: Any = "relu", bias: bool = True
) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        D,
        HEADS,
        2 * D,
        dropout=0.0,
        activation=activation,
        batch_first=True,
        norm_first=norm_first,
        bias=bias,
    )


class LoopedLayer(Language):
    """One layer applied at every turn."""

    def __init__(self, layer: nn.Module, *, normed: bool = True) -> None:
        super().__init__()
        self.layer = layer
        self.readout = nn.RMSNorm(D) if normed else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.layer(h)
        return self.head(self.readout(h))


class Injected(LoopedLayer):
    """A post-norm layer around which a skip goes: the norm in it removes nothing."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + self.layer(h)
        return self.head(self.readout(h))


class Masked(LoopedLayer):
    """A causal mask, and another of the padding."""

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        padding = torch.zeros(tokens.shape)
        padding[1, -2:] = float("-inf")
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.layer(h, src_mask=mask, src_key_padding_mask=padding, is_causal=True)
        return self.head(self.readout(h))


class LoopedStack(LoopedLayer):
    """nn.TransformerEncoder as the body of the loop."""

    def __init__(self, *, norm_first: bool, nested: bool, between: bool = False) -> None:
        layer = layer_of(norm_first=norm_first)
        norm = nn.LayerNorm(D) if between else None
        stack = nn.TransformerEncoder(layer, 2, norm=norm, enable_nested_tensor=nested)
        super().__init__(stack)


class PaddedStack(LoopedStack):
    """Padding, of which the encoder makes nested tensors where it may."""

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == 0
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.layer(h, src_key_padding_mask=padding)
        return self.head(self.readout(h))


class Decoder(Language):
    """nn.TransformerDecoderLayer, which attends to the embedded input as its memory."""

    def __init__(self, *, norm_first: bool) -> None:
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(
            D, HEADS, 2 * D, dropout=0.0, batch_first=True, norm_first=norm_first
        )

    def forward(self, tokens: Tensor) -> Tensor:
        source = h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.layer(h, source)
        return self.head(self.norm(h))


class MultiHead(Language):
    """nn.MultiheadAttention between a norm and a skip."""

    def __init__(self, *, weights: bool) -> None:
        super().__init__()
        self.weights = weights
        self.attention = nn.MultiheadAttention(D, HEADS, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            x = self.before(h)
            y, _ = self.attention(x, x, x, need_weights=self.weights)
            h = h + y
        return self.head(self.norm(h))

    def before(self, h: Tensor) -> Tensor:
        return F.layer_norm(h, (D,))


class RawMultiHead(MultiHead):
    """The attention reads the raw state, its values with it."""

    def before(self, h: Tensor) -> Tensor:
        return h


def frozen(model: Language) -> dict[str, Any]:
    """A model in eval mode of which the head alone trains: torch takes its fused path."""
    model.eval().requires_grad_(requires_grad=False)
    model.head.requires_grad_()
    return target(model)


EXPECT = {
    "pre_norm_relu": blind(),
    "pre_norm_gelu_without_bias": blind(),
    "pre_norm_callable_activation": blind(),
    "pre_norm_raw_readout": safe("carried", "visible"),
    "post_norm_gelu": safe("removed|bounded", "invariant"),
    "post_norm_between_skips": blind("expanding|carried"),
    "pre_norm_masked": blind(),
    "pre_norm_in_eval": blind(),
    "post_norm_in_eval": safe("removed|bounded", "invariant"),
    "pre_norm_frozen": blind(),
    "post_norm_frozen": safe("removed|bounded", "invariant"),
    "stack_pre_norm": blind(),
    "stack_pre_norm_normed_between": safe("removed|bounded", "invariant"),
    "stack_post_norm_nested": safe("removed|bounded", "invariant"),
    "stack_padded": safe("removed|bounded", "invariant"),
    "stack_padded_frozen": safe("removed|bounded", "invariant"),
    "decoder_pre_norm": blind(),
    "decoder_post_norm": safe("removed|bounded", "invariant"),
    "multi_head": blind(),
    "multi_head_with_weights": blind(),
    "multi_head_raw": blind("expanding", also="SCL201"),
    "multi_head_in_eval": blind(),
}


def scaleaudit_target_pre_norm_relu() -> dict[str, Any]:
    return target(LoopedLayer(layer_of(norm_first=True)))


def scaleaudit_target_pre_norm_gelu_without_bias() -> dict[str, Any]:
    return target(LoopedLayer(layer_of(norm_first=True, activation="gelu", bias=False)))


def scaleaudit_target_pre_norm_callable_activation() -> dict[str, Any]:
    return target(LoopedLayer(layer_of(norm_first=True, activation=F.silu)))


def scaleaudit_target_pre_norm_raw_readout() -> dict[str, Any]:
    return target(LoopedLayer(layer_of(norm_first=True), normed=False))


def scaleaudit_target_post_norm_gelu() -> dict[str, Any]:
    return target(LoopedLayer(layer_of(norm_first=False, activation="gelu")))


def scaleaudit_target_post_norm_between_skips() -> dict[str, Any]:
    return target(Injected(layer_of(norm_first=False)))


def scaleaudit_target_pre_norm_masked() -> dict[str, Any]:
    return target(Masked(layer_of(norm_first=True)))


def scaleaudit_target_pre_norm_in_eval() -> dict[str, Any]:
    return target(LoopedLayer(layer_of(norm_first=True)).eval())


def scaleaudit_target_post_norm_in_eval() -> dict[str, Any]:
    return target(LoopedLayer(layer_of(norm_first=False)).eval())


def scaleaudit_target_pre_norm_frozen() -> dict[str, Any]:
    return frozen(LoopedLayer(layer_of(norm_first=True, activation="gelu")))


def scaleaudit_target_post_norm_frozen() -> dict[str, Any]:
    return frozen(LoopedLayer(layer_of(norm_first=False)))


def scaleaudit_target_stack_pre_norm() -> dict[str, Any]:
    return target(LoopedStack(norm_first=True, nested=False))


def scaleaudit_target_stack_pre_norm_normed_between() -> dict[str, Any]:
    return target(LoopedStack(norm_first=True, nested=False, between=True))


def scaleaudit_target_stack_post_norm_nested() -> dict[str, Any]:
    return target(LoopedStack(norm_first=False, nested=True))


def scaleaudit_target_stack_padded() -> dict[str, Any]:
    return target(PaddedStack(norm_first=False, nested=True))


def scaleaudit_target_stack_padded_frozen() -> dict[str, Any]:
    return frozen(PaddedStack(norm_first=False, nested=True))


def scaleaudit_target_decoder_pre_norm() -> dict[str, Any]:
    return target(Decoder(norm_first=True))


def scaleaudit_target_decoder_post_norm() -> dict[str, Any]:
    return target(Decoder(norm_first=False))


def scaleaudit_target_multi_head() -> dict[str, Any]:
    return target(MultiHead(weights=False))


def scaleaudit_target_multi_head_with_weights() -> dict[str, Any]:
    return target(MultiHead(weights=True))


def scaleaudit_target_multi_head_raw() -> dict[str, Any]:
    return target(RawMultiHead(weights=False))


def scaleaudit_target_multi_head_in_eval() -> dict[str, Any]:
    return frozen(MultiHead(weights=False))
