from __future__ import annotations

import pytest
from running import scaleaudit
from user_files import BAD, BLIND

HANGING = "model_hangs"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What is told of every bad file; the one that hangs has a run and a limit of its own."""
    folder = tmp_path_factory.mktemp("bad")
    for fault, (text, _) in BAD.items():
        (folder / f"{fault}.py").write_text(text)
    others = [f"{fault}.py" for fault in BAD if fault != HANGING]
    runs = [
        scaleaudit("check", f"{HANGING}.py", "--timeout", "4", cwd=folder),
        scaleaudit("check", *others, cwd=folder),
    ]
    for run in runs:
        assert run.code == 2
        assert "Traceback" not in run.out + run.err
        assert "bug of scaleaudit" not in run.out + run.err
    errors = [text for run in runs for text in run.out.split("error[SCL901]: ")[1:]]
    return {text.split(".py")[0]: text for text in errors}


@pytest.mark.parametrize("fault", BAD)
def test_a_file_that_cannot_be_audited_is_told_clearly_with_exit_code_2(fault, told):
    assert "= fix:" in told[fault]
    for word in BAD[fault][1]:
        assert word.replace("bad.py", f"{fault}.py") in told[fault]


@pytest.mark.parametrize("fault", ["no_model", "exits_hard"])
def test_one_bad_file_alone_has_exit_code_2(fault, tmp_path):
    (tmp_path / "bad.py").write_text(BAD[fault][0])
    run = scaleaudit("check", "bad.py", cwd=tmp_path)
    assert run.code == 2
    assert "error[SCL901]: bad.py" in run.out


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
