"""`scaleaudit rule`: a code prints a page, `new` writes one, `test` runs the examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scaleaudit import cli
from scaleaudit.rules.loader import load_page
from scaleaudit.rules.scaffold import new_page


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["rule", *arguments])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    assert "Traceback" not in err
    return ended.value.code, out, err


Rule = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rule(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Rule:
    """Run `scaleaudit rule` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(capsys, *arguments)


def test_a_new_page_is_in_order(rule: Rule, tmp_path: Path) -> None:
    code, _, err = rule("new", "ACME101", "half-precision")
    page = tmp_path / "rules" / "ACME101-half-precision.md"
    assert code == 0
    assert "scaleaudit rule test rules/ACME101-half-precision.md" in err
    found = load_page(page)
    assert (found.code, found.name) == ("ACME101", "half-precision")
    assert {block.section for block in found.blocks} == {"Bad", "Good"}


def test_a_new_page_goes_where_the_settings_look_for_pages(rule: Rule, tmp_path: Path) -> None:
    (tmp_path / "scaleaudit.toml").write_text('rule-paths = ["pages"]\n', encoding="utf-8")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "ACME100-first.md").write_text(new_page("ACME100", "first"))
    assert rule("new", "ACME101", "second")[0] == 0
    assert (tmp_path / "pages" / "ACME101-second.md").is_file()
    assert rule("ACME101")[1].startswith("# ACME101 second\n")
    assert rule("new", "ACME102", "third", "--dir", "others")[0] == 0
    assert (tmp_path / "others" / "ACME102-third.md").is_file()


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        ("acme101", "a-rule", "the code 'acme101' is not letters and three digits"),
        ("ACME1", "a-rule", "the code 'ACME1' is not letters and three digits"),
        ("SCL999", "a-rule", "kept for the shipped rules"),
        ("ACME101", "A rule", "the name 'A rule' is not lower-case words"),
        ("ACME101", "../../outside", "is not lower-case words"),
        ("ACME\x1b101", "a-rule", "is not letters"),
    ],
)
def test_a_new_page_needs_a_code_and_a_name_in_order(
    rule: Rule, tmp_path: Path, code: str, name: str, message: str
) -> None:
    ended, _, err = rule("new", code, name)
    assert ended == 2
    assert message in err
    assert "\x1b" not in err
    assert not list(tmp_path.iterdir())


def test_a_new_page_replaces_nothing(rule: Rule, tmp_path: Path) -> None:
    rule("new", "ACME101", "first")
    page = tmp_path / "rules" / "ACME101-first.md"
    before = page.read_bytes()
    assert "ACME101 is taken" in rule("new", "ACME101", "first")[2]
    code, _, err = rule("new", "ACME101", "second")
    assert code == 2
    assert "rules/ACME101-first.md: the code ACME101 is taken" in err
    assert [page] == list(page.parent.iterdir())
    assert page.read_bytes() == before


def test_a_word_that_is_no_command_is_a_code(rule: Rule) -> None:
    assert rule("scl205")[1].startswith("# SCL205 damped-but-blind\n")
    assert rule("tset")[0] == 2
    assert "no rule has the code 'tset'" in rule("tset")[2]
    help_text = rule("--help")[1]
    assert "scaleaudit rule CODE" in help_text
    assert "new " in help_text
    assert "test " in help_text


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page that is right, one whose examples are exchanged, one that cannot be loaded."""
    folder = tmp_path_factory.mktemp("pages")
    right = new_page("ACME101", "right")
    (folder / "ACME101-right.md").write_text(right, encoding="utf-8")
    wrong = new_page("ACME102", "wrong").replace("state.active && state.blind", "!state.active")
    (folder / "ACME102-wrong.md").write_text(wrong, encoding="utf-8")
    broken = new_page("ACME103", "broken").replace("state.active &&", "state.activ &&")
    (folder / "ACME103-broken.md").write_text(broken, encoding="utf-8")
    return folder


def test_examples_are_run_and_mistakes_told_with_the_line_of_the_page(
    rule: Rule, pages: Path
) -> None:
    code, out, _ = rule("test", str(pages))
    assert code == 1
    assert "ACME101-right.md" not in out
    wrong = pages / "ACME102-wrong.md"
    lines = wrong.read_text(encoding="utf-8").splitlines()
    bad = 1 + next(i for i, line in enumerate(lines) if "# finding: ACME102" in line)
    good = 1 + next(i for i, line in enumerate(lines) if "h = self.norm(h + " in line)
    assert f"{wrong}:{bad}: ACME102 does not fire in this example\n" in out
    assert "saw of state `h` of loop `Looped.forward`: state.active True" in out
    assert f"{wrong}:{good}: ACME102 fires on this line of Good\n" in out
    assert f"{pages / 'ACME103-broken.md'}:10: undeclared reference to 'state.activ'" in out
    assert "Did you mean `state.active`?" in out
    assert out.endswith("2 pages, 4 examples: 3 mistakes\n")


def test_folders_without_pages_are_told(rule: Rule, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = rule("test", "empty")
    assert code == 2
    assert "the folder holds no rule pages" in err
