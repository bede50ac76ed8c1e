"""Which operator counts the turns of a loop: one each of whose occurrences feeds the next."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from scaleaudit.loops.cycles import CLOSED_SHARE, Body, share_inside, turn_count
from scaleaudit.loops.sites import Sites


def find_anchors(sites: Sites, body: Body) -> list[int]:
    """The occurrences of the first operator that uses a tied weight once a turn.

    An operator that a readout or a gate shares with the loop occurs between its turns without
    feeding the next one: only operators each of whose occurrences feeds the next count turns.
    """
    classes: dict[int, list[int]] = {}
    for n in body.nodes:
        key = sites.key[n]
        if key is not None and (sites.weights[n] or not body.weights):
            classes.setdefault(key, []).append(n)
    recurring = [members for members in classes.values() if len(members) > 1]
    feeds = _feeds(sites, body, recurring)
    chains = [
        members
        for members in recurring
        if all(feeds.reach(first, second) for first, second in pairwise(members))
    ]
    chains = chains or [members for members in recurring if _takes_turns(members, feeds)]
    chains = chains or _unbroken(recurring, feeds, sites, body)
    uses = ((len(members), sites.weights[members[0]]) for members in chains)
    count = turn_count(uses, sites) if body.weights else max(map(len, chains), default=0)
    chosen = [members for members in chains if len(members) == count]
    return min(chosen, key=lambda members: members[0], default=[])


def _takes_turns(members: list[int], feeds: _Feeds) -> bool:
    """Whether occurrences feed the next but one at least, as states do that change places."""
    later = zip(members, members[1:], members[2:], strict=False)
    pairs = [
        feeds.reach(first, second) or feeds.reach(first, third) for first, second, third in later
    ]
    return bool(pairs) and all(pairs)


# What is applied twice in a row may be so by coincidence.
_RUN = 3


def _unbroken(
    recurring: list[list[int]], feeds: _Feeds, sites: Sites, body: Body
) -> list[list[int]]:
    """Chains of occurrences where some of them feed no other one, or where the chain starts anew.

    The last stage of a solver's step may serve its error estimate alone. A loop in depth that is
    run for one token after the other starts with every token; the last token's turns are kept.
    """
    useful = [_without_dead_ends(members, feeds) for members in recurring]
    whole = [
        members
        for members in useful
        if len(members) > _RUN
        and all(feeds.reach(first, second) for first, second in pairwise(members))
    ]
    runs = [_last_run(members, feeds) for members in recurring]
    runs = [run for run in runs if len(run) > 1]
    return whole or [run for run in runs if _is_tied_by_itself(run, sites, body)]


def _is_tied_by_itself(run: list[int], sites: Sites, body: Body) -> bool:
    """Whether the part of the body that a run ends ties its weights, and not as a whole alone."""
    if not body.weights:
        return len(run) >= _RUN
    nodes = tuple(n for n in body.nodes if n >= run[0])
    return share_inside(Body(nodes, body.weights), sites) > CLOSED_SHARE


def _without_dead_ends(members: list[int], feeds: _Feeds) -> list[int]:
    """Leave out the occurrences that feed no later one, the last one apart."""
    return [
        n
        for place, n in enumerate(members)
        if n == members[-1] or any(feeds.reach(n, later) for later in members[place + 1 :])
    ]


def _last_run(members: list[int], feeds: _Feeds) -> list[int]:
    """The last of the longest runs of occurrences each of which feeds the next."""
    runs = [members[:1]]
    for first, second in pairwise(members):
        if feeds.reach(first, second):
            runs[-1].append(second)
        else:
            runs.append([second])
    return max(reversed(runs), key=len)


@dataclass(frozen=True, slots=True)
class _Feeds:
    """Which of the marked nodes of a body are computed from which.

    Attributes:
        bit: For every marked node its place in the masks.
        masks: For every marked node those that are computed from it, as a bit mask.
    """

    bit: dict[int, int]
    masks: dict[int, int]

    def reach(self, first: int, second: int) -> bool:
        """Whether the second node is computed from the first."""
        return bool(self.masks[first] >> self.bit[second] & 1)


def _feeds(sites: Sites, body: Body, classes: list[list[int]]) -> _Feeds:
    """Find out which nodes of some classes are computed from which."""
    marked = sorted(n for members in classes for n in members)
    bit = {n: place for place, n in enumerate(marked)}
    pending = dict.fromkeys(body.nodes, 0)
    masks: dict[int, int] = {}
    for n in reversed(body.nodes):
        mine = pending.pop(n)
        if n in bit:
            masks[n] = mine
            mine |= 1 << bit[n]
        for ref in sites.reads[n]:
            if ref.node in pending:
                pending[ref.node] |= mine
    return _Feeds(bit, masks)
