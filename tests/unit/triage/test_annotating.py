"""Comments are written where they may stand; the program stays what it was, and is accepted."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from triage_support import FILE, MODEL, STATE, finding, run, source, target

from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import TargetReport
from scaleaudit.triage.annotating import Annotated, annotate
from scaleaudit.triage.sources import SourceFile
from scaleaudit.triage.triaging import sift_comments


def annotated(file: SourceFile, *lines: int, reason: str = "known") -> Annotated:
    return written(file, target(*(finding(line) for line in lines)), reason=reason)


def written(file: SourceFile, *targets: TargetReport, reason: str = "known") -> Annotated:
    return annotate(targets, {FILE: file}, reason, lambda _target, _path: "")


def text_of(done: Annotated) -> str:
    assert done.left_out == []
    return done.files[FILE].decode()


def left(data: bytes, *lines: int) -> list[str]:
    """What a second run still finds."""
    (report,) = sift_comments(
        (target(*(finding(line) for line in lines)),), run(SourceFile(FILE, data))
    )
    return [found.message for found in report.findings]


def test_a_comment_goes_to_the_line_of_the_finding() -> None:
    line = text_of(annotated(source(MODEL), STATE)).splitlines()[STATE - 1]
    assert line.endswith("h = h + self.mlp(  # scaleaudit: ignore[SCL101] known")


def test_a_comment_joins_those_that_stand_there() -> None:
    file = source("def f(h):\n    return h  # type: ignore[x]\n")
    line = text_of(annotated(file, 2)).splitlines()[1]
    assert line == "    return h  # type: ignore[x]  # scaleaudit: ignore[SCL101] known"


def test_a_code_joins_the_comment_that_accepts_others_and_leaves_its_reason() -> None:
    file = source("def f(h):\n    return h  # scaleaudit: ignore[SCL204] old one  # noqa\n")
    line = text_of(annotated(file, 2)).splitlines()[1]
    assert line == "    return h  # scaleaudit: ignore[SCL204, SCL101] old one  # noqa"


def test_two_findings_of_a_line_share_a_comment() -> None:
    both = target(finding(STATE), finding(STATE, "SCL204"))
    line = text_of(written(source(MODEL), both)).splitlines()[STATE - 1]
    assert line.endswith("# scaleaudit: ignore[SCL101, SCL204] known")


def test_a_finding_of_two_targets_is_written_once() -> None:
    done = written(source(MODEL), target(finding(STATE)), target(finding(STATE), name="B"))
    assert text_of(done).count("scaleaudit") == 1
    assert len(done.accepted) == 2


def test_a_line_that_goes_on_behind_a_backslash_takes_it_at_its_end() -> None:
    file = source("def f(h):\n    return h + \\\n        g(h)\n")
    lines = text_of(annotated(file, 2)).splitlines()
    assert lines[1].endswith("\\")
    assert lines[2] == "        g(h)  # scaleaudit: ignore[SCL101] known"


def test_a_string_over_lines_takes_it_behind_its_end() -> None:
    file = source('def f(h):\n    return g(h, """a\n# b\n""") + h\n')
    assert text_of(annotated(file, 2)).splitlines()[3] == (
        '""") + h  # scaleaudit: ignore[SCL101] known'
    )


def test_the_first_line_of_a_script_stays_what_starts_it() -> None:
    file = source('#!/usr/bin/env python\n# ours\n"""A model."""\n')
    lines = text_of(annotated(file, 1)).splitlines()
    assert lines[0] == "#!/usr/bin/env python"
    assert lines[2] == '"""A model."""  # scaleaudit: ignore[SCL101] known'


def test_ends_of_lines_stay_what_they_were() -> None:
    data = source(MODEL).data.replace(b"\n", b"\r\n")
    done = annotated(SourceFile(FILE, data), STATE).files[FILE]
    assert done.count(b"\r\n") == data.count(b"\r\n")
    assert done.count(b"\n") == data.count(b"\n")
    assert left(done, STATE) == []


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_the_last_line_may_lack_an_end(ending: str) -> None:
    file = SourceFile(FILE, f"def f(h): return h{ending}".encode())
    assert text_of(annotated(file, 1)).endswith(f"known{ending}")


