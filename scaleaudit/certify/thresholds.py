"""Where numbers count as contradicting a claim: every threshold of certification, with its reason."""

from __future__ import annotations

# What the states are scaled by: powers of two, so that scaling itself rounds nothing, next to
# 1, 1e2, 1e4 and 1e6. The last two tell a limit from a value still on its way there.
FACTORS = (1.0, 2.0**7, 2.0**14, 2.0**20)
# From here on a value counts as being in its limit.
LARGE = 2
# A slope between the two largest factors may miss its degree by this much: between 2**14 and
# 2**20 a constant as large as the state at factor 1 bends a square root by less than 0.01.
SLOPE = 0.06
# Logarithms beside a power bend slopes more.
LOG_SLOPE = 0.2
# Values of a slope that crosses zero or oscillates say little about single elements.
WILD_SLOPE = 2.5
# A sum of as many float64 numbers as models have loses about three of sixteen digits.
ROUNDING = 1e-9
# Rounding that the jitter need not show, as a share of the largest element.
UNSEEN = 1e-13
# What an operator that takes no float64 leaves of single precision.
SINGLE = 1e-4
# A value of which this share is rounding tells nothing.
LOST = 1e-3
# What a norm's eps may still do to a state of mean square 1 times 2**7, eps up to 1e-2.
EPS = 1e-2
# A value that moves by less than this between the two largest factors has come to rest.
AT_REST = 0.05
# What is called visible moves by more than this, what is called invariant by less than EPS.
MOVES = 1e-3
# Among fewer elements all may have the sign that vanishes.
FEW = 8
# Largest power that 2**20 leaves far from overflow, in sums and squares too.
OVERFLOWS = 8.0
# Elements that die exponentially fall faster than this power.
DYING = -2.0
# A slope of a loss term along the gradient that is this small beside the term is none.
FLAT = 1e-6
# Of a slope that stays, less than half is lost from 2**14 to 2**20; one that fades loses more.
FADES = 0.5
# A length may miss an end of the gain by what is written beside the state, at factor 2**20.
GAIN = 1e-3
# What a turn that forgets or bounds the length may still grow by per factor.
FORGETS = 0.1
# Of so many draws of weights and states all must contradict a claim: a chance cancellation, or a
# maximum that changes sides, is no contradiction.
DRAWS = 3
# Rounding that every operator's result is given to see what rounding can do.
JITTER = 4e-16
# How much rounding is taken to be for each unit that the jitter shows.
NOISE = 100.0
# A position this much shorter than the others shows the eps of norms, and little else.
SHORT = 1e-2
# An element this much smaller than the others does not outgrow what is written beside it at 2**20.
SLIGHT = 1e-3
