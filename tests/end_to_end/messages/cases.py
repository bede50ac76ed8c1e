"""What a case of an error is, and how it is provoked and told."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

from scaleaudit import cli
from scaleaudit.console import complain
from scaleaudit.errors import ScaleAuditError

_LOG = re.compile(r"\S+/scaleaudit-\w+\.log")


@dataclass(frozen=True)
class Case:
    """A way to an error.

    Attributes:
        provoke: Does what is wrong, in a folder of its own; the arguments of a command line, or
            a function that raises an error or returns what it made of one.
        files: What the folder holds, by name.
    """

    name: str
    provoke: tuple[str, ...] | Callable[[], object]
    files: Mapping[str, str | bytes] = field(default_factory=dict)

    def prepare(self, folder: Path) -> None:
        """Write the files."""
        for name, text in self.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def told(self, capsys: pytest.CaptureFixture[str]) -> str:
        """Provoke the error in the working directory, and return what the user reads."""
        said = self._run_command(capsys) if isinstance(self.provoke, tuple) else self._call(capsys)
        here = os.fspath(Path.cwd())
        return _LOG.sub("<log>", said).replace(f"{here}/", "").replace(here, "<folder>")

    def _run_command(self, capsys: pytest.CaptureFixture[str]) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main(self.provoke)
        out, err = capsys.readouterr()
        return (
            f"$ scaleaudit {' '.join(map(repr, self.provoke))}\n{out}{err}exit {ended.value.code}\n"
        )

    def _call(self, capsys: pytest.CaptureFixture[str]) -> str:
        try:
            made = self.provoke()
        except ScaleAuditError as error:
            complain(error)
            made = ""
        except click.ClickException as error:
            error.show()
            made = ""
        out, err = capsys.readouterr()
        return f"{made or ''}{out}{err}"


def commands(table: Mapping[str, str], files: Mapping[str, str | bytes]) -> Iterator[Case]:
    """Make cases of command lines, each under what it is about."""
    for name, line in table.items():
        yield Case(name, tuple(line.split(" ")), files)
