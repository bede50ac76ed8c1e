"""What a trained reference model gives on held-out text, at every depth, as the paper measures it.

Everything is computed in float32 and in a fixed order, so that the same weights and the same text give
the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

from scaleaudit.domain.diagnostics import SWEEP
from scaleaudit.domain.evaluation import DepthEvaluation, Evaluation, Lengths
from scaleaudit.reference.config import Supervision
from scaleaudit.reference.exits import TARGET, early_exit
from scaleaudit.reference.model import LoopedDecoder

# To how many times the trained turns the loop is run further.
DEEPER = (2, 4)
# Elements of logits that are held at a time, and sequences.
_MOST_LOGITS, _MOST_SEQUENCES = 1 << 26, 64


def evaluate(model: LoopedDecoder, windows: Tensor, target: float = TARGET) -> Evaluation:
    """Measure a model.

    Args:
        windows: Sequences of text as tokens, (sequences, tokens + 1), of int64: each token but the
            first is foretold.
        target: The perplexity that early exits may cost, in terms of the one after all turns.
    """
    turns = model.config.turns
    with _at_rest(model), torch.no_grad():
        seen = [_Seen(model, batch) for batch in _batches(model, windows)]
        clamped = [_clamped(model, batch) for batch in _batches(model, windows)]
    losses = torch.cat([each.losses for each in seen], dim=1)  # (depths, tokens)
    lengths = torch.cat([each.lengths for each in seen], dim=1)
    sure = torch.cat([each.sure for each in seen], dim=1)  # (turns, tokens)
    objectives = torch.stack([each.objectives for each in seen])  # (batches, factors)
    shares = torch.tensor([each.losses.shape[1] for each in seen]).double() / losses.shape[1]
    return Evaluation(
        turns=turns,
        tokens=losses.shape[1],
        depths=tuple(map(_depth, depths(turns), lengths, losses)),
        scaled=tuple((shares @ objectives).tolist()),
        clamped=_depth(turns, *(torch.cat(parts) for parts in zip(*clamped, strict=True))),
        early_exit=early_exit(losses[:turns], sure, target),
    )


def depths(turns: int) -> tuple[int, ...]:
    """Return the depths that are measured of a loop: every trained turn, and some beyond."""
    return (*range(1, turns + 1), *(turns * times for times in DEEPER))


def tangential(before: Tensor, after: Tensor) -> Tensor:
    """Return a state without what the turn changed along the direction that the state had.

    Args:
        before: (..., dim), no token of which is zero.
        after: Of the same shape.
    """
    direction = F.normalize(before, dim=-1)
    radial = ((after - before) * direction).sum(-1, keepdim=True)
    return after - radial * direction


class _Seen:
    """What one batch gives.

    Attributes:
        losses: Of every depth and token.
        lengths: Likewise, of the state.
        sure: The largest probability of every trained turn's readout.
        objectives: What is trained on, with the states scaled by each factor.
    """

    def __init__(self, model: LoopedDecoder, batch: Tensor) -> None:
        turns = model.config.turns
        answers, wanted = batch[:, 1:], depths(turns)
        losses, lengths, sure = [], [], []
        objectives = torch.zeros(len(SWEEP), dtype=torch.float64)
        for turn, h in enumerate(_states(model, batch[:, :-1], wanted[-1]), 1):
            if turn not in wanted:
                continue
            logits = model.read(h, last=turn >= turns)
            losses.append(_losses(logits, answers))
            lengths.append(h.norm(dim=-1).flatten().cpu())
            if turn <= turns:
                sure.append(logits.softmax(-1).amax(-1).flatten().cpu())
                objectives += _scaled(model, turn, h, answers)
        self.losses, self.lengths = torch.stack(losses), torch.stack(lengths)
        self.sure, self.objectives = torch.stack(sure), objectives


def _states(model: LoopedDecoder, tokens: Tensor, turns: int) -> Iterator[Tensor]:
    """Yield the state after every turn, (batch, tokens, dim)."""
    h = model.embed(tokens)
    for _ in range(turns):
        h = model.turn(h)
        yield h


def _losses(logits: Tensor, answers: Tensor) -> Tensor:
    """Return the cross-entropy of every token, (batch * tokens,)."""
    found = F.cross_entropy(logits.flatten(0, 1), answers.flatten(), reduction="none")
    return found.cpu()


def _scaled(model: LoopedDecoder, turn: int, h: Tensor, answers: Tensor) -> Tensor:
    """Return what a turn's state adds to the objective when it is scaled by each factor."""
    condition, turns = model.config.condition, model.config.turns
    last = turn == turns
    per_loop = condition.supervision is Supervision.PER_LOOP
    weight = 1 / turns if per_loop else float(last)
    found = []
    for factor in SWEEP:
        scaled = factor * h
        loss = _losses(model.read(scaled, last=last), answers).double().mean() if weight else 0.0
        penalty = condition.penalty * float(scaled.double().square().mean()) / turns
        found.append(weight * float(loss) + penalty)
    return torch.tensor(found, dtype=torch.float64)


def _clamped(model: LoopedDecoder, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Return lengths and losses after the last trained turn, no turn having changed the length."""
    h = model.embed(batch[:, :-1])
    for _ in range(model.config.turns):
        h = tangential(h, model.turn(h))
    losses = _losses(model.read(h, last=True), batch[:, 1:])
    return h.norm(dim=-1).flatten().cpu(), losses


def _depth(turns: int, lengths: Tensor, losses: Tensor) -> DepthEvaluation:
    return DepthEvaluation(turns, spread_of(lengths), float(losses.double().mean()))


def spread_of(lengths: Tensor) -> Lengths:
    """Say how lengths, (tokens,), are spread; quantiles are those of the nearest rank."""
    ordered = lengths.sort().values
    last = len(ordered) - 1
    p5, median, p95, p99 = (float(ordered[round(q * last)]) for q in (0.05, 0.5, 0.95, 0.99))
    return Lengths(float(lengths.double().mean()), p5, median, p95, p99, float(ordered[-1]))


def _batches(model: LoopedDecoder, windows: Tensor) -> Iterable[Tensor]:
    device = next(model.parameters()).device
    logits = (windows.shape[1] - 1) * model.config.size.vocabulary
    rows = max(1, min(_MOST_SEQUENCES, _MOST_LOGITS // logits))
    return (batch.to(device) for batch in torch.split(windows, rows))


@contextmanager
def _at_rest(model: LoopedDecoder) -> Iterator[None]:
    """Evaluate as in use, and leave the model as it was."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
