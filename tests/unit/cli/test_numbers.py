"""Numbers that flags take are finite."""

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
