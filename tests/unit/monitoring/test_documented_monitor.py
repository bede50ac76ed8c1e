"""The examples of the monitor's page do what it says."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).resolve().parents[3] / "docs/monitor.md"


@pytest.mark.filterwarnings("ignore::scaleaudit.ScaleWarning")
def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    failed, tried = doctest.testfile(
        str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert failed == 0
    assert tried > 15
