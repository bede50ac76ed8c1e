"""Numbers that flags take are finite, and names are not empty."""

from __future__ import annotations

import pytest

from scaleaudit import cli

LINES = {
    "check": ("--timeout", "--memory-limit"),
    "probe": ("--lr", "--budget", "--timeout"),
    "train": ("--lr", "--weight-decay", "--clip", "--minutes"),
    "reference": ("--lr", "--exit-cost", "--minutes"),
}
EACH = [(command, flag) for command, flags in LINES.items() for flag in flags]


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize(("command", "flag"), EACH)
def test_what_is_no_finite_number_is_wrong_usage(command, flag, number, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, flag, number])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert f"'{flag}'" in told
    assert "finite number" in told or "not in the range" in told


@pytest.mark.parametrize("flag", ["--dataset", "--dataset-config", "--text-column"])
@pytest.mark.parametrize("command", ["train", "reference"])
def test_an_empty_name_is_wrong_usage(command, flag, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, flag, " "])
    assert ended.value.code == 2
    assert f"'{flag}': it names nothing" in capsys.readouterr().err


@pytest.mark.parametrize("names", ["", " , "])
def test_a_table_of_no_condition_is_refused(names, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["reference", "--conditions", names])
    assert ended.value.code == 2
    assert "--conditions names none" in capsys.readouterr().err
