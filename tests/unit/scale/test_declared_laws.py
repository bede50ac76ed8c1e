"""Laws that users declare, as laws of scales; and what numbers say of wrong ones."""

from __future__ import annotations

import linecache
from dataclasses import replace

import pytest
from lawkit.programs import Program

from scaleaudit.domain import laws
from scaleaudit.domain.laws import DeclaredLaw
from scaleaudit.domain.scale import LINEAR, REALS, Degree, Growth, Interval, Precision, Scale
from scaleaudit.scale import algebra
from scaleaudit.scale.interpreter import Interpreter
from scaleaudit.scale.laws import all_laws, with_declared
from scaleaudit.scale.laws.table import NotUnderstood

STATE = Scale(LINEAR, REALS, shape=(2, 3))
WEIGHT = algebra.independent(learned=True)


def apply(declared: DeclaredLaw, **arguments: object) -> Scale:
    law = with_declared([declared])[declared.operator]
    (result,) = law.apply(*arguments.values(), names=tuple(arguments), out=(None,))
    return result


def law(**said: object) -> DeclaredLaw:
    return DeclaredLaw("mylib.f", "pyproject.toml: laws[0]", **said)


def test_a_degree_multiplies_that_of_the_argument():
    squared = Scale(Growth(lo=Degree(2), hi=Degree(2)), REALS, shape=(2, 3))
    found = apply(law(degree=3), x=squared, weight=WEIGHT)
    assert (found.growth.lo, found.growth.hi, found.learned) == (Degree(6), Degree(6), True)


def test_degree_zero_forgets_a_length_and_says_that_a_norm_did():
    found = apply(law(degree=0, bounded=(-2.0, 2.0)), x=STATE)
    assert (found.growth.hi, found.growth.normed) == (Degree(0), True)
    assert found.span == Interval(-2.0, 2.0)
    assert found.growth.precision is Precision.EPS


def test_a_limit_is_asymptotic():
    assert apply(law(degree=0, limit=True), x=STATE).growth.precision is Precision.ASYMPTOTIC


def test_degrees_add_up_over_arguments():
    found = apply(law(degrees=(("x", 1.0), ("y", 2.0))), x=STATE, y=STATE)
    assert found.growth.hi == Degree(3)


def test_a_range_alone_saturates():
    assert apply(law(bounded=(0.0, 1.0)), x=STATE).growth.precision is Precision.SATURATING


@pytest.mark.parametrize(
    ("declared", "arguments", "said"),
    [
        (law(degrees=(("x", 1.0),)), {"x": STATE, "gate": STATE}, "says nothing of 'gate'"),
        (
            law(degree=1),
            {"x": STATE, "y": Scale(Growth(lo=Degree(2), hi=Degree(2)))},
            "its arguments grow unlike",
        ),
        (law(degree=0), {"x": Scale(Growth(lo=Degree(-1), hi=Degree(-1)))}, "do not vanish"),
        (law(like="aten.nonsense"), {"x": STATE}, "has no law"),
    ],
)
def test_what_a_declaration_does_not_cover_is_not_understood(declared, arguments, said):
    with pytest.raises(NotUnderstood, match=said):
        apply(declared, **arguments)


def test_nothing_is_said_of_what_no_state_reaches():
    assert not apply(law(degree=1), x=WEIGHT).depends


def test_a_declaration_never_takes_the_place_of_a_known_law():
    wrong = DeclaredLaw("aten.tanh", "here", degree=1)
    assert with_declared([wrong])["aten.tanh"] is all_laws()["aten.tanh"]


def test_the_last_of_two_declarations_counts():
    laws = with_declared([law(degree=0), law(degree=1)])
    (found,) = laws["mylib.f"].apply(STATE, names=("x",), out=(None,))
    assert found.growth.hi == Degree(1)


def test_the_proof_names_the_declaration():
    statement = with_declared([law(degree=0)])["mylib.f"].statement
    assert statement == "declared in pyproject.toml: laws[0]: degree 0"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("aten.rellu", "; one is declared for aten.rellu, which is never called"),
        ("otherlib.unlike", ""),
        ("aten.tanh", ""),
    ],
)
def test_a_law_of_a_name_that_is_never_met_is_named_where_one_is_missing(declared, said):
    program = Program(1)
    program("aten.relu.default", program("aten.tanh.default", program.state(2, 3)))
    graph = replace(program.graph(), declared=(DeclaredLaw(declared, "model.py:3", degree=1),))
    known = {name: law for name, law in all_laws().items() if name != "aten.relu"}
    (opaque,) = Interpreter(graph, known).not_understood()
    assert opaque.reason == f"no law is known for it{said}"


def test_a_misspelt_argument_of_a_law_is_told_with_the_right_name():
    with pytest.raises(TypeError, match=r"law\(\) has no argument degre; did you mean degree\?"):
        laws.law("mylib::f", degre=0)
    with pytest.raises(TypeError, match=r"has no argument z; it has operator, degree"):
        laws.law("mylib::f", z=0)


def test_a_law_knows_the_line_that_declares_it(monkeypatch):
    monkeypatch.setattr(laws, "declarations", [])
    laws.law("mylib::f", degree=0)
    (made,) = laws.declarations
    assert made.law.path == __file__
    assert 'law("mylib::f", degree=0)' in linecache.getline(__file__, made.law.line)
