"""How the command line behaves: colours, how much it says, and how wide its lines are."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from typing import Any, TextIO

import click

from scaleaudit.console import wants_colour

_COLOUR = "scaleaudit.colour"


def _remember(context: click.Context, _: click.Parameter, value: str) -> str:
    context.find_root().meta[_COLOUR] = value
    return value


def colour_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flag that overrides what the environment says of colours."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        expose_value=False,
        callback=_remember,
        help="Whether to use colours.",
    )(command)


def use_colour(stream: TextIO) -> bool:
    """Tell whether to use colours on a stream: the flag decides, else the environment."""
    context = click.get_current_context(silent=True)
    chosen = context.find_root().meta.get(_COLOUR, "auto") if context else "auto"
    return chosen == "always" or (chosen == "auto" and wants_colour(stream))


def columns_of(stream: TextIO) -> int:
    """Return how wide the terminal of a stream is; 0 where it is none."""
    return shutil.get_terminal_size().columns if stream.isatty() else 0


def write_out(text: str) -> None:
    """Write to the standard output; a file or a pipe gets UTF-8, whatever the locale."""
    stream = sys.stdout
    buffer = getattr(stream, "buffer", None)
    if buffer is None or stream.isatty():
        stream.write(text)
    else:
        stream.flush()
        buffer.write(text.encode("utf-8", "backslashreplace").replace(b"\n", os.linesep.encode()))
    stream.flush()
