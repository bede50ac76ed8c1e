"""nn.RNN, nn.GRU and nn.LSTM as they are called: the loop over time is inside the operator."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from expect import Expect, State
from parts import LENGTH, D, Language, cross_entropy, target
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Tagger(Language):
    """A label for every token, from the outputs of a recurrent module through a norm."""

    def __init__(self, cells: nn.Module, width: int = D) -> None:
        super().__init__()
        self.cells = cells
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, self.head.out_features)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.read(self.cells(self.embed(tokens))[0])

    def read(self, outputs: Tensor) -> Tensor:
        return self.head(self.norm(outputs))


class RawTagger(Tagger):
    def read(self, outputs: Tensor) -> Tensor:
        return self.head(outputs)


class Projected(Tagger):
    """The library warns that its fast path knows no projections."""

    def forward(self, tokens: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return super().forward(tokens)


class TimeFirst(Tagger):
    def forward(self, tokens: Tensor) -> Tensor:
        outputs, _ = self.cells(self.embed(tokens).transpose(0, 1))
        return self.read(outputs.transpose(0, 1))


class Started(Tagger):
    """The state that it starts from is given, and learned."""

    def __init__(self, cells: nn.Module, states: int) -> None:
        super().__init__(cells)
        self.first = nn.Parameter(torch.randn(states, D))

    def forward(self, tokens: Tensor) -> Tensor:
        start = self.first[:, None, None].expand(-1, 1, tokens.shape[0], D).contiguous()
        given = tuple(start) if len(start) > 1 else start[0]
        return self.read(self.cells(self.embed(tokens), given)[0])


class Packed(Tagger):
    """Sentences of several lengths in one packed batch."""

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = torch.tensor([LENGTH, LENGTH - 2])
        packed = pack_padded_sequence(self.embed(tokens), lengths, batch_first=True)
        outputs, _ = pad_packed_sequence(
            self.cells(packed)[0], batch_first=True, total_length=LENGTH
        )
        return self.read(outputs)


class LastState(Tagger):
    """A label for the whole sentence, from the last layer's last state."""

    def forward(self, tokens: Tensor) -> Tensor:
        _, last = self.cells(self.embed(tokens))
        h = last[0] if isinstance(last, tuple) else last
        return self.read(h[-1])


