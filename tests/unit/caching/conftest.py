"""A secret of its own for every test that keeps answers."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def state_home(tmp_path_factory, monkeypatch):
    """Where the user's secret is kept."""
    home = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    monkeypatch.delenv("SCALEAUDIT_CACHE_KEY", raising=False)
    return home
