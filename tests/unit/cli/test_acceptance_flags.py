"""Flags that accept what is found: what they mean together, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaleaudit.cli.accepting import AcceptanceFlags, how_to_go_by, read_acceptance, with_path
from scaleaudit.config import Settings
from scaleaudit.errors import ConfigError
from scaleaudit.triage.triaging import Renewal


def flags(**given: object) -> AcceptanceFlags:
    return AcceptanceFlags(
        **{  # type: ignore[typeddict-item]
            "write_baseline": None,
            "prune_baseline": False,
            "add_ignores": False,
            "reason": None,
            **given,
        }
    )


def read(baseline: str | None = None, **given: object) -> tuple[Path | None, Renewal, str]:
    known = {"baseline": Path(baseline)} if baseline else {}
    settings, accepting = read_acceptance(
        Settings(known, isolated=True), flags(**given), lambda _: None
    )
    return settings.for_run().baseline, accepting.renewal, accepting.reason


def test_what_write_baseline_is_followed_by_is_a_path_to_audit_unless_it_is_json() -> None:
    assert with_path(("b",), flags(write_baseline="src")) == ("src", "b")
    assert with_path(("b",), flags(write_baseline="known.json")) == ("b",)
    assert with_path(("b",), flags(write_baseline="")) == ("b",)
    assert with_path(("b",), flags()) == ("b",)


@pytest.mark.parametrize(
    ("baseline", "given", "file"),
    [
        (None, "", ".scaleaudit-baseline.json"),
        (None, "src", ".scaleaudit-baseline.json"),
        (None, "known.json", "known.json"),
        ("known.json", "", "known.json"),
        ("known.json", "src", "known.json"),
        ("known.json", "./known.json", "known.json"),
    ],
)
def test_the_baseline_is_written_where_it_is_named(
    baseline: str | None, given: str, file: str
) -> None:
    known, renewal, _ = read(baseline, write_baseline=given)
    assert known == Path(file)
    assert renewal is Renewal.WRITE


def test_without_these_flags_nothing_is_written() -> None:
    assert read("known.json")[:2] == (Path("known.json"), Renewal.KEEP)
    assert read()[:2] == (None, Renewal.KEEP)
    assert read("known.json", prune_baseline=True)[1] is Renewal.PRUNE
    assert read(add_ignores=True, reason=" old #12 ")[2] == "old #12"


@pytest.mark.parametrize(
    ("baseline", "given", "message"),
    [
        (None, {"prune_baseline": True}, "needs a baseline"),
        ("a.json", {"write_baseline": "b.json"}, "--baseline names a.json"),
        ("a.json", {"write_baseline": "", "prune_baseline": True}, "cannot be done at once"),
        (None, {"write_baseline": "", "add_ignores": True}, "cannot be done at once"),
        (None, {"reason": "x"}, "--reason is for the comments"),
        (None, {"add_ignores": True, "reason": "a\nb"}, "one line of text"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(
    baseline: str | None, given: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read(baseline, **given)


@pytest.mark.parametrize(
    ("baseline", "given", "told"),
    [
        (None, "", "with --baseline .scaleaudit-baseline.json, or with the key"),
        (None, "b.json", "with --baseline b.json, or with the key"),
        ("a.json", "b.json", "with --baseline b.json, or with the key"),
        ("b.json", "./b.json", ""),
        ("b.json", "src", ""),
        ("b.json", None, ""),
        (None, None, ""),
    ],
)
def test_it_is_said_how_later_runs_go_by_what_was_written(
    baseline: str | None, given: str | None, told: str
) -> None:
    known = {"baseline": Path(baseline)} if baseline else {}
    said = how_to_go_by(Settings(known, isolated=True), flags(write_baseline=given))
    assert told in said
    assert bool(told) == bool(said)
