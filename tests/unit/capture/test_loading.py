"""Files are run under the names that their siblings know them by, wherever they lie."""

from __future__ import annotations

import random
import sys

import pytest

from scaleaudit.capture.loading import load_module


@pytest.fixture
def files(tmp_path):
    def write(**texts: str):
        for path, text in texts.items():
            file = tmp_path / path.replace("__", "/").replace("_py", ".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return write


def test_a_module_of_a_package_is_the_one_that_its_siblings_import(files):
    folder = files(
        src__kit__net_py="from .parts import Part\nclass Net: ...\nfrom . import back\n",
        src__kit__parts_py="class Part: ...\n",
        src__kit__back_py="from kit.net import Net\n",
    )
    (folder / "src/kit/__init__.py").write_text("")
    module = load_module(folder / "src/kit/net.py")
    assert module.__name__ == "kit.net"
    assert module.back.Net is module.Net


def test_relative_imports_work_in_folders_without_an_init_file(files):
    folder = files(
        lab__deep__net_py="from ..parts import Part\n", lab__parts_py="class Part: ...\n"
    )
    assert load_module(folder / "lab/deep/net.py").Part.__name__ == "Part"


def test_what_is_imported_as_from_the_root_is_found_above_the_file(files):
    folder = files(
        stem__deep__net_py="from stem.parts import Part\n", stem__parts_py="class Part: ...\n"
    )
    assert load_module(folder / "stem/deep/net.py").Part.__name__ == "Part"


@pytest.mark.parametrize("name", ["random.py", "torch.py", "my-net.py", "v1.2.py", "class.py"])
def test_a_file_may_have_any_name(tmp_path, name):
    path = tmp_path / name
    path.write_text("import random\nvalue = random.random()\n")
    assert 0 <= load_module(path).value <= 1
    assert sys.modules["random"] is random


def test_a_file_is_run_afresh_with_what_it_imports(files):
    folder = files(net_py="from own_parts import value\n", own_parts_py="value = 1\n")
    assert load_module(folder / "net.py").value == 1
    (folder / "own_parts.py").write_text("value = 22\n")
    assert load_module(folder / "net.py").value == 22


def test_a_script_sees_an_empty_command_line(tmp_path):
    path = tmp_path / "script.py"
    path.write_text("import sys\nseen = list(sys.argv)\n")
    before = list(sys.argv)
    assert load_module(path).seen == [str(path)]
    assert sys.argv == before