class ResidualStack(Language):
    """Untied layers over time, each beside a skip: no loop in depth."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.LSTM(D, D, batch_first=True) for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))[0]
        return self.head(self.norm(x))


class TiedStack(Language):
    """One layer over time, run four times over in depth beside a skip: loops in both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(D, D, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for _ in range(4):
            x = x + self.layer(self.norm(x))[0]
        return self.head(self.norm(x))


class ConvolutionAndRnn(Tagger):
    """A speech model: convolutions, then recurrence in both directions."""

    def __init__(self) -> None:
        super().__init__(nn.RNN(D, D // 2, batch_first=True, bidirectional=True))
        self.mix = nn.Conv1d(D, D, 3, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        x = torch.relu(self.mix(self.embed(tokens).transpose(1, 2)))
        return self.read(self.cells(x.transpose(1, 2))[0])


def label(model: nn.Module, tokens: Tensor, answers: Tensor) -> Tensor:
    return cross_entropy(model(tokens), answers[:, 0])


# Layers and directions count as loops of their own, or as one.
OVER_TIME: dict[str, Any] = {"turns": (LENGTH,), "loops": (1, 2, 3, 4, 6), "carries": ()}
CALL = "self.cells("
# An inner layer's output is read by the gates of the next; by the letter it takes the visibility
# of the last one's.
INNER = "|saturating|asymptotic"


def module(
    *states: tuple[str, str], codes: str = "", layers: int = 1, line: str = CALL, **more: Any
) -> Expect:
    """States of a recurrent module, those of the inner layers like those of the last."""
    inner = INNER if layers > 1 else ""
    found = tuple(State(how, seen + inner, line=line) for how, seen in states)
    return Expect(found, codes, alike=True, **{**OVER_TIME, **more})


BOUNDED = ("bounded", "invariant")
LSTM = (BOUNDED, ("damped|bounded", "invariant|saturating"))
# One norm over both directions: the length of one alone fades beside the other's.
BOTH_WAYS = ("bounded", "invariant|asymptotic")
LSTM_BOTH_WAYS = (BOTH_WAYS, ("damped|bounded", "invariant|asymptotic|saturating"))

EXPECT = {
    "rnn_tanh": module(BOUNDED),
    "rnn_tanh_raw": module(("bounded", "visible")),
    "rnn_relu": module(("linear", "invariant"), codes="SCL101 SCL202"),
    "rnn_relu_raw": module(("linear", "visible"), codes="SCL202"),
    # The inner layer is read by a linear map: behind a norm the rest of that map fades.
    "rnn_relu_deep": Expect(
        (State("linear", "invariant|asymptotic", line=CALL),),
        "SCL101 SCL202",
        alike=True,
        **OVER_TIME,
    ),
    "gru": module(BOUNDED),
    "gru_deep": module(BOUNDED, layers=3),
    "gru_raw_deep": module(("bounded", "visible"), layers=2),
    "gru_started": module(BOUNDED),
    "gru_packed": module(BOTH_WAYS),
    "gru_last_state": module(BOUNDED, layers=2),
    "lstm": module(*LSTM),
    "lstm_raw": module(("bounded", "visible"), ("damped|bounded", "visible|saturating")),
    "lstm_deep": module(*LSTM, layers=2),
    "lstm_both_ways": module(*LSTM_BOTH_WAYS),
    # A bounded output through a learned projection is bounded still.
    "lstm_projected": module(*LSTM),
    "lstm_time_first": module(*LSTM),
    "lstm_started": module(*LSTM),
    "lstm_packed": module(*LSTM, layers=2),
    "lstm_last_state": module(*LSTM),
    "residual_stack": Expect(
        (
            State("bounded", "invariant|asymptotic|saturating", line="layer(norm(x))"),
            State("damped|bounded", "invariant|asymptotic|saturating", line="layer(norm(x))"),
        ),
        alike=True,
        **OVER_TIME,
    ),
    "tied_stack": Expect(
        (
            State("carried", "invariant", name="x", line="x = x + self.layer"),
            # Open: a loop over time inside each turn in depth is not told by itself.
            State("bounded", "invariant|asymptotic|saturating", line="self.layer(", optional=True),
        ),
        "SCL101",
        alike=True,
        **{**OVER_TIME, "turns": (4, LENGTH)},
    ),
    "convolution_and_rnn": module(BOTH_WAYS),
}


def scaleaudit_target_rnn_tanh() -> dict[str, Any]:
    return target(Tagger(nn.RNN(D, D, batch_first=True)))


def scaleaudit_target_rnn_tanh_raw() -> dict[str, Any]:
    return target(RawTagger(nn.RNN(D, D, batch_first=True, bias=False)))


def scaleaudit_target_rnn_relu() -> dict[str, Any]:
    return target(TimeFirst(nn.RNN(D, D, nonlinearity="relu")))


def scaleaudit_target_rnn_relu_raw() -> dict[str, Any]:
    return target(RawTagger(nn.RNN(D, D, nonlinearity="relu", batch_first=True)))


def scaleaudit_target_rnn_relu_deep() -> dict[str, Any]:
    cells = nn.RNN(D, D, 2, nonlinearity="relu", batch_first=True, bidirectional=True)
    return target(Tagger(cells, 2 * D))


def scaleaudit_target_gru() -> dict[str, Any]:
    return target(TimeFirst(nn.GRU(D, D, bias=False)))


def scaleaudit_target_gru_deep() -> dict[str, Any]:
    return target(Tagger(nn.GRU(D, D, 3, batch_first=True, dropout=0.1)))


def scaleaudit_target_gru_raw_deep() -> dict[str, Any]:
    cells = nn.GRU(D, D, 2, batch_first=True, bidirectional=True)
    return target(RawTagger(cells, 2 * D))


def scaleaudit_target_gru_started() -> dict[str, Any]:
    return target(Started(nn.GRU(D, D, batch_first=True), 1))


def scaleaudit_target_gru_packed() -> dict[str, Any]:
    return target(Packed(nn.GRU(D, D, batch_first=True, bidirectional=True), 2 * D))


def scaleaudit_target_gru_last_state() -> dict[str, Any]:
    return target(LastState(nn.GRU(D, D, 2, batch_first=True)), label)


def scaleaudit_target_lstm() -> dict[str, Any]:
    return target(Tagger(nn.LSTM(D, D, batch_first=True, bias=False)))


def scaleaudit_target_lstm_raw() -> dict[str, Any]:
    return target(RawTagger(nn.LSTM(D, D, batch_first=True)))


def scaleaudit_target_lstm_deep() -> dict[str, Any]:
    return target(Tagger(nn.LSTM(D, D, 2, batch_first=True, dropout=0.2)))


def scaleaudit_target_lstm_both_ways() -> dict[str, Any]:
    return target(Tagger(nn.LSTM(D, D, batch_first=True, bidirectional=True), 2 * D))


def scaleaudit_target_lstm_projected() -> dict[str, Any]:
    return target(Projected(nn.LSTM(D, D, batch_first=True, proj_size=D // 2), D // 2))


def scaleaudit_target_lstm_time_first() -> dict[str, Any]:
    return target(TimeFirst(nn.LSTM(D, D)))


def scaleaudit_target_lstm_started() -> dict[str, Any]:
    return target(Started(nn.LSTM(D, D, batch_first=True), 2))


def scaleaudit_target_lstm_packed() -> dict[str, Any]:
    return target(Packed(nn.LSTM(D, D, 2, batch_first=True)))


def scaleaudit_target_lstm_last_state() -> dict[str, Any]:
    return target(LastState(nn.LSTM(D, D, batch_first=True)), label)


def scaleaudit_target_residual_stack() -> dict[str, Any]:
    return target(ResidualStack())


def scaleaudit_target_tied_stack() -> dict[str, Any]:
    return target(TiedStack())


def scaleaudit_target_convolution_and_rnn() -> dict[str, Any]:
    return target(ConvolutionAndRnn())
