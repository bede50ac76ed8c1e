"""Early exit: how many turns are saved where a token leaves as soon as its readout is sure enough."""

from __future__ import annotations

import math

from torch import Tensor

from scaleaudit.domain.evaluation import EarlyExit, exponential

TARGET = 1.02
"""The perplexity that leaving early may cost, in terms of the one after all turns."""

# Thresholds that are tried: so many quantiles of what the readouts give.
_TRIED = 64


def early_exit(losses: Tensor, sure: Tensor, target: float = TARGET) -> EarlyExit:
    """Choose a threshold on the first half of a text and judge it on the second.

    Tokens that have left are still there for those that come after them, so what is saved is an upper
    bound for a loop that drops them.

    Args:
        losses: (turns, tokens): the cross-entropy of every token after every turn.
        sure: (turns, tokens): the largest probability of every readout.
        target: How many times the perplexity after all turns is allowed.
    """
    half = losses.shape[1] // 2
    threshold = _calibrated(losses[:, :half].double(), sure[:, :half], math.log(target))
    judged = losses[:, half:].double()
    turns, loss = _left(judged, sure[:, half:], threshold)
    return EarlyExit(
        target=target,
        threshold=threshold if math.isfinite(threshold) else None,
        mean_turns=turns,
        perplexity=exponential(loss),
        full=exponential(float(judged[-1].mean())),
    )


def _calibrated(losses: Tensor, sure: Tensor, allowed: float) -> float:
    """Return the threshold that saves most turns and costs no more loss than allowed."""
    full = float(losses[-1].mean())
    ordered = sure[:-1].flatten().sort().values
    places = (len(ordered) * step // _TRIED for step in range(_TRIED))
    tried = [float(ordered[place]) for place in places if len(ordered)]
    # Thresholds that nothing reaches cost nothing: with them, something is always allowed.
    costs = {threshold: _left(losses, sure, threshold) for threshold in (*tried, math.inf)}
    fitting = [threshold for threshold, (_, loss) in costs.items() if loss <= full + allowed]
    return min(fitting, key=lambda threshold: costs[threshold][0], default=math.inf)


def _left(losses: Tensor, sure: Tensor, threshold: float) -> tuple[float, float]:
    """Return mean turns and mean loss where a token leaves at the first readout that is sure."""
    leaves = sure >= threshold
    leaves[-1] = True
    turn = leaves.int().argmax(dim=0, keepdim=True)  # the first that is true
    return float((turn + 1).double().mean()), float(losses.gather(0, turn).mean())
