"""What the source tells of a loop's count, and where it does not tell."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from scaleaudit.domain.graph import Frame, Location
from scaleaudit.loops.sources import Call, Chain, Unknown, enclosing_loops

BODY = "h = f(h)"


def frame(path: Path, snippet: str) -> Frame:
    """A frame that runs a snippet, which occurs once in its file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(snippet) == 1, snippet
    before = text[: text.index(snippet)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Frame(Location(str(path), line, column, line, column + len(snippet)), "f")


def answer(tmp_path: Path, source: str, *calls: str) -> str | None:
    """What decides the loop around BODY, reached through calls; None where the source is silent."""
    path = tmp_path / f"model_{len(list(tmp_path.iterdir()))}.py"
    path.write_text(dedent(source), encoding="utf-8")
    frames = tuple(frame(path, snippet) for snippet in (*calls, BODY))
    chain = Chain(frames, entry=0, tensors=frozenset({"tokens"}))
    (loop,) = enclosing_loops(frames[-1])
    try:
        return Call(chain, len(frames) - 1).count_of(loop).value
    except Unknown:
        return None


def model(iterable: str, *, before: str = "pass", top: str = "", more: str = "") -> str:
    return f"""\
{top}
class Model:
    def forward(self, tokens, turns=4, *rest, **others):
        {before}
        for _ in {iterable}:
            {BODY}
{more}
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (model("range(turns)"), "argument"),
        (model("range(1, 2 * turns + 1, -1)"), "argument"),
        (model("enumerate(reversed(range(turns)))"), "argument"),
        (model("range(n)", before="n = turns or self.turns"), "argument"),
        (model("range(n)", before="n = self.turns; n += turns"), "argument"),
        (model("range(n if self.training else turns)", before="n = 3"), "argument"),
        (model("range(math.ceil(turns / 2))", top="import math"), "argument"),
        (model("range(turns)", before="turns = 4"), "argument"),
        (model("range(4)"), "fixed"),
        (model("range(self.config.turns)"), "fixed"),
        (model("self.blocks"), "fixed"),
        (model("range(len(self.blocks))"), "fixed"),
        (model("range(TURNS)", top="TURNS = 4"), "fixed"),
        (model("range(TURNS)", top="from other import TURNS"), "fixed"),
        (model("range(r.randint(1, 4))", top="import random as r"), "random"),
        (model("range(draw(1, 4))", top="from random import randint as draw"), "random"),
        (model("range(np.random.poisson(3) + turns)", top="import numpy as np"), "random"),
        (model("range(torch.randint(1, 4, (1,)).item())", top="import torch"), "random"),
        (model("range(tokens.shape[1])"), "data"),
        (model("range(tokens.size(1))"), "data"),
        (model("range(len(tokens))"), "data"),
    ],
)
def test_counts_are_followed_to_where_they_come_from(
    tmp_path: Path, source: str, said: str | None
) -> None:
    assert answer(tmp_path, source) == said


@pytest.mark.parametrize(
    "source",
    [
        model("turns"),
        model("range(tokens)"),
        model("range(self)"),
        model("range(rest)"),
        model("range(others['turns'])"),
        model("range(turns.count)"),
        model("range(count(turns))"),
        model("range(random.randint(1, 4))"),
        model("range(turns)", top="def range(n): return n"),
        model("range(turns)", top="from other import range"),
        model("range(int(turns))", before="int = str"),
        model("range(len(self.blocks))", top="len = sum"),
        model("range(n)", before="n, m = turns, 2"),
        model("range(n)", before="for n in self.all: pass"),
        model("range(n)", before="with turns as n: pass"),
        model("range(TURNS)", top="TURNS = 4", more="def f():\n    global TURNS\n    TURNS = 5"),
        model("range(TURNS)", before="global TURNS", top="TURNS = 4"),
        model("range(self.turns)", more="    @property\n    def turns(self): return draw()"),
        model("range(self.turns)", before="self.turns = turns"),
        model("range(n)", before="n = n"),
        model("zip(range(turns), self.blocks)"),
        model("range(*rest)"),
    ],
)
def test_nothing_is_said_where_the_source_does_not_tell(tmp_path: Path, source: str) -> None:
    assert answer(tmp_path, source) is None


@pytest.mark.parametrize("leave", ["break", "return h", "if h > 1: break"])
def test_nothing_is_said_of_a_loop_that_may_end_early(tmp_path: Path, leave: str) -> None:
    source = model("range(turns)").replace(BODY, f"{BODY}\n            {leave}")
    assert answer(tmp_path, source) is None


def test_the_break_of_a_loop_inside_ends_that_one_alone(tmp_path: Path) -> None:
    inner = f"{BODY}\n            for x in h:\n                break"
    assert answer(tmp_path, model("range(turns)").replace(BODY, inner)) == "argument"


@pytest.mark.parametrize(
    ("test", "said"),
    [("i < turns", "argument"), ("i < 4", "fixed"), ("True", None), ("h > i", None)],
)
def test_a_while_loop_is_decided_by_its_test(tmp_path: Path, test: str, said: str | None) -> None:
    source = f"""\
        def forward(h, turns):
            i = 0
            h = g(h)
            while {test}:
                {BODY}
                i = i + 1
        """
    assert answer(tmp_path, source) == said


HELPER = """\
from elsewhere import checkpoint

class Model:
    {decorator}
    def run(self, h, n=4, m=None):
        for _ in range(n):
            h = f(h)

    def forward(self, tokens, turns=4, *rest, **others):
        h = embed(tokens)
        {call}
"""


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("self.run(h, turns)", "argument"),
        ("self.run(h, n=turns)", "argument"),
        ("self.run(n=turns, h=h)", "argument"),
        ("self.run(h)", "fixed"),
        ("self.run(h, 6, turns)", "fixed"),
        ("self.run(h, self.turns)", "fixed"),
        ("self.run(*rest)", None),
        ("self.run(h, **others)", None),
        ("self.run(turns, h)", None),
        ("checkpoint(self.run, h, turns)", None),
        ("checkpoint(turns, h)", None),
        ("self.again(self.run, turns)", None),
        ("self.other(h, turns)", None),
        ("self.run(h, 1, 2, turns)", None),
    ],
)
def test_arguments_are_matched_with_the_parameters_of_what_ran(
    tmp_path: Path, call: str, said: str | None
) -> None:
    assert answer(tmp_path, HELPER.format(call=call, decorator=""), call) == said


def test_a_static_method_has_no_object(tmp_path: Path) -> None:
    source = HELPER.format(call="self.run(h, turns)", decorator="@staticmethod")
    assert answer(tmp_path, source, "self.run(h, turns)") == "fixed"
    source = source.replace("run(self, h, ", "run(h, ")
    assert answer(tmp_path, source, "self.run(h, turns)") == "argument"


def test_a_file_that_is_gone_tells_nothing() -> None:
    assert enclosing_loops(Frame(Location("gone.py", 3, 1, 3, 9), "f")) == []
