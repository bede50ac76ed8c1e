"""What the command line does to the world: colours, progress, files, complaints."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import traceback
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from scaleaudit.errors import ConfigError, ScaleAuditError
from scaleaudit.files import replacing

_CLEAR_LINE = "\r\x1b[K"


def wants_colour(stream: TextIO) -> bool:
    """Tell whether to use colours: NO_COLOR forbids, FORCE_COLOR demands, else on a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def open_closed_streams() -> None:
    """Let what is told to a closed stream go nowhere, and its number to no file opened later.

    That there is no standard input is for those to tell who want to read it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # for the whole run
            setattr(sys, name, stream)


def forgive_characters() -> None:
    """Let a stream of a narrow encoding show an escape for what it cannot show, not fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Progress:
    """One line on stderr that follows the work, where stderr is a terminal that can rewrite it."""

    def __init__(self, stream: TextIO, *, wanted: bool = True) -> None:
        self._stream = stream
        self._live = wanted and stream.isatty() and os.environ.get("TERM") != "dumb"

    def show(self, done: int, total: int, last: str) -> None:
        """Say how far the work has come."""
        if self._live:
            safe = "".join(char if char.isprintable() else "?" for char in last)
            room = shutil.get_terminal_size().columns - 1
            text = f"{done} of {total} done: {safe}"[:room]
            self._stream.write(f"{_CLEAR_LINE}{text}")
            self._stream.flush()

    def clear(self) -> None:
        """Leave nothing behind."""
        if self._live:
            self._stream.write(_CLEAR_LINE)
            self._stream.flush()


def write_atomically(file: Path, text: str | bytes) -> None:
    """Write a file so that a reader sees the old text or the new one, never a half.

    What a link leads to is written, not the link; a pipe or a device is written as it comes. What
    is no UTF-8, as a path may be, is escaped.

    Raises:
        ConfigError: The file cannot be written.
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            file.write_bytes(data)
        else:
            with replacing(file.resolve()) as temporary:
                temporary.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}") from error


def complain(error: ScaleAuditError) -> None:
    """Tell the user on stderr what is wrong, where, and what to do."""
    where = f"{error.where}: " if error.where else ""
    say(f"error: {where}{error.message}")
    first, *more = error.hint.split("\n")
    if first:
        say(f"  hint: {first}")
    for line in more:
        say(f"  {line}".rstrip())


def confess() -> None:
    """Tell the user that the fault is ours, and where the traceback of it was written."""
    error, told = sys.exc_info()[1], traceback.format_exc()
    say(f"error: this is a bug of scaleaudit ({type(error).__name__})")
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="scaleaudit-", suffix=".log", delete=False, encoding="utf-8"
        ) as log:
            log.write(told)
    except OSError as full:
        say(f"  hint: Please report it; what happened could not be kept: {full.strerror}.")
    else:
        say(f"  hint: Please report it with {log.name}.")


def say(text: str) -> None:
    """Write a line to stderr, with nothing in it that could command the terminal."""
    with suppress(OSError):  # there is no other place to say that it cannot be written to
        sys.stderr.write("".join(c if c.isprintable() else repr(c)[1:-1] for c in text) + "\n")
