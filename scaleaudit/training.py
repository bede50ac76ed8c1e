"""A training in a process of its own, which the command line becomes: what it says, how it ends."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from scaleaudit.console import Progress, complain, confess, forgive_characters, say
from scaleaudit.domain.training import Ending, TrainingOutcome, TrainingProgress, TrainingRequest
from scaleaudit.errors import ScaleAuditError
from scaleaudit.group import ALONE, leave
from scaleaudit.ranks import is_first, let_the_first_speak
from scaleaudit.reference.runs import Folder, titled
from scaleaudit.reference.tokens import cache_folder
from scaleaudit.reference.training import Watch, text_of, train
from scaleaudit.wire import read_json

EXIT_DONE, EXIT_OVERFLOWED, EXIT_USAGE = 0, 1, 2
# What shells add to the number of the signal that ended a process.
_BY_SIGNAL = 128
# Seconds between two sights of the progress on a terminal, and between two lines of it elsewhere.
_LIVE, _LINES = 0.2, 10.0
# Seconds within which one Ctrl-C may come twice: from the terminal, and from whoever started us.
_TWICE = 1.0
_MINUTE = 60


def main(arguments: list[str]) -> int:
    """Train as a request in JSON says, and return the exit code; nobody sees a traceback."""
    forgive_characters()
    threading.excepthook = _unless_it_is_told
    try:
        return run(read_json(arguments[0], TrainingRequest))
    except ScaleAuditError as error:
        # Whoever is there after that alone knows of it.
        let_the_first_speak()
        complain(error)
    except KeyboardInterrupt:
        say("stopped")
        return _BY_SIGNAL + signal.SIGINT
    except Exception:  # noqa: BLE001  # the last resort
        confess()
    return EXIT_USAGE


def run(request: TrainingRequest) -> int:
    """Train, tell how it goes and how it ended, and return the exit code.

    Raises:
        ScaleAuditError: It cannot be done.
    """
    shown = _Shown(sys.stderr, wanted=is_first() and not request.quiet)
    if request.prepare:
        return _prepare(request, shown.say)
    with _asked_to_stop() as asked:
        watch = Watch(shown.say, shown.progress, lambda: bool(asked))
        try:
            outcome = train(request, watch)
        finally:
            shown.clear()
    if is_first():
        sys.stdout.write(_summary(request, outcome))
    match outcome.ending:
        case Ending.DONE | Ending.TIME:
            return EXIT_DONE
        case Ending.OVERFLOWED:
            return EXIT_OVERFLOWED
        case Ending.STOPPED:
            return _BY_SIGNAL + (asked[0] if asked else signal.SIGINT)


def _unless_it_is_told(found: threading.ExceptHookArgs) -> None:
    """Show what ended a thread, but for files that it could not write: whoever has it says so."""
    if not issubclass(found.exc_type, OSError):
        threading.__excepthook__(found)


def _prepare(request: TrainingRequest, tell: Callable[[str], None]) -> int:
    """Prepare the text alone."""
    found = text_of(request, ALONE, Watch(tell))
    sys.stdout.write(
        f"{found.name}: {len(found.train):,} tokens to train on, {len(found.held_out):,} held out\n"
        f"kept in {cache_folder(request.cache)}\n"
    )
    return EXIT_DONE


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Note the signals that ask for an end; one that comes again ends the run at once."""
    asked = list[int]()
    since = 0.0

    def note(number: int, _: FrameType | None) -> None:
        nonlocal since
        if asked and time.monotonic() - since > _TWICE:
            raise KeyboardInterrupt
        if not asked:
            since = time.monotonic()
            asked.append(number)
            if is_first():
                say(
                    "stopping after this step; once more ends it at once, and what is not saved is lost"
                )

    names = ("SIGINT", "SIGTERM", "SIGHUP")
    taken = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # One that whoever started us has ignored (`nohup`) is left alone.
    before = {each: signal.getsignal(each) for each in taken}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, note)
    try:
        yield asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _Shown:
    """How a training goes: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self, stream: TextIO, *, wanted: bool) -> None:
        self._wanted = wanted
        self._live = stream.isatty()
        self._line = Progress(stream, wanted=wanted)
        self._last = 0.0

    def say(self, text: str) -> None:
        """Tell what is done beside the steps."""
        if self._wanted:
            self._line.clear()
            say(text)

    def progress(self, at: TrainingProgress) -> None:
        """Tell how far it is, if that was not told just now."""
        now = time.monotonic()
        if now - self._last < (_LIVE if self._live else _LINES):
            return
        self._last = now
        measured = "" if math.isnan(at.norm) else f"loss {at.loss:.4g}, length {at.norm:.4g}, "
        text = f"{measured}{at.pace:,.0f} tokens/s, {_duration(at.left)} left"
        if self._live:
            self._line.show(at.step, at.steps, text)
        elif self._wanted:
            say(f"{at.step} of {at.steps} done: {text}")

    def clear(self) -> None:
        """Leave no half line behind."""
        self._line.clear()


def _summary(request: TrainingRequest, outcome: TrainingOutcome) -> str:
    folder, step = Folder(Path(request.out)), outcome.step
    name = titled(request.plan)
    match outcome.ending:
        case Ending.OVERFLOWED:
            return (
                f"{name}: the loss is no number after {step} steps\n"
                f"what it went through: {folder.traces}\n"
            )
        case Ending.DONE if math.isnan(outcome.loss):
            return f"{name} is done: its {step} steps were made before; give more with --steps\n"
        case Ending.DONE | Ending.TIME | Ending.STOPPED:
            pass
    more = "" if outcome.ending is Ending.DONE else "; --resume goes on"
    lengths = ", ".join(f"{norm:.4g}" for norm in outcome.norms) or "not measured"
    held_out = ", ".join(f"{loss:.4g}" for loss in outcome.held_out) or "not measured"
    return (
        f"{name}: {step} steps, loss {outcome.loss:.4g}, {outcome.pace:,.0f} tokens/s{more}\n"
        f"after every turn: length {lengths}; loss on held-out text {held_out}\n"
        f"checkpoint: {folder.checkpoint}\n"
    )


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, second = divmod(round(seconds), _MINUTE)
    hour, minute = divmod(minutes, _MINUTE)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
