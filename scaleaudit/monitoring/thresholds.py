"""Every number that an early sign hangs on, with its reason.

Measured on the paper's family at width 64, eight conditions, with AdamW at 3e-3 and 3e-4, weight
decay 0.01, embeddings of N(0, 1) and of N(0, 0.02), and on the examples, each for 240 steps.
"""

from __future__ import annotations

# How many times the first length, or that of a state whose elements are 1 if it began shorter, since
# small initialisations grow into that anyhow. Where the audit knows of nothing that restrains a state
# this is seen within tens of steps; where it does, penalised states pass through up to 13 times on
# their way down again.
GROWN = 4.0
GROWN_RESTRAINED = 30.0
# The length after the last turn over that after the first, from which a state adds up from turn to
# turn. One that a norm or a bound holds is at 1.00; one that restrained turns shorten is below.
TURNED = 1.1
# Measurements in a row, so that one odd batch says nothing, nor a peak that is over soon.
LASTING = 3
# How many times as large an element could be and still be held: four doublings before infinity.
ROOM = 16.0
# The share of elements that a turn leaves as they were, to the bit. Dropout leaves its rate, mostly
# 0.1; branches that start at zero leave all, at the first step alone.
FROZEN = 0.5
