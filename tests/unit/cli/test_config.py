"""Settings: what may stand in them, where they are found, and which of them count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scaleaudit.cli import flags
from scaleaudit.config import KEYS, Config, FileIgnores, Settings, did_you_mean, keys, load_config
from scaleaudit.domain.finding import Severity
from scaleaudit.domain.report import OnUnknown
from scaleaudit.errors import ConfigError
from scaleaudit.isolation.jobs import DEFAULT_LIMITS


@pytest.fixture
def project(tmp_path):
    def write(text: str, name: str = "pyproject.toml"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return tmp_path

    return write


def test_a_project_without_settings_has_the_defaults(project):
    assert load_config(project("[project]\nname = 'x'\n")) == Config()


def test_the_defaults_are_those_of_the_limits():
    assert (Config().timeout, Config().memory_limit * 2**30) == (
        DEFAULT_LIMITS.seconds,
        DEFAULT_LIMITS.memory,
    )


def test_flags_allow_what_settings_do():
    limits = (flags._MOST_SECONDS, flags._MOST_GIB, flags._MOST_JOBS)
    assert limits == (keys.MOST_SECONDS, keys.MOST_GIB, keys.MOST_JOBS)
    assert tuple(level.value for level in Severity) == flags.LEVELS


def test_every_key_is_read_from_a_folder_above(project):
    folder = project(
        '[tool.scaleaudit]\nselect = ["scl1"]\nignore = ["SCL104"]\nextend-select = ["SCL2"]\n'
        'per-file-ignores = {"tests/**" = ["SCL101"]}\npreview = true\nfail-level = "warning"\n'
        'exit-zero = true\non-unknown = "warn"\nrule-paths = ["team", "/shared"]\n'
        "certify = false\njobs = 2\ntimeout = 2.5\nmemory-limit = 3\n"
    )
    below = folder / "src" / "models"
    below.mkdir(parents=True)
    assert load_config(below) == Config(
        select=("SCL1",),
        extend_select=("SCL2",),
        ignore=("SCL104",),
        per_file_ignores=(FileIgnores("tests/**", folder, ("SCL101",)),),
        preview=True,
        fail_level=Severity.WARNING,
        exit_zero=True,
        on_unknown=OnUnknown.WARN,
        rule_paths=(folder / "team", Path("/shared")),
        certify=False,
        jobs=2,
        timeout=2.5,
        memory_limit=3,
    )


HEAD = "[tool.scaleaudit]\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"{HEAD}selct = []\n", 2, "unknown key 'selct' in [tool.scaleaudit]; did you mean 'select'?"),
        (f"\n{HEAD}\n\nzebra = 1\n", 5, "unknown key 'zebra'"),
        (f'{HEAD}ignore = "SCL101"\n', 2, "ignore must be a list"),
        (f"{HEAD}select = [1]\n", 2, "select must be a list"),
        (f'{HEAD}fail-level = "eror"\n', 2, "did you mean 'error'?"),
        (f"{HEAD}fail-level = 3\n", 2, "fail-level must be one of error, warning, note"),
        (f'{HEAD}on-unknown = "warm"\n', 2, "on-unknown must be one of fail, warn, not 'warm'; did you mean 'warn'?"),
        (f"{HEAD}exit-zero = 1\n", 2, "exit-zero must be true or false, not 1"),
        (f"{HEAD}jobs = 0\n", 2, "jobs must be a whole number from 1 to 1024, not 0"),
        (f"{HEAD}jobs = 1.5\n", 2, "jobs must be a whole number"),
        (f"{HEAD}timeout = true\n", 2, "timeout must be a number"),
        (f"{HEAD}timeout = nan\n", 2, "timeout must be a number"),
        (f"{HEAD}memory-limit = '8'\n", 2, "memory-limit must be a number"),
        (f"{HEAD}per-file-ignores = []\n", 2, "per-file-ignores must be a table"),
        (f"{HEAD}per-file-ignores = {{'[z-a]' = []}}\n", 2, "no pattern of files"),
        ("[tool.scaleaudit.per-file-ignores]\na = []\nb = 'SCL1'\n", 3, "per-file-ignores.b must be a list"),
        ("[tool]\nscaleaudit = 3\n", 0, "must be a table"),
        ("[tool]\n\nx = =\n", 3, "is no TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(project, monkeypatch, text, line, words):
    monkeypatch.chdir(project(text))
    with pytest.raises(ConfigError) as error:
        load_config(Path.cwd())
    assert words in error.value.message
    assert error.value.where == (f"pyproject.toml:{line}" if line else "pyproject.toml")


def test_a_file_that_is_no_text_is_told(project):
    folder = project("")
    (folder / "scaleaudit.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(folder)


def test_only_a_near_word_is_suggested():
    assert did_you_mean("selct", ["select", "ignore"]) == "; did you mean 'select'?"
    assert did_you_mean("zebra", ["select", "ignore"]) == ""


def test_the_nearest_folder_with_settings_counts_and_inherits_nothing(project, monkeypatch):
    folder = project(f'{HEAD}ignore = ["SCL1"]\nfail-level = "note"\n')
    project('ignore = ["SCL2"]\n', "a/scaleaudit.toml")
    project("[project]\nname = 'x'\n", "a/b/pyproject.toml")
    project(f"{HEAD}preview = true\n", "c/pyproject.toml")
    monkeypatch.chdir(folder)
    settings = Settings()
    assert settings.for_file(Path("a/b/m.py")) == replace(Config(), ignore=("SCL2",))
    assert settings.for_file(Path("c/m.py")) == replace(Config(), preview=True)
    assert settings.for_file(Path("m.py")).ignore == ("SCL1",)
    assert settings.for_run().fail_level is Severity.NOTE


def test_a_file_in_no_project_has_the_settings_of_the_working_directory(project, monkeypatch):
    folder = project(f'{HEAD}ignore = ["SCL1"]\n', "here/pyproject.toml")
    monkeypatch.chdir(folder / "here")
    assert Settings().for_file(folder / "elsewhere" / "m.py").ignore == ("SCL1",)


def test_of_the_files_of_a_folder_the_hidden_one_comes_first(project):
    folder = project(f"{HEAD}jobs = 1\n")
    assert load_config(folder).jobs == 1
    project("jobs = 2\n", "scaleaudit.toml")
    assert load_config(folder).jobs == 2
    project("jobs = 3\n", ".scaleaudit.toml")
    assert load_config(folder).jobs == 3


def test_a_named_file_takes_the_place_of_those_that_are_found(project, monkeypatch):
    folder = project(f"{HEAD}jobs = 1\n")
    project("jobs = 2\n", "other/mine.toml")
    monkeypatch.chdir(folder)
    assert Settings(file=Path("other/mine.toml")).for_file(Path("m.py")).jobs == 2
    assert Settings(isolated=True).for_file(Path("m.py")) == Config()
    project("[project]\n", "other/pyproject.toml")
    with pytest.raises(ConfigError, match=r"no table \[tool.scaleaudit\]"):
        Settings(file=Path("other/pyproject.toml")).for_run()
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        Settings(file=Path("gone.toml")).for_run()


def test_flags_override_a_file_and_a_new_selection_starts_afresh(project, monkeypatch):
    monkeypatch.chdir(
        project(f'{HEAD}select = ["SCL1"]\nignore = ["SCL102"]\nrule-paths = ["r"]\n')
    )
    more = Settings({"ignore": ("SCL103",), "rule_paths": (Path("s"),), "exit_zero": True})
    config = more.for_run()
    assert (config.ignore, config.exit_zero) == (("SCL102", "SCL103"), True)
    assert config.rule_paths == (Path.cwd() / "r", Path("s"))
    wanted = more.selection().wants
    assert [code for code in ("SCL101", "SCL102", "SCL103", "SCL201") if wanted(code)] == ["SCL101"]
    afresh = Settings({"select": ("SCL",)})
    assert afresh.for_run().ignore == ()
    assert afresh.selection().wants("SCL102")


def test_rules_are_left_out_of_some_files(project, monkeypatch):
    monkeypatch.chdir(project(f'{HEAD}[tool.scaleaudit.per-file-ignores]\n"old/*" = ["SCL1"]\n'))
    settings = Settings()
    assert not settings.selection(Path("old/m.py")).wants("SCL101")
    assert settings.selection(Path("old/m.py")).wants("SCL201")
    assert settings.selection(Path("new/m.py")).wants("SCL101")
    assert settings.selection().wants("SCL101")


def test_the_origin_of_a_value_is_told(project, monkeypatch):
    monkeypatch.chdir(project(f'{HEAD}ignore = ["SCL1"]\njobs = 2\n'))
    settings = Settings({"ignore": ("SCL2",), "preview": True})
    told = {key: settings.origin(key) for key in ("select", "ignore", "jobs", "preview")}
    assert told == {
        "select": "default",
        "ignore": "pyproject.toml:2, --ignore",
        "jobs": "pyproject.toml:3",
        "preview": "--preview",
    }
    others = Settings({"rule_paths": (Path("r"),), "certify": False})
    assert [others.origin(key) for key in ("rule-paths", "certify")] == ["--rules", "--no-certify"]
    afresh = Settings({"select": ("SCL",)})
    assert [afresh.origin(key) for key in ("select", "ignore")] == ["--select", "default"]


def test_the_documented_settings_are_all_that_there_are_and_can_be_read(project):
    page = (Path(__file__).resolve().parents[3] / "docs/settings.md").read_text()
    block = page.split("```toml\n")[1].split("```")[0]
    load_config(project(block))
    named = {line.split(" = ")[0] for line in block.splitlines()[1:]}
    assert named == set(KEYS) - {"targets", "laws"}
