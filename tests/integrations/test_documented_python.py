"""The examples of the Python API do what the page says."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import torch

import scaleaudit

ROOT = Path(__file__).resolve().parents[2]


def test_the_examples_of_the_page_run():
    torch.manual_seed(0)
    failed, tried = doctest.testfile(
        str(ROOT / "docs/python-api.md"),
        module_relative=False,
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert failed == 0
    assert tried > 20


def test_the_package_loads_nothing_until_it_is_asked():
    code = (
        "import sys, scaleaudit\n"
        "assert not {'torch', 'networkx', 'click', 'scaleaudit.api'} & set(sys.modules)\n"
        "assert scaleaudit.check.__name__ == 'audit' and 'torch' not in sys.modules\n"
        "import scaleaudit.live\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there():
    assert set(scaleaudit.__all__) <= set(dir(scaleaudit))
    assert all(getattr(scaleaudit, name) is not None for name in scaleaudit.__all__)
