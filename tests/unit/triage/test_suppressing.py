"""Comments accept what stands on their line, and say so where they accept nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from triage_support import (
    CLASS,
    CODES,
    DEF,
    FILE,
    LOOP,
    MODEL,
    READOUT,
    STATE,
    finding,
    run,
    source,
    target,
    with_comment,
)

from scaleaudit.domain.finding import SuppressionKind
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import TargetReport, Verdict
from scaleaudit.triage.sources import SourceFile
from scaleaudit.triage.suppressing import Codes
from scaleaudit.triage.triaging import sift_comments

BLIND = finding(STATE, anchors=(Location(FILE, LOOP), Location(FILE, READOUT)))


def sifted(file: SourceFile, *findings: object) -> TargetReport:
    (found,) = sift_comments((target(*findings or (BLIND,)),), run(file))  # type: ignore[arg-type]
    return found


def told(report: TargetReport) -> list[str]:
    return [f.message for f in report.findings if f.code == "SCL905"]


@pytest.mark.parametrize("line", [STATE, STATE + 1, STATE + 2, LOOP, READOUT, DEF, CLASS])
def test_a_comment_accepts_on_the_lines_of_the_statement_the_loop_the_readout_and_the_class(
    line: int,
) -> None:
    report = sifted(with_comment(line, "# scaleaudit: ignore[SCL101] known since May"))
    assert report.findings == ()
    (accepted,) = report.suppressed
    assert (accepted.kind, accepted.reason) == (SuppressionKind.COMMENT, "known since May")
    assert accepted.location is not None
    assert accepted.location.line == line
    assert report.verdict is Verdict.PASS


@pytest.mark.parametrize("line", [1, 6])
def test_a_comment_on_another_line_accepts_nothing_and_is_told(line: int) -> None:
    report = sifted(with_comment(line, "# scaleaudit: ignore[SCL101]"))
    assert [f.code for f in report.findings] == ["SCL101", "SCL905"]
    assert report.verdict is Verdict.FAIL
    assert told(report) == ["unused: accepts SCL101, and there is no such finding here"]
    assert report.findings[1].location is not None
    assert report.findings[1].location.line == line


@pytest.mark.parametrize(
    "comment",
    [
        "# scaleaudit: ignore[SCL101]",
        "#scaleaudit:ignore[SCL101]",
        "# scaleaudit: ignore[scl101]",
        "# scaleaudit: ignore[SCL102, SCL101] two",
        "# noqa: E501  # scaleaudit: ignore[SCL101] long  # type: ignore[x]",
        "# scaleaudit: ignore[SCL102]  # scaleaudit: ignore[SCL101]",
    ],
)
def test_a_comment_may_be_written_in_many_ways(comment: str) -> None:
    report = sifted(with_comment(STATE, comment))
    assert [each.finding.code for each in report.suppressed] == ["SCL101"]


def test_the_reason_ends_where_another_comment_begins() -> None:
    text = "# scaleaudit: ignore[SCL101] see #12 of ours  # noqa: E501"
    assert sifted(with_comment(STATE, text)).suppressed[0].reason == "see #12 of ours"


@pytest.mark.parametrize(
    "statement",
    ['h = h + f("# scaleaudit: ignore[SCL101]")', 'h = h + """\n# scaleaudit: ignore[SCL101]"""'],
)
def test_text_in_a_string_is_no_comment(statement: str) -> None:
    file = source(f"def f(h):\n    {statement}\n")
    assert [f.code for f in sifted(file, finding(2)).findings] == ["SCL101"]


@pytest.mark.parametrize(
    "comment",
    ["# scaleaudit: ignored[SCL101]", "# scaleaudit: ignore-file", "# scaleaudit is fine"],
)
def test_other_comments_are_none_of_ours(comment: str) -> None:
    assert told(sifted(with_comment(STATE, comment))) == []


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# scaleaudit: ignore", "no code: names no rule"),
        ("# scaleaudit: ignore[] all", "no code: names no rule"),
        ("# scaleaudit: ignore[SCL101", "no code: names no rule"),
        ("# scaleaudit: ignore[SCL110]", "unknown code: names SCL110, and there is no such rule"),
        ("# scaleaudit: ignore[SCL901]", "not suppressible: names SCL901, which cannot be"),
    ],
)
def test_a_comment_that_no_run_could_make_anything_of_is_told(comment: str, message: str) -> None:
    report = sifted(with_comment(STATE, comment))
    (said,) = told(report)
    assert said.startswith(message)
    assert "SCL101" in [f.code for f in report.findings]


@pytest.mark.parametrize("prefix", ["SCL1", "SCL"])
def test_a_prefix_is_told_to_be_none_of_a_code(prefix: str) -> None:
    (said,) = told(sifted(with_comment(STATE, f"# scaleaudit: ignore[{prefix}] why")))
    assert said.endswith("no such rule (a comment names whole codes, not the start of several)")


def test_the_nearest_code_is_named() -> None:
    (said,) = told(sifted(with_comment(STATE, "# scaleaudit: ignore[SLC101]")))
    assert said.endswith("did you mean 'SCL101'?")


