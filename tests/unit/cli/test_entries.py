"""Targets that the project's settings declare, and what is said of mistakes in them."""

from __future__ import annotations

import pytest

from scaleaudit.config import Settings, load_config
from scaleaudit.errors import ConfigError

GOOD = """
[[tool.scaleaudit.targets]]
path = "model.py"
factory = "Net"
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "model.py").write_text("class Net: ...\n")

    def write(text: str):
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path

    return write


def plan_of(folder):
    (plan,) = load_config(folder).targets
    return plan


def test_an_entry_without_inputs_leaves_them_to_be_found(project):
    plan = plan_of(project(GOOD))
    assert (plan.name, plan.model, plan.args, plan.loss) == ("Net", "Net()", None, "")


def test_arguments_are_built_from_tables(project):
    arguments = (
        'arguments = {width = 8, rate = 0.5, flag = true, act = "gelu", sizes = [1, 2], '
        'config = {factory = "Config", arguments = {n = 3}}, table = {a = 1}, '
        'ref = {object = "CONFIG"}}'
    )
    assert plan_of(project(f"{GOOD}{arguments}\n")).model == (
        "Net(width=8, rate=float('0.5'), flag=True, act='gelu', sizes=[1, 2], "
        "config=Config(n=3), table={'a': 1}, ref=CONFIG)"
    )


@pytest.mark.parametrize(
    ("described", "source"),
    [
        ("{shape = [2, 16]}", "torch.randn((2, 16), dtype=torch.float32)"),
        ("{shape = [2], high = 9}", "torch.randint(0, 9, (2,), dtype=torch.int64)"),
        (
            '{shape = [2], dtype = "float64", low = 1, high = 3}',
            "(1 + 2 * torch.rand((2,), dtype=torch.float64))",
        ),
        ('{shape = [2, 3], dtype = "bool"}', "torch.ones((2, 3), dtype=torch.bool)"),
        ("{value = 3}", "3"),
        ("{none = true}", "None"),
        ("5", "5"),
        ("[{shape = [1]}]", "(torch.randn((1,), dtype=torch.float32),)"),
        ("{a = {value = 1}}", "{'a': 1}"),
    ],
)
def test_inputs_are_written_as_source(project, described, source):
    assert plan_of(project(f"{GOOD}inputs = [{described}]\n")).args == (source,)


def test_inputs_by_name_are_keyword_arguments(project):
    plan = plan_of(project(f"{GOOD}inputs = {{x = {{value = 1}}}}\n"))
    assert (plan.args, plan.kwargs) == ((), (("x", "1"),))


def test_a_loss_is_called_with_the_inputs(project):
    plan = plan_of(project(f'{GOOD}inputs = [{{value = 1}}]\nloss = "a.b"\n'))
    assert (plan.loss, plan.loss_args) == ("a.b", ("1",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.scaleaudit]\ntargets = 3\n", "targets must be a list of tables, not 3"),
        ("[tool.scaleaudit]\ntargets = [3]\n", "targets[0] must be a table, not 3"),
        (GOOD.replace("factory", "facory"), "unknown key 'facory'; did you mean 'factory'?"),
        (GOOD.replace('factory = "Net"', ""), "targets[0] has no 'factory'"),
        (GOOD.replace('"Net"', '"a b"'), "targets[0].factory must be a name"),
        (GOOD.replace('"Net"', "3"), "targets[0].factory must be a string, not 3"),
        (GOOD.replace("model.py", "modle.py"), "there is no such file"),
        (GOOD + "arguments = 3\n", "targets[0].arguments must be a table"),
        (GOOD + "arguments = {a = {factory = 'C', n = 3}}\n", "has 'n' beside 'factory'"),
        (GOOD + "inputs = 3\n", "targets[0].inputs must be a list"),
        (GOOD + "inputs = {shape = [2]}\n", "put it into a list"),
        (GOOD + "inputs = [{shape = 3}]\n", "inputs[0].shape must be a list of sizes"),
        (GOOD + "inputs = [{shape = [2], dtyp = 'int64'}]\n", "did you mean 'dtype'?"),
        (GOOD + "inputs = [{shape = [2], dtype = 'int46'}]\n", "did you mean 'int64'?"),
        (GOOD + "inputs = [{shap = [2]}]\n", "has no 'shape', but 'shap'"),
        (GOOD + "inputs = [{shape = [2], low = 3, high = 3}]\n", "must be greater than low"),
        (GOOD + "loss = 'a-b'\n", "targets[0].loss must be a name"),
    ],
)
def test_a_mistake_in_an_entry_is_told_with_its_place_and_what_is_right(project, text, words):
    folder = project(text)
    with pytest.raises(ConfigError) as error:
        load_config(folder)
    assert words in error.value.message
    assert error.value.where.startswith(f"{folder / 'pyproject.toml'}:")
    assert error.value.hint


def test_the_nearest_project_with_an_entry_for_a_file_counts(project):
    folder = project(GOOD.replace("model.py", "deep/model.py") + GOOD)
    below = folder / "deep"
    below.mkdir()
    (below / "model.py").write_text("")
    (below / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    with pytest.raises(ConfigError, match="no such file"):
        load_config(project(GOOD.replace("model.py", "gone.py")))
    folder = project(GOOD.replace("model.py", "deep/model.py"))
    (found,) = Settings().targets_for(below / "model.py")
    assert found.path == str(below / "model.py")
    assert Settings().targets_for(folder / "model.py") == ()
