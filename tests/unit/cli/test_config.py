from __future__ import annotations

from pathlib import Path

import pytest

from scaleaudit.config import Config, did_you_mean, load_config
from scaleaudit.domain.finding import Severity
from scaleaudit.domain.report import OnUnknown
from scaleaudit.errors import ConfigError


@pytest.fixture
def project(tmp_path):
    def write(text: str):
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path

    return write


def test_a_project_without_settings_has_the_defaults(project):
    assert load_config(project("[project]\nname = 'x'\n")) == Config()


def test_settings_are_read_from_a_folder_above(project):
    folder = project(
        '[tool.scaleaudit]\nselect = ["SCL1"]\nignore = ["SCL104"]\nfail-level = "warning"\n'
        'on-unknown = "warn"\n'
    )
    below = folder / "src" / "models"
    below.mkdir(parents=True)
    assert load_config(below) == Config(("SCL1",), ("SCL104",), Severity.WARNING, OnUnknown.WARN)


def test_folders_of_rules_are_relative_to_the_file(project):
    folder = project('[tool.scaleaudit]\nrule-paths = ["team/rules", "/shared/rules"]\n')
    assert load_config(folder).rule_paths == (folder / "team/rules", Path("/shared/rules"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.scaleaudit]\nselct = []\n", "unknown key 'selct' in [tool.scaleaudit]; did you mean 'select'?"),
        ("[tool.scaleaudit]\nzebra = 1\n", "unknown key 'zebra'"),
        ('[tool.scaleaudit]\nignore = "SCL101"\n', "ignore must be a list"),
        ("[tool.scaleaudit]\nselect = [1]\n", "select must be a list"),
        ('[tool.scaleaudit]\nfail-level = "eror"\n', "did you mean 'error'?"),
        ("[tool.scaleaudit]\nfail-level = 3\n", "fail-level must be one of error, warning, note"),
        ('[tool.scaleaudit]\non-unknown = "warm"\n', "on-unknown must be one of fail, warn, not 'warm'; did you mean 'warn'?"),
        ("[tool]\nscaleaudit = 3\n", "must be a table"),
        ("[tool\n", "cannot be read"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_settings_is_told_with_its_file(project, text, words):
    folder = project(text)
    with pytest.raises(ConfigError) as error:
        load_config(folder)
    assert words in error.value.message
    assert error.value.where == str(folder / "pyproject.toml")


def test_only_a_near_word_is_suggested():
    assert did_you_mean("selct", ["select", "ignore"]) == "; did you mean 'select'?"
    assert did_you_mean("zebra", ["select", "ignore"]) == ""
