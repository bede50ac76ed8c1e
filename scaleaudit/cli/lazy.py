"""A group of commands, each in a module that is imported when the command is named.

Nothing heavy is imported before a command runs, and torch never is: `--help` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

# Where a context keeps the words of the command line.
TYPED = "scaleaudit.typed"


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is not loaded yet.

    Attributes:
        command: Where it is, as "module:name".
        summary: The line that `--help` shows, so that it needs not load the command.
    """

    command: str
    summary: str


class LazyGroup(click.Group):
    """A group that loads a command when it is asked for by name."""

    def __init__(self, *args: object, entries: Mapping[str, Entry], **settings: object) -> None:
        super().__init__(*args, **settings)  # type: ignore[arg-type]  # click's own
        self.entries = entries

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401  # as click has it
    ) -> click.Context:
        """Keep what was typed, for reports to tell how they were made."""
        typed = (info_name or "", *args)
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[TYPED] = typed
        return context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, loaded or not."""
        return sorted({*self.entries, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, and load it first where it is not."""
        entry = self.entries.get(cmd_name)
        return super().get_command(ctx, cmd_name) if entry is None else load(entry)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002  # as click calls it
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands from the table, in its order."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])


def load(entry: Entry) -> click.Command:
    """Import the command of an entry."""
    module, _, name = entry.command.partition(":")
    command = getattr(import_module(module), name)
    assert isinstance(command, click.Command)
    return command
