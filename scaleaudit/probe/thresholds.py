"""Every number that a verdict of the probe hangs on, with its reason.

Measured on the paper's family (two layers of width 64, 4 turns, 100 steps of 8 x 64 bytes with
AdamW at 1e-2, two initialisations, 36 runs): blind models end at 23 to 140 times the norm of their
twin with a penalty, controlled ones at 0.12 to 1.4 times; four times the turns multiply the norm by
2.8 to 4.1 where nothing stops it, by 0.99 to 1.0 where a norm between turns does.
"""

from __future__ import annotations

# The norm over that of the penalised twin from which a state counts as grown. Half of the least
# that a blind model showed, seven times the most that a controlled one did.
GROWN_RATIO = 10.0
# Factor on the norm at four times the turns from which a loop counts as one that adds up.
GROWN_DEEPER = 1.5
# Up to which it counts as one that keeps its length.
STAYED_DEEPER = 1.1
# Up to which a norm counts as that of its twin, where nothing in the loss restrains it.
STAYED_RATIO = 1.2
# The same, where scaling the state changes the loss: what is restrained may differ from a twin that
# is restrained by other means.
RESTRAINED_RATIO = 3.0
# How far beyond a threshold two seeds must be for a third not to be asked.
CLEAR = 1.5

# AdamW moves every weight by about the learning rate at a step, and what a row of n weights adds up
# to by n times that, so the rate falls with the width. 1e-2 at 64 features separated all 36 runs,
# 1e-3 was right at 512 where 1e-2 tore the penalised twin apart as well.
LR_AT_ONE_FEATURE = 0.64
LEAST_LR, MOST_LR = 1e-4, 2e-2
# By how much the rate is lowered where the penalised twin, too, ends above the loss it began with.
COOLER = 1 / 3
MOST_COOLINGS = 2

# Relative fall of the loss under which nothing was learnt, so that a norm that stayed says nothing.
LEAST_LEARNT = 0.02
# Steps at the end of a run whose losses are averaged.
LAST_LOSSES = 10


def learning_rate(width: int) -> float:
    """Return the rate for a state of so many features."""
    return min(max(LR_AT_ONE_FEATURE / max(width, 1), LEAST_LR), MOST_LR)
