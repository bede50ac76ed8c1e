"""How a process ends that has met others, and one that has not."""

from __future__ import annotations

import io
import os
import sys

import pytest

from scaleaudit import group, ranks


class _Ended(BaseException):
    """Stands for the end of the process."""


def test_one_that_met_others_ends_at_once_with_all_that_it_wrote(monkeypatch):
    def end(code):
        raise _Ended(code)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(group, "_runs", {"training": 1})
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))
    sys.stdout.write("done")
    with pytest.raises(_Ended, match="130"):
        group.leave(130)
    assert written.getvalue() == b"done"


def test_one_that_was_alone_ends_as_every_process(monkeypatch):
    monkeypatch.setattr(group, "_runs", {})
    with pytest.raises(SystemExit, match="3"):
        group.leave(3)


def test_the_first_of_several_speaks_before_the_others_end(monkeypatch):
    slept = []
    monkeypatch.setattr(ranks.time, "sleep", slept.append)
    ranks.let_the_first_speak()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    monkeypatch.setenv("RANK", "0")
    ranks.let_the_first_speak()
    assert slept == []
    monkeypatch.setenv("RANK", "1")
    ranks.let_the_first_speak()
    assert slept == [5.0]
