"""What a baseline knows fails no run; what is new does, and what is gone is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from triage_support import CODES, FILE, MODEL, finding, run, source, target

from scaleaudit.domain.finding import SuppressionKind
from scaleaudit.domain.report import TargetReport, Verdict
from scaleaudit.errors import ConfigError
from scaleaudit.triage.baseline import Baseline, Entry, from_text, gathered, to_text
from scaleaudit.triage.suppressing import Codes
from scaleaudit.triage.triaging import Ledger, Renewal, Triaged, sift_baseline

ENTRY = Entry(FILE, "Model", "SCL101", "f0-s0", "state `h` of loop `Model.forward`", "it grows")
OLD = finding(8, fingerprint="f0-s0")


def sifted(
    known: Baseline | tuple[Entry, ...],
    *targets: TargetReport,
    renewal: Renewal = Renewal.KEEP,
    files: tuple[str, ...] = (FILE,),
    **changes: Any,
) -> Triaged:
    baseline = known if isinstance(known, Baseline) else gathered(known)
    ledger = Ledger(baseline, str, lambda path: path in files, renewal)
    return sift_baseline(targets, run(source(MODEL), **changes), ledger)


def new(triaged: Triaged) -> list[str]:
    return [found.fingerprint for each in triaged.targets for found in each.findings]


def stale(triaged: Triaged) -> list[str]:
    return [entry.fingerprint for entry in triaged.stale]


def test_a_known_finding_is_suppressed_and_fails_nothing() -> None:
    triaged = sifted((ENTRY,), target(OLD))
    (report,) = triaged.targets
    assert report.findings == ()
    assert report.verdict is Verdict.PASS
    assert [(s.kind, s.finding) for s in report.suppressed] == [(SuppressionKind.BASELINE, OLD)]
    assert stale(triaged) == []


def test_a_target_that_is_undecided_stays_so() -> None:
    undecided = replace(target(OLD), undecided=("not known",))
    assert sifted((ENTRY,), undecided).targets[0].verdict is Verdict.UNKNOWN


def test_a_new_finding_is_left_beside_a_known_one() -> None:
    triaged = sifted((ENTRY,), target(OLD, finding(9, fingerprint="f1-s1")))
    assert new(triaged) == ["f1-s1"]
    assert triaged.targets[0].verdict is Verdict.FAIL


def test_of_two_equal_findings_one_is_new_where_one_is_known() -> None:
    again = finding(9, fingerprint="f0-s0.2")
    assert new(sifted((ENTRY,), target(OLD, again))) == ["f0-s0.2"]
    assert new(sifted((replace(ENTRY, count=2),), target(OLD, again))) == []
    fewer = sifted((replace(ENTRY, count=2),), target(OLD))
    assert stale(fewer) == ["f0-s0"]


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "f9-s0"},
        {"code": "SCL102"},
        {"fingerprint": "f0-s9", "subject": "state `g` of loop `Model.forward`"},
    ],
)
def test_another_fault_rule_or_state_is_new(change: dict[str, Any]) -> None:
    triaged = sifted((ENTRY,), target(replace(OLD, **change)))
    assert len(new(triaged)) == 1
    assert stale(triaged) == ["f0-s0"]


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "f0-s9"},  # the statement was edited
        {"subject": "state `x` of loop `Renamed.forward`"},
        {"message": "said in other words", "location": None},
    ],
)
def test_an_edit_of_the_statement_or_a_new_name_leaves_a_finding_known(
    change: dict[str, Any],
) -> None:
    triaged = sifted((ENTRY,), target(replace(OLD, **change)))
    assert (new(triaged), stale(triaged)) == ([], [])


def test_a_renamed_target_is_recognised() -> None:
    triaged = sifted((ENTRY,), target(OLD, name="Other"))
    assert (new(triaged), stale(triaged)) == ([], [])


def test_a_second_target_of_a_file_is_not_taken_for_a_renamed_one() -> None:
    triaged = sifted((ENTRY,), target(OLD), target(OLD, name="Copy"))
    assert new(triaged) == ["f0-s0"]
    assert triaged.targets[1].verdict is Verdict.FAIL


def test_a_moved_file_is_recognised_and_a_copied_one_is_not() -> None:
    moved = target(OLD, path="models/model.py")
    assert new(sifted((ENTRY,), moved, files=("models/model.py",))) == []
    assert new(sifted((ENTRY,), moved, files=(FILE, "models/model.py"))) == ["f0-s0"]


def test_a_file_that_went_where_two_now_are_is_not_guessed_at() -> None:
    two = (target(OLD, path="a.py"), target(OLD, path="b.py"))
    triaged = sifted((ENTRY,), *two, files=("a.py", "b.py"))
    assert len(new(triaged)) == 2
    assert stale(triaged) == ["f0-s0"]


def test_a_moved_file_is_recognised_beside_a_copy_that_resembles_it() -> None:
    moved = target(OLD, path="models/moved.py")
    copies = [
        target(replace(OLD, **changes), path="copy.py")
        for changes in ({"fingerprint": "f0-s1"}, {"subject": "state `g` of loop `Other.forward`"})
    ]
    files = ("models/moved.py", "copy.py")
    for copy in copies:
        for targets in ((moved, copy), (copy, moved)):
            triaged = sifted((ENTRY,), *targets, files=files)
            assert [each.path for each in triaged.targets if each.findings] == ["copy.py"]
    triaged = sifted((ENTRY,), *copies, files=files)
    assert len(new(triaged)) == 2


def test_entries_are_stale_only_where_the_run_could_have_found_them() -> None:
    other_file = replace(ENTRY, path="other.py")
    other_target = replace(ENTRY, target="Gone")
    other_rule = replace(ENTRY, code="SCL204")
    entries = (ENTRY, other_file, other_target, other_rule)
    codes = Codes(CODES, lambda _path, code: code != "SCL204")
    there = {"files": (FILE, "other.py"), "codes": codes}
    told = sifted(entries, target(), **there).stale
    assert [(entry.path, entry.target, entry.code) for entry in told] == [
        (FILE, "Gone", "SCL101"),
        (FILE, "Model", "SCL101"),
    ]
    part = sifted(entries, target(), whole=frozenset(), **there).stale
    assert [entry.target for entry in part] == ["Model"]


def test_entries_of_a_target_that_was_not_audited_are_kept() -> None:
    failed = replace(target(finding(1, "SCL901", fingerprint="f7")), facts=None)
    triaged = sifted((ENTRY,), failed, renewal=Renewal.WRITE)
    assert stale(triaged) == []
    assert triaged.baseline.entries == (ENTRY,)
    assert new(triaged) == ["f7"]


def test_entries_of_a_file_that_is_gone_are_stale() -> None:
    assert stale(sifted((replace(ENTRY, path="gone.py"),), target())) == ["f0-s0"]


@pytest.mark.parametrize("code", ["SCL901", "SCL904"])
def test_what_cannot_be_accepted_enters_no_baseline(code: str) -> None:
    triaged = sifted((), target(finding(3, code), OLD), renewal=Renewal.WRITE)
    assert [found.code for found in triaged.targets[0].findings] == [code]
    assert [entry.code for entry in triaged.baseline.entries] == ["SCL101"]


def test_writing_replaces_the_entries_of_audited_files_alone() -> None:
    other = replace(ENTRY, path="other.py")
    old = replace(ENTRY, fingerprint="f5-s5")
    triaged = sifted((other, old), target(OLD), renewal=Renewal.WRITE, files=(FILE, "other.py"))
    assert [(e.path, e.fingerprint) for e in triaged.baseline.entries] == [
        (FILE, "f0-s0"),
        ("other.py", "f5-s5" if other.fingerprint == "f5-s5" else "f0-s0"),
    ]
    assert new(triaged) == []
    assert triaged.targets[0].verdict is Verdict.PASS


def test_pruning_keeps_what_is_known_drops_what_is_stale_and_adds_nothing() -> None:
    entries = (ENTRY, replace(ENTRY, fingerprint="f5-s5"), replace(ENTRY, path="other.py"))
    fresh = finding(9, fingerprint="f1-s1", subject="another")
    there = (FILE, "other.py")
    triaged = sifted(entries, target(OLD, fresh), renewal=Renewal.PRUNE, files=there)
    assert new(triaged) == ["f1-s1"]
    assert [(e.path, e.fingerprint) for e in triaged.baseline.entries] == [
        (FILE, "f0-s0"),
        ("other.py", "f0-s0"),
    ]


def test_pruning_writes_the_names_of_today() -> None:
    triaged = sifted((ENTRY,), target(OLD, name="Other"), renewal=Renewal.PRUNE)
    assert [entry.target for entry in triaged.baseline.entries] == ["Other"]


# The file


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
entries = st.builds(
    Entry,
    texts,
    texts,
    st.sampled_from(("SCL101", "ACME1")),
    texts,
    texts,
    texts,
    st.integers(1, 3),
)


@given(st.lists(entries, max_size=6))
def test_a_baseline_reads_as_it_was_written(many: list[Entry]) -> None:
    baseline = gathered(many)
    assert from_text(to_text(baseline).encode(), "b.json") == baseline
    assert sum(entry.count for entry in baseline.entries) == sum(entry.count for entry in many)
    assert to_text(gathered(reversed(baseline.entries))) == to_text(baseline)


def test_entries_that_two_branches_added_are_counted_together() -> None:
    assert gathered((ENTRY, ENTRY)).entries == (replace(ENTRY, count=2),)


GOOD = to_text(gathered((ENTRY,)))


@pytest.mark.parametrize(
    ("damage", "message", "where"),
    [
        (lambda text: text[:-20], "no valid JSON", "b.json:11"),
        (lambda text: "<<<<<<< ours\n" + text, "no valid JSON", "b.json:1"),
        (lambda _: "", "no valid JSON", "b.json:1"),
        (lambda _: "[]", "is no baseline of scaleaudit", "b.json"),
        (lambda _: '{"name": "package"}', "is no baseline of scaleaudit", "b.json"),
        (lambda text: text.replace(": 1,", ": 2,"), "written by a newer scaleaudit", "b.json"),
        (lambda text: text.replace(": 1,", ": null,"), "is damaged: no version", "b.json"),
        (lambda text: text.replace('"f0-s0"', "7"), "fingerprint is no text", "b.json"),
        (lambda text: text.replace('"message"', '"words"'), "message is no text", "b.json"),
        (lambda text: text.replace("SCL101", "SCL901"), "SCL901, which cannot be", "b.json"),
        (
            lambda text: text.replace('"it grows"', '"it grows", "count": 0'),
            "findings[0] is damaged: count",
            "b.json",
        ),
    ],
)
def test_a_baseline_that_cannot_be_read_is_refused_with_where_and_what_to_do(
    damage: Callable[[str], str], message: str, where: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        from_text(damage(GOOD).encode(), "b.json")
    assert message in caught.value.message
    assert caught.value.where == where
    assert caught.value.hint


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigError, match="no valid JSON"):
        from_text(b"\xff\xfe{}", "b.json")
