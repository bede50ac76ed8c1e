"""Encoders whose layers are one layer, and what stands between them and the loss: untied codas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import BATCH, LENGTH, TURNS, VOCABULARY, D, Language, Layer, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS = 6, 2


class SelfAttention(nn.Module):
    """Attention in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(D, D) for _ in range(3))
        self.dense = nn.Linear(D, D)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.heads(each(x)) for each in (self.query, self.key, self.value))
        scores = q @ k.transpose(-1, -2) / (D // HEADS) ** 0.5
        y = F.dropout(scores.softmax(dim=-1), 0.1, training=False) @ v
        return self.dense(y.permute(0, 2, 1, 3).reshape(*x.shape))

    def heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], HEADS, -1).permute(0, 2, 1, 3)


class PostNorm(nn.Module):
    """A norm after every addition, as the first encoders have it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = SelfAttention()
        self.full_layer_layer_norm, self.attention_norm = nn.LayerNorm(D), nn.LayerNorm(D)
        self.ffn, self.ffn_output = nn.Linear(D, 2 * D), nn.Linear(2 * D, D)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention_norm(x + self.attention(x))
        return self.full_layer_layer_norm(x + self.network(x))

    def network(self, x: Tensor) -> Tensor:
        return self.ffn_output(F.gelu(self.ffn(x), approximate="tanh"))


class PreNorm(PostNorm):
    """The same parts, norms before the branches."""

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.network(self.full_layer_layer_norm(x))


@dataclass
class Output:
    logits: Tensor
    loss: Tensor | None = None


class Encoder(nn.Module):
    """Narrow embeddings widened, one layer in the place of all, a head that ends in a norm."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.word, self.position = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.embedding_norm, self.widen = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, D)
        self.layers = nn.ModuleList([layer] * TURNS)
        self.dense, self.norm = nn.Linear(D, WIDTH), nn.LayerNorm(WIDTH)
        self.bias = nn.Parameter(torch.zeros(VOCABULARY))
        self.pooler, self.order = nn.Linear(D, D), nn.Linear(D, 2)

    def forward(
        self, tokens: Tensor, labels: Tensor | None = None, order: Tensor | None = None
    ) -> Output:
        embedded = self.word(tokens) + self.position(torch.arange(tokens.shape[1]))
        h = self.widen(self.embedding_norm(embedded))
        for layer in self.layers:
            h = layer(h)
        logits = F.linear(self.decoded(h), self.word.weight, self.bias)
        if labels is None:
            return Output(logits)
        masked = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        if order is None:
            return Output(logits, masked)
        pooled = torch.tanh(self.pooler(h[:, 0]))
        return Output(logits, masked + F.cross_entropy(self.order(pooled), order))

    def decoded(self, h: Tensor) -> Tensor:
        """What the decoder, tied to the embeddings, reads."""
        return self.norm(F.gelu(self.dense(h), approximate="tanh"))


class RawDecoder(Encoder):
    """The decoder reads a matrix of the state."""

    def decoded(self, h: Tensor) -> Tensor:
        return self.dense(h)


class WithCoda(Language):
    """A looped layer, untied pre-norm layers behind it, then the final norm."""

    def __init__(self, *, between: bool = False, final: bool = True) -> None:
        super().__init__()
        self.layer = Layer()
        self.coda = nn.ModuleList([Layer(), Layer()])
        self.between = nn.RMSNorm(D) if between else nn.Identity()
        self.final = nn.RMSNorm(D) if final else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.read(self.states(tokens)[-1])

    def states(self, tokens: Tensor) -> list[Tensor]:
        h = self.embed(tokens)
        found = []
        for _ in range(TURNS):
            h = self.between(self.layer(h))
            found.append(h)
        return found

    def read(self, x: Tensor) -> Tensor:
        for layer in self.coda:
            x = layer(x)
        return self.head(self.final(x))


def penalised(model: WithCoda, tokens: Tensor, targets: Tensor) -> Tensor:
    states = model.states(tokens)
    length = torch.stack(states).square().mean()
    return cross_entropy(model.read(states[-1]), targets) + 1e-3 * length


EXPECT = {
    "post_norm": safe("removed", "asymptotic"),
    "pre_norm": blind(visibility="asymptotic"),
    "pre_norm_raw_decoder": safe("carried", "visible"),
    # The first token alone is read through a tanh besides.
    "pre_norm_sentences": blind(visibility="asymptotic"),
    "coda": blind(visibility="asymptotic"),
    "coda_raw_head": safe("carried", "visible"),
    "coda_penalised": Expect((State("carried", "asymptotic", 1),)),
    "coda_between": safe("removed", "asymptotic"),
}


def masked(model: Encoder, order: Tensor | None = None) -> dict[str, Any]:
    """Labels are given in the call; the loss is in what the model returns."""
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH))
    labels = torch.where(tokens % 3 == 0, tokens, -100)
    labels[:, 0] = tokens[:, 0]
    given = {"loss": lambda model, *args: model(*args).loss, "loss_args": (tokens, labels, order)}
    return {"model": model, "args": (tokens,), **given}


def scaleaudit_target_post_norm() -> dict[str, Any]:
    return masked(Encoder(PostNorm()))


def scaleaudit_target_pre_norm() -> dict[str, Any]:
    return masked(Encoder(PreNorm()))


def scaleaudit_target_pre_norm_raw_decoder() -> dict[str, Any]:
    return masked(RawDecoder(PreNorm()))


def scaleaudit_target_pre_norm_sentences() -> dict[str, Any]:
    return masked(Encoder(PreNorm()), torch.randint(2, (BATCH,)))


def scaleaudit_target_coda() -> dict[str, Any]:
    return target(WithCoda())


def scaleaudit_target_coda_raw_head() -> dict[str, Any]:
    return target(WithCoda(final=False))


def scaleaudit_target_coda_penalised() -> dict[str, Any]:
    return target(WithCoda(), penalised)


def scaleaudit_target_coda_between() -> dict[str, Any]:
    return target(WithCoda(between=True))