@pytest.mark.parametrize("code", ["SCL901", "SCL904"])
def test_what_cannot_be_accepted_is_not(code: str) -> None:
    report = sifted(with_comment(STATE, f"# scaleaudit: ignore[{code}]"), finding(STATE, code))
    assert code in [f.code for f in report.findings]
    assert report.suppressed == ()


def test_a_comment_is_not_told_for_a_rule_that_was_not_asked() -> None:
    file = with_comment(STATE, "# scaleaudit: ignore[SCL204]")
    codes = Codes(CODES, lambda path, code: (path, code) != (FILE, "SCL204"))
    (report,) = sift_comments((target(BLIND),), run(file, codes=codes))
    assert told(report) == []


def test_comments_are_not_told_of_a_file_that_was_audited_in_part_or_not_at_all() -> None:
    file = with_comment(STATE, "# scaleaudit: ignore[SCL204]")
    (part,) = sift_comments((target(),), run(file, whole=frozenset()))
    failed = replace(target(name="Other"), facts=None)
    reports = sift_comments((target(), failed), run(file))
    assert [told(each) for each in (part, *reports)] == [[], [], []]


def test_a_comment_that_serves_one_target_of_a_file_is_in_use() -> None:
    file = with_comment(STATE, "# scaleaudit: ignore[SCL101]")
    reports = sift_comments((target(name="A"), target(BLIND, name="B")), run(file))
    assert [told(each) for each in reports] == [[], []]
    assert [len(each.suppressed) for each in reports] == [0, 1]


def test_an_idle_comment_is_told_once_whatever_the_number_of_targets() -> None:
    file = with_comment(STATE, "# scaleaudit: ignore[SCL204]")
    reports = sift_comments((target(name="A"), target(name="B")), run(file))
    assert [len(told(each)) for each in reports] == [1, 0]
    assert [each.verdict for each in reports] == [Verdict.WARN, Verdict.PASS]


def test_a_comment_in_an_imported_file_accepts_and_is_never_called_idle() -> None:
    blocks = SourceFile("blocks.py", with_comment(STATE, "# scaleaudit: ignore[SCL101]").data)
    found = finding(STATE, location=Location("blocks.py", STATE))
    (report,) = sift_comments((target(found),), run(source(""), blocks, whole=frozenset({FILE})))
    assert len(report.suppressed) == 1
    (idle,) = sift_comments((target(),), run(source(""), blocks, whole=frozenset({FILE})))
    assert told(idle) == []


def test_no_comment_accepts_the_report_of_itself() -> None:
    report = sifted(with_comment(STATE, "# scaleaudit: ignore[SCL101, SCL204, SCL905]"))
    assert [message.partition(",")[0] for message in told(report)] == [
        "unused: accepts SCL204",
        "unused: accepts SCL905",
    ]


def test_a_comment_on_the_class_accepts_reports_of_comments_inside() -> None:
    lines = with_comment(STATE, "# scaleaudit: ignore[SCL204]").text.splitlines()
    lines[CLASS - 1] += "  # scaleaudit: ignore[SCL905] old ones stay"
    report = sifted(source("\n".join(lines)), finding(READOUT, "SCL102"))
    assert told(report) == []
    assert [each.finding.code for each in report.suppressed] == ["SCL905"]


def test_the_nearest_of_two_comments_is_the_one_in_use() -> None:
    lines = with_comment(STATE, "# scaleaudit: ignore[SCL101] near").text.splitlines()
    lines[CLASS - 1] += "  # scaleaudit: ignore[SCL101] far"
    report = sifted(source("\n".join(lines)))
    assert [each.reason for each in report.suppressed] == ["near"]
    assert len(told(report)) == 1


def test_a_decorator_belongs_to_what_it_decorates() -> None:
    file = source("""\
        @decorated  # scaleaudit: ignore[SCL101]
        class Model:
            def forward(self, h):
                return h + self.f(h)
        """)
    assert sifted(file, finding(4)).findings == ()


def test_line_one_stands_for_the_file_and_its_first_statement() -> None:
    file = source('# ours\n"""A model.\n\nMore."""  # scaleaudit: ignore[SCL903] for inference\n')
    assert sifted(file, finding(1, "SCL903")).findings == ()


@pytest.mark.parametrize("data", [b"def f(:\n", b"\xff\xfe", b"x = (\n", b"# coding: nonsense\n"])
def test_a_file_that_is_no_python_is_left_alone(data: bytes) -> None:
    text = data + b"# scaleaudit: ignore[SCL101]\n"
    assert len(sifted(SourceFile(FILE, text), finding(1)).findings) == 1


def test_findings_are_still_the_gravest_first() -> None:
    file = with_comment(STATE, "# scaleaudit: ignore[SCL204]")
    note = replace(finding(1, "SCL903"), severity=type(BLIND.severity)("note"))
    report = sifted(file, BLIND, note)
    assert [f.code for f in report.findings] == ["SCL101", "SCL905", "SCL903"]


def test_the_model_of_these_tests_stands_as_they_count_it() -> None:
    lines = source(MODEL).text.splitlines()
    assert "class" in lines[CLASS - 1]
    assert "for " in lines[LOOP - 1]
    assert "h = h +" in lines[STATE - 1]
    assert "return" in lines[READOUT - 1]
