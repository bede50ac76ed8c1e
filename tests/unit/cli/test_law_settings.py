"""Laws that settings declare, and what is said of mistakes in them."""

from __future__ import annotations

import pytest

from scaleaudit.config import laws_for, load_config
from scaleaudit.domain.laws import declarations, law
from scaleaudit.errors import ConfigError


@pytest.fixture
def project(tmp_path):
    def write(*lines: str):
        text = "\n".join(("[[tool.scaleaudit.laws]]", *lines))
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path

    return write


def test_a_law_is_read_as_data(project):
    folder = project('operator = "mylib::rmsnorm"', "degrees = {x = 0, weight = 1}", "limit = true")
    (found,) = load_config(folder).laws
    assert (found.operator, found.degrees) == ("mylib.rmsnorm", (("x", 0.0), ("weight", 1.0)))
    assert str(found) == "degree 0 in x, degree 1 in weight in the limit"
    assert found.where == "pyproject.toml: laws[0]"


def test_the_nearest_settings_come_last_so_that_theirs_count(project, tmp_path):
    project('operator = "mylib::f"', "degree = 0")
    inner = tmp_path / "inner"
    inner.mkdir()
    text = '[[tool.scaleaudit.laws]]\noperator = "mylib::f"\ndegree = 1\n'
    (inner / "pyproject.toml").write_text(text)
    assert [each.degree for each in laws_for(inner / "model.py")] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (('operator = "a::f"', "degre = 0"), "did you mean 'degree'"),
        (("degree = 0",), "has no 'operator'"),
        (('operator = "f"', "degree = 0"), "must be a name as 'mylib::rmsnorm'"),
        (('operator = "a::f"', 'degree = "0"'), "laws[0].degree must be a number"),
        (('operator = "a::f"', "degree = true"), "must be a number"),
        (('operator = "a::f"', "degrees = [0]"), "must be a table of numbers by argument"),
        (('operator = "a::f"', "bounded = [1]"), "must be [low, high]"),
        (('operator = "a::f"', "bounded = [1, -1]"), "bounded must be [low, high]"),
        (('operator = "a::f"',), "needs degree, degrees, bounded or like"),
        (('operator = "a::f"', "degree = 0", 'like = "aten.silu"'), "one of degree"),
        (('operator = "a::f"', "bounded = [0, 1]", "limit = true"), "limit says how a degree"),
        (('operator = "a::f"', "degree = 0", "limit = 1"), "must be true or false"),
    ],
)
def test_mistakes_are_named_with_what_is_right(project, lines, said):
    with pytest.raises(ConfigError) as caught:
        load_config(project(*lines))
    assert said in str(caught.value).replace("Did", "did")


def test_two_laws_of_one_operator_are_a_mistake(project):
    again = ("[[tool.scaleaudit.laws]]", 'operator = "a::f"', "degree = 1")
    with pytest.raises(ConfigError, match="second law"):
        load_config(project('operator = "a::f"', "degree = 0", *again))


def test_a_decorated_function_runs_as_it_did_outside_of_an_audit():
    @law(degree=2)
    def squared(x: float) -> float:
        """Square."""
        return x * x

    assert (squared(3.0), squared.__doc__) == (9.0, "Square.")
    assert declarations.pop().law.line > 0


def test_a_decorator_that_says_nothing_is_refused():
    with pytest.raises(ValueError, match="needs degree"):
        law()
