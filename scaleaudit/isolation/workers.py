"""What children have loaded when they start, named here so that this side never loads it."""

from __future__ import annotations

from functools import partial

from scaleaudit.isolation.runner import OnDemand, Runner, start_runner

# The first decides what of torch is loaded before anything uses it, the last says that no module
# so far is a user's.
_PRELOAD = (
    "scaleaudit.capture.warm",
    "scaleaudit.capture.capturing",
    "scaleaudit.capture.discovery.finding",
    "scaleaudit.capture.targets",
    "scaleaudit.loops.finder",
    "scaleaudit.scale.analysis",
    "scaleaudit.api",
    "scaleaudit.capture.settled",
)
_REHEARSAL = "scaleaudit.capture.rehearsal"
# The rehearsal takes as long as it saves three children.
_WORTH_REHEARSING = 4


def workers() -> OnDemand:
    """Return what runs children; once started, it loads torch in a process of its own."""
    return OnDemand(partial(start_runner, _PRELOAD))


def rehearse(runner: Runner, children: int) -> None:
    """Have what all children do for the first time done once, where enough of them are to come."""
    if children >= _WORTH_REHEARSING:
        runner.prepare(_REHEARSAL)
