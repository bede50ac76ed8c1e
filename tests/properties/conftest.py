"""Settings of the property tests, and the summary of what they met."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, settings
from lawkit.expressions import TALLY

torch.set_num_threads(1)
# The same draws in every run, so that what passes here passes elsewhere; slow tests draw anew.
settings.register_profile(
    "fixed",
    derandomize=True,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fixed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the mix of classes that the random expressions met."""
    if TALLY.draws:
        terminalreporter.section("classes met by random expressions")
        for line in TALLY.lines():
            terminalreporter.write_line(line)
