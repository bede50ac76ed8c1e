"""Every number that a verdict of the probe hangs on, with its reason.

Measured at 100 steps of AdamW at the rate below, on the paper's family at width 64, the examples and
the models of the rule pages. Where scaling the state leaves the loss as it is: blind states end at
2.7 to 63 times the norm of their twin with a penalty, and four times the turns multiply that by 1.5
to 4; states that a norm or a bound holds end at 1.0 to 1.1 times, and keep their length to within
10 %; one whose branch is frozen ends at 1.05 times, and adds up. Where scaling changes the loss,
states end at 0.1 to 2.7 times, and may add up as well.

Which of these a state is held against goes by what the trained weights make of its length: one that
a turn forgets, or that is forgotten bit by bit while writes are bounded, is held whatever training
showed; one that a turn keeps whole and more turns lengthen needs a small lead over its twin, and is never
held; one that is forgotten bit by bit goes by training alone, and is only held where turns cannot be
trained to keep it. Only where what a turn keeps cannot be measured do training and more turns have to
agree.
"""

from __future__ import annotations

# Where nothing in the loss restrains a state: the norm over that of the penalised twin from which it
# grows by training alone, and the factor at four times the turns from which it piles up. Between what
# blind and what held states show.
GROWN_RATIO = 2.0
GROWN_DEEPER = 1.3
# How much longer than at the first step, so that a twin that shrank is not taken for growth.
GROWN_ITSELF = 1.5
# Up to which it stays: either will do where what a turn keeps is not known. Beyond the first, what is
# kept whole and piles up grows: it needs no more than to lead its twin by what held states never do.
STAYED_RATIO = 1.2
STAYED_DEEPER = 1.1
# Where the loss does restrain it, a twin that is restrained by other means may well be shorter: from
# here on it restrains a part of the positions alone, or too late, and nothing is refuted.
# Where nothing restrains it, a state this much longer is never said to stay: trained on a Markov chain
# at width 64, one ended at 27 times its twin with a factor of 1.00 at four times the turns.
ESCAPED_RATIO = 5.0
# Where the loss does restrain it, and it is GROWN_RATIO times its twin, kept whole and piling up: by what
# it grew over the last three quarters of a longer training from which it has not come to rest. Examples
# and idioms that the loss sees along all directions show 0.5 to 1.06.
STILL_GROWING = 1.3
# The share of its directions of which the loss has to see the length for such a rest to say anything.
# Raw readouts of 11 classes see 0.56 to 0.69 of 16, routers to four experts 0.25 or less. A state of which
# one is seen rested for 400 steps on made-up text, and grew ninefold from step 100 to 1000 on a chain.
MOST_DIRECTIONS = 0.5
# What a turn of the trained loop multiplies very long states by. From WHOLE on the length is kept, as
# by a sum or by a gate that is open all the way: sums leave 1 - 1e-8, where writes are small beside the
# state, and gates that are open but for a little 0.99 or less. Up to FORGOTTEN nothing of it is left.
WHOLE = 1 - 1e-4
FORGOTTEN = 1e-2
# The same of a turn that was trained to keep all it can: from EXPANDING on it can make states longer by
# themselves, so that it does not matter whether what it writes is bounded. Gates reach 0.5 to 1.003,
# matrices that nothing bounds 1.5 and more.
EXPANDING = 1.01
# Up to FADING it forgets whatever training does: constants of 0.5 and 0.9 show themselves. Gates that
# start half open may show as little, having been trained for but 40 steps.
FADING = 0.97
# By what the length is multiplied as weights go from 1e2 to 1e4 times, up to which it is bounded by
# construction: cells with gates, which one weight alone may not have shut at 1e2, show 1.0 to 2.1, and
# what is as long as a weight is large shows 86 and more.
BOUNDED_REACH = 3.0
# How far beyond a threshold two seeds must be for a third not to be asked.
CLEAR = 1.5
# How far one seed must be beyond it for a second not to be asked, where the trained weights keep length
# whole: every blind run of the reference family leads its twin by 12 and more, 10 times the threshold.
SURE = 4.0

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
# Relative difference between the losses of all steps under which the loss is a constant.
CONSTANT = 1e-7
# Steps at the end of a run whose losses are averaged.
LAST_LOSSES = 10


def learning_rate(width: int) -> float:
    """Return the rate for a state of so many features."""
    return min(max(LR_AT_ONE_FEATURE / max(width, 1), LEAST_LR), MOST_LR)
