"""Arguments and results of one shape that are no recurrence: nothing that comes out goes in again."""

from __future__ import annotations

from typing import Any

import torch
from expect import NO_LOOP
from parts import BATCH, LENGTH, VOCABULARY, D, Language, Mlp, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F


class EncoderDecoder(Language):
    """Neither what it encodes nor what it answers is given to it again."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Mlp(), Mlp()

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        memory = source + self.encoder(self.norm(source))
        weights = (target @ memory.mT).softmax(-1)
        return memory, target + self.decoder(self.norm(target + weights @ memory))


class CrossStreams(Language):
    """Pictures look at words and words at pictures; both are returned."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.MultiheadAttention(D, 2, batch_first=True)
        self.listen = nn.MultiheadAttention(D, 2, batch_first=True)

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        seen = image + self.look(self.norm(image), text, text, need_weights=False)[0]
        heard = text + self.listen(self.norm(text), image, image, need_weights=False)[0]
        return seen, heard


class ResidualBlock(Language):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.block(x if mask is None else x * mask)


class Denoiser(Language):
    """The sampler's loop is no part of training: noise is predicted once."""

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.block(x + t.view(-1, 1, 1) * self.embed.weight[0])


class LogitsAndLoss(Language):
    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Any:
        logits = self.head(self.norm(self.block(self.embed(tokens))))
        return logits, None if targets is None else cross_entropy(logits, targets)


class Siamese(Language):
    """One encoder for both, used twice and never in a row."""

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return self.block(left), self.block(right)


class Variational(Language):
    """Mean and logarithm of the variance have the shape of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.spread = Mlp(), Mlp()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.norm(self.block(x))
        return self.mean(y), self.spread(y)


class Cached(Language):
    """Keys of the past are prepended to those of the present, and all are returned."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(D, D) for _ in range(3))

    def forward(self, tokens: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.embed(tokens)
        y = self.norm(x)
        seen = y if past is None else torch.cat((past, y), dim=1)
        x = x + F.scaled_dot_product_attention(self.q(y), self.k(seen), self.v(seen))
        return self.head(self.norm(x)), seen


class WithHistory(Language):
    """Untied layers keep a list of all that they returned."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Mlp() for _ in range(4))

    def forward(self, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = self.embed(tokens)
        history = []
        for layer in self.layers:
            x = x + layer(self.norm(x))
            history.append(x)
        return self.head(self.norm(x)), history


class ExitsSummed(Language):
    """A sum of exits and one of losses over untied layers: nothing reads them but the end."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Mlp() for _ in range(4))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        x = self.embed(tokens)
        exits, balance = torch.zeros(*tokens.shape, VOCABULARY), torch.zeros(())
        for layer in self.layers:
            x = x + layer(F.rms_norm(x, (D,)))
            exits = exits + self.head(self.norm(x))
            balance = balance + self.head(self.norm(x)).softmax(-1).square().mean()
        return exits, balance


def hidden() -> Tensor:
    return torch.randn(BATCH, LENGTH, D)


def compared(model: nn.Module, *inputs: Any) -> dict[str, Any]:
    """A target whose loss compares all that comes out with something of its shape."""

    def loss(model: nn.Module, *inputs: Any) -> Tensor:
        outputs = model(*inputs)
        pairs = outputs if isinstance(outputs, tuple) else (outputs,)
        return sum((F.mse_loss(each, torch.ones_like(each)) for each in pairs), torch.zeros(()))

    return {"model": model, "args": inputs, "loss": loss, "loss_args": inputs}


def first_output(model: nn.Module, tokens: Tensor, answers: Tensor) -> Tensor:
    return cross_entropy(model(tokens)[0], answers)


def all_outputs(model: nn.Module, tokens: Tensor, answers: Tensor) -> Tensor:
    logits, balance = model(tokens)
    return cross_entropy(logits, answers) + 0.01 * balance


EXPECT = {
    "encoder_decoder": NO_LOOP,
    "cross_streams": NO_LOOP,
    "residual_block": NO_LOOP,
    "denoiser": NO_LOOP,
    "logits_and_loss": NO_LOOP,
    "siamese": NO_LOOP,
    "variational": NO_LOOP,
    "cached": NO_LOOP,
    "with_history": NO_LOOP,
    "exits_summed": NO_LOOP,
}


def scaleaudit_target_encoder_decoder() -> dict[str, Any]:
    return compared(EncoderDecoder(), hidden(), hidden())


def scaleaudit_target_cross_streams() -> dict[str, Any]:
    return compared(CrossStreams(), hidden(), hidden())


def scaleaudit_target_residual_block() -> dict[str, Any]:
    return compared(ResidualBlock(), hidden())


def scaleaudit_target_denoiser() -> dict[str, Any]:
    return compared(Denoiser(), hidden(), torch.rand(BATCH))


def scaleaudit_target_logits_and_loss() -> dict[str, Any]:
    def loss(model: nn.Module, text: Tensor, answers: Tensor) -> Tensor:
        return model(text, answers)[1]

    args = tuple(torch.randint(VOCABULARY, (2, BATCH, LENGTH)))
    return {"model": LogitsAndLoss(), "args": args, "loss": loss, "loss_args": args}


def scaleaudit_target_siamese() -> dict[str, Any]:
    return compared(Siamese(), hidden(), hidden())


def scaleaudit_target_variational() -> dict[str, Any]:
    return compared(Variational(), hidden())


def scaleaudit_target_cached() -> dict[str, Any]:
    return target(Cached(), first_output)


def scaleaudit_target_with_history() -> dict[str, Any]:
    return target(WithHistory(), first_output)


def scaleaudit_target_exits_summed() -> dict[str, Any]:
    return target(ExitsSummed(), all_outputs)
