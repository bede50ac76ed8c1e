"""Mistakes on the command line, and what it meets in the file system."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from io import BytesIO, RawIOBase, TextIOWrapper
from pathlib import Path
from types import SimpleNamespace

import pytest
from cases import Case, commands

from scaleaudit import cli
from scaleaudit.acceptance import Acceptance, Accepting, _read
from scaleaudit.console import write_atomically
from scaleaudit.report.reading import from_json
from scaleaudit.sources import find_requests
from scaleaudit.triage.baseline import from_text

_FILES = {"m.py": "", "notes.txt": "", "folder/x.py": "", "b.json": "{}"}
_LINES = {
    "no_command": "chekc m.py",
    "no_path": "check",
    "path_gone": "check gone.py",
    "name_too_long": f"config {'x' * 300}",
    "path_no_python": "check notes.txt",
    "folder_with_a_target": "check folder::M",
    "quiet_and_verbose": "check m.py --quiet --verbose",
    "statistics": "check m.py --statistics --format sarif",
    "format": "check m.py --format yaml",
    "output": "check m.py --output report.json",
    "output_to_stdout": "check m.py --output json:-",
    "output_over_an_audited_file": "check m.py --output json:m.py",
    "output_over_a_source": "check folder --output json:folder/x.py",
    "output_over_a_baseline": "check m.py --baseline b.json --output json:b.json",
    "output_twice": "check m.py --output json:o --output sarif:o",
    "output_into_no_folder": "check m.py --output json:gone/o.json",
    "output_onto_a_folder": "check m.py --output json:folder",
    "stdin_filename_alone": "check m.py --stdin-filename x.py",
    "stdin_and_more": "check - m.py",
    "stdin_no_source": "check - --stdin-filename x.pt2",
    "stdin_nowhere": "check - --stdin-filename gone/x.py",
    "two_ways_to_accept": "check m.py --add-ignores --write-baseline",
    "prune_nothing": "check m.py --prune-baseline",
    "two_baselines": "check m.py --baseline b.json --write-baseline=c.json",
    "reason_alone": "check m.py --reason because",
    "add_ignores_to_stdin": "check - --add-ignores",
    "cache_of_others": "clean --cache-dir folder",
    "completion": "completion csh",
}
_BASELINES = {
    "no_json": b"{\n\n]",
    "no_text": b"\xff",
    "other": b"{}",
    "newer": b'{"format": "scaleaudit-baseline", "version": 99}',
    "no_findings": b'{"format": "scaleaudit-baseline", "version": 1}',
    "no_object": b'{"format": "scaleaudit-baseline", "version": 1, "findings": [3]}',
    "no_field": b'{"format": "scaleaudit-baseline", "version": 1, "findings": [{}]}',
}
_ENTRY = (
    '{{"format": "scaleaudit-baseline", "version": 1, "findings": [{{"path": "m.py", "target": "M", '
    '"code": "{code}", "fingerprint": "f", "subject": "s", "message": "m", "count": {count}}}]}}'
)


def _with_stdin(*arguments: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"")))
        return _ended(*arguments)


def _ended(*arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return f"$ scaleaudit {' '.join(arguments)}\nexit {ended.value.code}\n"


def _pipe() -> None:
    os.mkfifo("pipe.py")
    find_requests(["pipe.py"])


def _unwritable() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        return _ended("check", "m.py", "--output", "json:o.json")


def _changed_meanwhile() -> None:
    """Somebody else writes to a file between its reading and its rewriting."""
    with pytest.MonkeyPatch.context() as patch:
        done = SimpleNamespace(files={"m.py": b"new"}, left_out=(), accepted=())
        patch.setattr("scaleaudit.acceptance.annotate", lambda *_: done)
        read = SimpleNamespace(files={"m.py": SimpleNamespace(data=b"old")})
        Acceptance(Accepting(add_ignores=True))._annotate((), read)


def _unreadable(stdin: object) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", stdin)
        return _ended("check", "-")


class _Failing(RawIOBase):
    """A stream that can neither be read nor written."""

    def __init__(self) -> None:
        self._number = os.open(os.devnull, os.O_WRONLY)

    def fileno(self) -> int:
        return self._number

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def read(self, _: int = -1) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _full_disk() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", TextIOWrapper(_Failing(), write_through=True))
        return _ended("--help")


def _without_working_directory() -> str:
    def gone() -> str:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getcwd", gone)
        return _ended("config")


def _bug() -> str:
    def broken(*_: object) -> None:
        raise RuntimeError("inner workings")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(Path.cwd()))  # where the traceback is kept
        patch.setattr("scaleaudit.rules.loader.load_rules", broken)
        return _ended("rules")


def _stopped() -> str:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scaleaudit.rules.loader.load_rules", interrupted)
        return _ended("rules")


def cases() -> Iterator[Case]:
    """Return every case."""
    yield from commands({k: v for k, v in _LINES.items() if "check -" not in v}, _FILES)
    for name, line in _LINES.items():
        if "check -" in line:
            yield Case(name, partial(_with_stdin, *line.split(" ")), _FILES)
    yield Case("output_not_permitted", _unwritable, _FILES)
    yield Case("stdin_closed", partial(_unreadable, None))
    yield Case("stdin_fails", partial(_unreadable, SimpleNamespace(buffer=_Failing())))
    yield Case("output_full", _full_disk)
    yield Case("no_working_directory", _without_working_directory)
    yield Case("a_bug", _bug)
    yield Case("stopped", _stopped)
    yield Case("file_in_the_way", partial(write_atomically, Path("folder"), "x"), _FILES)
    yield Case(
        "name_no_text",
        partial(find_requests, [os.fsdecode(b"b\xff.py")]),
        {os.fsdecode(b"b\xff.py"): ""},
    )
    yield Case("path_no_file", _pipe)
    for name, data in _BASELINES.items():
        yield Case(f"baseline_{name}", partial(from_text, data, "b.json"))
    for name, code, count in (("count", "SCL101", "0"), ("code", "SCL901", "1")):
        data = _ENTRY.format(code=code, count=count).encode()
        yield Case(f"baseline_{name}", partial(from_text, data, "b.json"))
    yield Case("baseline_gone", partial(_read, Path("gone.json"), new=False))
    yield Case("baseline_that_is_a_folder", partial(_read, Path("folder"), new=False), _FILES)
    yield Case("files_changed_meanwhile", _changed_meanwhile, {"m.py": "other"})
    yield Case("report_no_json", partial(from_json, "{", "r.json"))
    yield Case("report_of_another_version", partial(from_json, '{"schema_version": 99}', "r.json"))
    yield Case("reason_no_line", ("check", "m.py", "--add-ignores", "--reason", "a\nb"), _FILES)
