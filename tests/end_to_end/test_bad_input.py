from __future__ import annotations

import pytest
from running import scaleaudit
from user_files import BAD, BLIND


@pytest.mark.parametrize("fault", BAD)
def test_a_file_that_cannot_be_audited_is_told_clearly_with_exit_code_2(fault, tmp_path):
    text, words = BAD[fault]
    (tmp_path / "bad.py").write_text(text)
    limit = ("--timeout", "4") if fault == "model_hangs" else ()
    run = scaleaudit("check", "bad.py", *limit, cwd=tmp_path)
    assert run.code == 2
    assert "error[SCL901]: bad.py" in run.out
    assert "= fix:" in run.out
    for word in words:
        assert word in run.out
    assert "Traceback" not in run.out + run.err
    assert "bug of scaleaudit" not in run.out + run.err


def test_a_file_that_does_not_exist_has_exit_code_2(tmp_path):
    run = scaleaudit("check", "gone.py", cwd=tmp_path)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("error: no such file or folder: gone.py\n")


def test_a_target_that_the_file_lacks_is_told_with_those_it_has(tmp_path):
    (tmp_path / "model.py").write_text(BLIND)
    run = scaleaudit("check", "model.py::Lopoed", cwd=tmp_path)
    assert run.code == 2
    assert "no target Lopoed" in run.out
    assert "Looped" in run.out.replace("Lopoed", "")


def test_what_cannot_be_audited_cannot_be_ignored(tmp_path):
    (tmp_path / "bad.py").write_text("import os\nos._exit(0)\n")
    run = scaleaudit("check", "bad.py", "--ignore", "SCL901", cwd=tmp_path)
    assert run.code == 2
    assert "SCL901" in run.out
    assert "SCL901 cannot be ignored" in run.err
