"""How often, and with which draws, a program is run to see what its caller and its dice do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from scaleaudit.capture.engines import Engine
from scaleaudit.capture.handovers import CALLS, Handover, Search, confirmed
from scaleaudit.capture.recalls import Differentiated
from scaleaudit.capture.session import PLAINLY, Manner, Recording, record
from scaleaudit.capture.targets import Target
from scaleaudit.domain.graph import Note, NoteKind

# Draws of which the one with the most operators is kept: of a number of turns between 1 and 2,
# eight draws are all 1 once in 256 times.
_DRAWS = 8


@dataclass(frozen=True, slots=True)
class Studio:
    """Records a target as often as it takes, each time built anew.

    Attributes:
        engine_of: The world to record a target in.
        rebuilt: Builds the target anew.
        recalls: Whether calls that repeat others are recalled, not run.
    """

    engine_of: Callable[[Target], Engine]
    rebuilt: Callable[[], Target]
    recalls: bool = False

    def record(self, manner: Manner) -> Recording:
        """Record a fresh build of the target."""
        return self.record_once(self.rebuilt(), manner)

    def record_once(self, target: Target, manner: Manner) -> Recording:
        """Record a target that nobody ran yet."""
        try:
            return record(target, self.engine_of(target), replace(manner, recalls=self.recalls))
        except Differentiated:
            again = self.rebuilt()
            return record(again, self.engine_of(again), manner)


def best_recording(target: Target, studio: Studio) -> tuple[Recording, Manner]:
    """Record a program so that its turns are seen, be they the caller's or drawn at random."""
    first, manner = studio.record_once(target, PLAINLY), PLAINLY
    if first.drew:
        first, manner = _longest_draw(first, studio)
    if len(first.calls) != 1:
        return first, manner
    return _call_by_call(target, first, manner, studio)


def _longest_draw(first: Recording, studio: Studio) -> tuple[Recording, Manner]:
    """Draw again, and keep the run with the most operators."""
    best, chosen = first, PLAINLY
    sizes = {_size(first)}
    for seed in range(1, _DRAWS):
        manner = Manner(seed=seed)
        recording = studio.record(manner)
        if _size(recording) > max(sizes):
            best, chosen = recording, manner
        sizes.add(_size(recording))
    if len(sizes) > 1:
        message = f"the program draws numbers at random; of {_DRAWS} runs the longest is judged"
        best.trace.note(Note(NoteKind.ORACLE, message))
    return best, chosen


def _size(recording: Recording) -> int:
    return recording.trace.size


def _call_by_call(
    target: Target, first: Recording, manner: Manner, studio: Studio
) -> tuple[Recording, Manner]:
    """Record several calls, one after the other, of a model whose state its caller carries."""
    (call,) = first.calls
    loss = None if target.loss is None else first.loss
    search = Search(call, target.model.forward, loss, first.trace)
    handovers = search.certain()
    if not handovers:
        trials = (trial for trial in search.possible() if _repeated(trial, manner, studio, 2))
        handovers = next(trials, ())
    if not handovers:
        for each in search.undecided():
            first.trace.note(_open_question(search.name_of(each)))
        return first, manner
    names = ", ".join(search.name_of(each) for each in handovers)
    found = _repeated(handovers, manner, studio, CALLS)
    if found is None:
        message = f"{names} could not be handed from call to call; a single call is judged"
        first.trace.note(Note(NoteKind.OTHER, message))
        return first, manner
    message = f"{names}: the model is called {CALLS} times, given again what it returned"
    found[0].trace.note(Note(NoteKind.OTHER, message))
    return found


def _open_question(name: str) -> Note:
    message = (
        f"{name} comes back in the same form, and one call is judged: if it is handed from call to "
        "call, let the loss call the model two or three times"
    )
    return Note(NoteKind.OTHER, message)


def _repeated(
    handovers: tuple[Handover, ...], manner: Manner, studio: Studio, runs: int
) -> tuple[Recording, Manner] | None:
    """Record several calls; None where they don't take what they returned."""
    repeated = replace(manner, handovers=handovers, runs=runs)
    try:
        recording = studio.record(repeated)
    except Exception:  # noqa: BLE001 - one call worked: what fails is the handing over
        return None
    if not confirmed(handovers, recording.calls, recording.trace):
        return None
    return recording, repeated
