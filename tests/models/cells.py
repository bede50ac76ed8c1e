"""Recurrent cells, run in depth over one input or in time over a sequence."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, D, Language, target
from torch import Tensor, nn


class GruInDepth(Language):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens).flatten(0, 1)  # (batch * length, D)
        h = torch.zeros_like(source)
        for _ in range(TURNS):
            h = self.cell(source, h)
        return self.head(self.norm(h)).unflatten(0, tokens.shape)


class GruRawHead(GruInDepth):
    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens).flatten(0, 1)
        h = torch.zeros_like(source)
        for _ in range(TURNS):
            h = self.cell(source, h)
        return self.head(h).unflatten(0, tokens.shape)


class GruResidual(GruInDepth):
    """A skip around the cell takes its bound away."""

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens).flatten(0, 1)
        h = torch.zeros_like(source)
        for _ in range(TURNS):
            h = h + self.cell(source, self.block.norm(h))
        return self.head(self.norm(h)).unflatten(0, tokens.shape)


class RnnTanh(GruInDepth):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.RNNCell(D, D)


class RnnRelu(GruInDepth):
    """The same cell without a bound."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.RNNCell(D, D, nonlinearity="relu")


class LstmInDepth(Language):
    """Two states: the output is bounded, the memory is forgotten a little and written a little."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens).flatten(0, 1)
        h, c = torch.zeros_like(source), torch.zeros_like(source)
        for _ in range(TURNS):
            h, c = self.cell(source, (h, c))
        return self.head(self.norm(h)).unflatten(0, tokens.shape)


class GruInTime(Language):
    """A character model: one turn a token, logits at every turn."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens)
        h = source.new_zeros(tokens.shape[0], D)
        logits = []
        for x in source.unbind(dim=1):
            h = self.cell(x, h)
            logits.append(self.head(h))
        return torch.stack(logits, dim=1)


class HandWrittenGru(Language):
    """Convolutional GRU as refinement networks write it."""

    def __init__(self) -> None:
        super().__init__()
        self.z = nn.Conv1d(2 * D, D, 3, padding=1)
        self.r = nn.Conv1d(2 * D, D, 3, padding=1)
        self.q = nn.Conv1d(2 * D, D, 3, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens).transpose(1, 2)  # (batch, D, length)
        h = torch.tanh(x)
        for _ in range(TURNS):
            hx = torch.cat([h, x], dim=1)
            z = torch.sigmoid(self.z(hx))
            r = torch.sigmoid(self.r(hx))
            q = torch.tanh(self.q(torch.cat([r * h, x], dim=1)))
            h = (1 - z) * h + z * q
        return self.head(self.norm(h.transpose(1, 2)))


class LinearAttention(Language):
    """A memory over time without weights in its cycle: a state, of which SCL101 is not asked."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(D, D) for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        q, k, v = self.q(x), self.k(x), self.v(x)
        memory = x.new_zeros(x.shape[0], D, D)
        reads = []
        for t in range(tokens.shape[1]):
            memory = memory + k[:, t].unsqueeze(-1) * v[:, t].unsqueeze(-2)
            reads.append((q[:, t].unsqueeze(-2) @ memory).squeeze(-2))
        return self.head(self.norm(torch.stack(reads, dim=1)))


class SequenceModule(Language):
    """nn.GRU, nn.LSTM: the loop is inside the operator."""

    def __init__(self, cells: nn.Module) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, tokens: Tensor) -> Tensor:
        outputs, _ = self.cells(self.embed(tokens))
        return self.head(self.norm(outputs))


# The recurrent modules step over time within one call.
OVER_TIME = (8,)

EXPECT = {
    "gru_in_depth": safe("bounded", "invariant"),
    "gru_raw_head": safe("bounded", "visible"),
    "gru_residual": blind(),
    "rnn_tanh": safe("bounded", "invariant"),
    # Open, as for relu(W h): active either way.
    "rnn_relu": Expect((State("linear|expanding", "invariant"),), "SCL101", "SCL202 SCL201"),
    # The memory's gain is below 1 and its writes are bounded: SCL205 stays silent. Open: the
    # output's visibility is its norm's; the memory reaches the loss through the output.
    "lstm_in_depth": Expect(
        (
            State("bounded", "invariant"),
            State("damped|bounded", "saturating|invariant"),
        ),
        carries=(),
    ),
    "gru_in_time": Expect((State("bounded", "visible"),), turns=(8,)),
    "hand_written_gru": safe("bounded", "invariant"),
    # Open: reported as a state (of transition carried), or not as a loop at all.
    "linear_attention": Expect(
        (State("carried", "invariant"),), loops=(0, 1), turns=(), alike=True, carries=()
    ),
    "gru_module": Expect((State("bounded", "invariant"),), turns=OVER_TIME, carries=()),
    "lstm_module": Expect(
        (State("damped", "invariant"), State("bounded", "invariant")),
        turns=OVER_TIME,
        carries=(),
    ),
    "relu_rnn_module": Expect(
        (State("linear", "invariant"),), "SCL101 SCL202", turns=OVER_TIME, carries=()
    ),
}


def scaleaudit_target_gru_in_depth() -> dict[str, Any]:
    return target(GruInDepth())


def scaleaudit_target_gru_raw_head() -> dict[str, Any]:
    return target(GruRawHead())


def scaleaudit_target_gru_residual() -> dict[str, Any]:
    return target(GruResidual())


def scaleaudit_target_rnn_tanh() -> dict[str, Any]:
    return target(RnnTanh())


def scaleaudit_target_rnn_relu() -> dict[str, Any]:
    return target(RnnRelu())


def scaleaudit_target_lstm_in_depth() -> dict[str, Any]:
    return target(LstmInDepth())


def scaleaudit_target_gru_in_time() -> dict[str, Any]:
    return target(GruInTime())


def scaleaudit_target_hand_written_gru() -> dict[str, Any]:
    return target(HandWrittenGru())


def scaleaudit_target_linear_attention() -> dict[str, Any]:
    return target(LinearAttention())


def scaleaudit_target_gru_module() -> dict[str, Any]:
    return target(SequenceModule(nn.GRU(D, D, batch_first=True)))


def scaleaudit_target_relu_rnn_module() -> dict[str, Any]:
    cells = nn.RNN(D, D, nonlinearity="relu", batch_first=True)
    return target(SequenceModule(cells))


def scaleaudit_target_lstm_module() -> dict[str, Any]:
    return target(SequenceModule(nn.LSTM(D, D, batch_first=True)))