def test_the_encoding_that_a_file_declares_is_kept() -> None:
    data = "# coding: latin-1\nname = 'é'\nx = 1\n".encode("latin-1")
    done = annotated(SourceFile(FILE, data), 3, reason="schön").files[FILE]
    assert done.startswith(data.rstrip(b"\n"))
    assert "schön".encode("latin-1") in done
    marked = b"\xef\xbb\xbfx = 1\n"
    assert annotated(SourceFile(FILE, marked), 1).files[FILE].startswith(marked.rstrip(b"\n"))


def test_a_reason_that_the_encoding_cannot_write_is_told() -> None:
    file = SourceFile(FILE, b"# coding: latin-1\nx = 1\n")
    done = annotated(file, 2, reason="Ω")
    assert done.files == {}
    assert [each.why for each in done.left_out] == ["no comment can stand at its statement"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"def f(:\n", "its file cannot be read as Python"),
        (b"x = 1\ry = 2\n", "its file ends lines as old Macs did"),
    ],
)
def test_a_file_that_cannot_take_comments_is_left_as_it_is(data: bytes, why: str) -> None:
    done = annotated(SourceFile(FILE, data), 1)
    assert (done.files, [each.why for each in done.left_out]) == ({}, [why])


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("SCL901", "SCL901 cannot be accepted"),
        ("SCL905", "it is about a comment: correct or delete that"),
    ],
)
def test_findings_that_no_comment_accepts_are_told(code: str, why: str) -> None:
    done = written(source(MODEL), target(finding(STATE, code)))
    assert (done.files, [each.why for each in done.left_out]) == ({}, [why])


def test_a_file_that_is_not_ours_to_write_is_left_alone() -> None:
    done = annotate(
        (target(finding(STATE)),), {FILE: source(MODEL)}, "", lambda _target, path: f"{path} no"
    )
    assert (done.files, [each.why for each in done.left_out]) == ({}, ["model.py no"])


# Properties

pieces = st.sampled_from(
    (
        "h = h + g(h)",
        "h = h + \\\n    g(h)",
        "h = g(\n    h,  # inner\n\n    h,\n)",
        'h = """text\n  # scaleaudit: ignore[SCL101]\n"""',
        "h = f'{h}'  # scaleaudit: ignore[SCL204] why",
        "h = f'''{\nh}'''",
        "h = f'''{h=\n}'''",
        "if h: h = 1; g(h)",
        "# a comment",
        "",
        "\f",
        "h = 'é\\\nü'  # noqa",
        "h = lambda: (\n    1\n)",
    )
)


@settings(deadline=None)
@given(st.lists(pieces, min_size=1, max_size=6), st.data())
def test_what_is_written_leaves_the_program_alone_and_accepts_the_findings(
    parts: list[str], data: st.DataObject
) -> None:
    text = "h = 0\n" + "\n".join(parts) + "\n"
    try:
        before = ast.parse(text)
    except SyntaxError:  # f-strings over lines are newer than the oldest Python
        return
    ends = data.draw(st.sampled_from(("\n", "\r\n")))
    file = SourceFile(FILE, text.replace("\n", ends).encode())
    statements = [node.lineno for node in ast.walk(before) if isinstance(node, ast.stmt)]
    lines = data.draw(st.lists(st.sampled_from(statements), min_size=1, max_size=4, unique=True))
    done = annotated(file, *lines)
    after = done.files.get(FILE, file.data)
    assert ast.dump(ast.parse(after)) == ast.dump(ast.parse(file.data))
    assert len(done.accepted) + len(done.left_out) == len(lines)
    refused = {each.finding.message for each in done.left_out}
    told = [message for message in left(after, *lines) if message.startswith("SCL101")]
    assert set(told) == refused
    assert not refused


def test_a_place_says_where_its_comment_is() -> None:
    done = annotated(source(MODEL), STATE)
    assert [place for _, place in done.accepted] == [Location(FILE, STATE)]
