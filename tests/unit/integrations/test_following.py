"""What callbacks share, without any trainer."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("hugging_face", "transformers", "hugging-face"),
        ("lightning", "lightning.pytorch", "lightning"),
    ],
)
def test_a_trainer_that_is_not_installed_is_named_with_its_extra(
    module, package, extra, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    name = f"scaleaudit.integrations.{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'scaleaudit\[{extra}\]'"):
        importlib.import_module(name)
