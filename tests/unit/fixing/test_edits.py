"""What is written into a source, and when nothing is: no torch, facts by hand."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from scaleaudit.domain.facts import (
    Coverage,
    LoopFacts,
    Readout,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
    subject_of,
)
from scaleaudit.domain.finding import Confidence, Finding, Fix, FixKind, Severity
from scaleaudit.domain.footholds import Handover, NormCall
from scaleaudit.domain.graph import Location
from scaleaudit.fixing.fixing import with_diffs
from scaleaudit.fixing.source import Edit, Source, changed, diff

PATH = "model.py"
HEAD = "from torch.nn import functional as F\n\n\n"
FORWARD = """
def forward(self, x, y):
    h = self.embed(x)
    for _ in range(4):
        h = h + self.step(h)
    logits = self.head(self.norm(h))
    loss = F.cross_entropy(logits, y)
    return loss
"""


def place(text: str, part: str) -> Location:
    """Where a part of a text stands, in characters from 1."""
    start = text.index(part)
    before, inside = text[:start], part.split("\n")
    line, column = before.count("\n") + 1, start - before.rfind("\n")
    end = column + len(part) if len(inside) == 1 else len(inside[-1]) + 1
    return Location(PATH, line, column, line + len(inside) - 1, end)


def state(
    text: str,
    made: str = "h + self.step(h)",
    visits: int = 1,
    loss: str = "",
    norm: str = "",
    called: bool = False,
    name: str = "h",
) -> StateFacts:
    norms = (NormCall(place(text, norm), ("h",), called=called),) if norm else ()
    readout = Readout(
        "logits", Visibility.INVARIANT, 0.0, True, (4,), place(text, text[:1]), norms=norms
    )
    handover = Handover(
        place(text, made), visits, (name,), place(text, loss) if loss else None, features_last=True
    )
    return StateFacts(
        "h", (2, 6, 8), "float32", None, Transition.CARRIED, Visibility.INVARIANT, (readout,),
        handover=handover,
    )  # fmt: skip


def fixed(text: str, facts: StateFacts, kind: FixKind) -> str:
    """The text with a fix in it; empty where none can be made."""
    loop = LoopFacts("Looped.forward", 4, None, (facts,))
    finding = Finding(
        "SCL101", "blind", Severity.ERROR, Confidence.PROVEN, "message", None,
        subject_of(facts, loop), fixes=(Fix("Do it.", kind=kind), Fix("Or do not.")),
    )  # fmt: skip
    known = ScaleFacts((loop,), Coverage(10), loss_found=True)
    (told,) = with_diffs((finding,), known, {PATH: text.encode()}.get)
    assert told.fixes[1].diff == ""
    return applied(text, told.fixes[0].diff) if told.fixes[0].diff else ""


def applied(text: str, patch: str) -> str:
    """Apply a diff by hand: every line that it keeps or takes must be there."""
    old, new = text.split("\n"), list[str]()
    at = 0
    for line in patch.split("\n")[2:]:
        if line.startswith("@@"):
            start = int(line.split()[1].split(",")[0][1:]) - 1
            new.extend(old[at:start])
            at = start
        elif line[:1] in (" ", "-"):
            assert old[at] == line[1:]
            new.extend([line[1:]] if line[0] == " " else [])
            at += 1
        elif line.startswith("+"):
            new.append(line[1:])
    return "\n".join(new + old[at:])


def with_norm(text: str, **known: object) -> str:
    return fixed(text, state(text, **known), FixKind.NORM_BETWEEN)


def test_a_norm_stands_behind_the_line_that_makes_the_state():
    text = HEAD + FORWARD
    added = "        h = F.rms_norm(h, h.shape[-1:])\n"
    assert with_norm(text).replace(added, "") == text
    assert f"self.step(h)\n{added}" in with_norm(text)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("import torch\n", "torch.nn.functional"),
        ("import torch.nn.functional as G\nimport torch\n", "G"),
        ("import torch.nn.functional\n", "torch.nn.functional"),
        ("from torch import nn as n\nfrom torch.nn.functional import relu as F\n", "n.functional"),
    ],
)
def test_torch_is_called_as_the_file_imports_it(head, name):
    assert f"h = {name}.rms_norm(h, h.shape[-1:])\n" in with_norm(head + FORWARD)


@pytest.mark.parametrize(
    "text",
    [
        FORWARD,  # nothing of torch is imported
        HEAD + FORWARD.replace("for _ in", "for F in"),
        HEAD + FORWARD.replace("(self, x, y)", "(self, x, y, F=None)"),
        HEAD + FORWARD.replace("        h = h", "        x = 1; h = h"),
        HEAD + FORWARD.replace("        h = h", "        self.h = h"),
        HEAD + FORWARD.replace("        h = h + self.step(h)", "        x.append(h + self.step(h))"),
        HEAD + FORWARD.replace("    for _ in range(4):\n    ", ""),
        HEAD + FORWARD.replace("        h = h +", "        pair = h +"),
        HEAD + FORWARD.replace("h + self.step(h)", "(lambda: h + self.step(h))()"),
        HEAD + FORWARD.replace("h = h + self.step(h)", "h, g = self.pair(h + self.step(h))", 1)
        .replace("h, g", "g, k"),
    ],
)  # fmt: skip
def test_nothing_is_written_where_it_is_not_safe(text):
    ast.parse(text)
    assert with_norm(text) == ""


def test_what_is_not_python_or_not_there_is_left_alone():
    text = HEAD + FORWARD
    facts = state(text)
    assert fixed(text.replace("def ", "dfe "), facts, FixKind.NORM_BETWEEN) == ""
    assert noted(text.encode() + b"# \xff\n", facts, FixKind.NORM_BETWEEN).diff == ""
    assert fixed(text.replace("\n", "\r"), facts, FixKind.NORM_BETWEEN) == ""


@pytest.mark.parametrize(("shape", "dtype"), [((), "float32"), ((8,), "float32"), ((1, 2, 3, 4), "float32"), ((2, 8), "complex64")])  # fmt: skip
def test_no_norm_where_the_features_of_a_state_are_not_known(shape, dtype):
    text = HEAD + FORWARD
    known = state(text)
    odd = StateFacts(
        "h", shape, dtype, None, Transition.CARRIED, Visibility.INVARIANT, handover=known.handover
    )
    assert fixed(text, odd, FixKind.NORM_BETWEEN) == ""
    assert known.handover
    elsewhere = replace(known, handover=replace(known.handover, features_last=False))
    assert fixed(text, elsewhere, FixKind.NORM_BETWEEN) == ""


def test_columns_count_characters_and_the_file_may_end_without_a_new_line():
    text = HEAD + dedent(
        """\
        def forward(self, ä):
            for _ in range(4):
                ä = "äöü" and ä + self.step(ä)"""
    )
    made = "ä + self.step(ä)"
    assert (
        with_norm(text, made=made, name="ä") == f"{text}\n        ä = F.rms_norm(ä, ä.shape[-1:])"
    )


def test_a_line_that_runs_several_times_a_turn_is_followed_behind_its_own_loop():
    text = HEAD + dedent(
        """\
        def forward(self, h):
            for _ in range(4):
                for block in self.blocks:
                    h = block(h)
                    other = 1
                else:
                    pass
            return h
        """
    )
    got = with_norm(text, made="block(h)", visits=3)
    assert "            pass\n        h = F.rms_norm(h, h.shape[-1:])\n    return h" in got
    assert with_norm(text.replace("other = 1", "h = 2 * h"), made="block(h)", visits=3) == ""
    deeper = text.replace("for _ in range(4):", "for _ in range(4):\n      for i in (1,):", 1)
    deeper = deeper.replace("        for block", "         for block", 1)
    assert ast.parse(text)
    assert with_norm(text.replace("    for _ in range(4):\n", "    if 1:\n"), made="block(h)", visits=3) == ""  # fmt: skip


def test_the_loss_is_charged_for_every_turn():
    text = HEAD + FORWARD
    got = fixed(text, state(text, loss="F.cross_entropy(logits, y)"), FixKind.PENALTY)
    for line in (
        "    lengths = []\n    for _ in range(4):\n",
        "        lengths.append(h.square().mean())\n",
        "    loss = loss + 0.01 * sum(lengths) / max(len(lengths), 1)\n    return loss",
    ):
        assert line in got


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("loss = F.cross_entropy(logits, y)", "loss = 2 * F.cross_entropy(logits, y)"),
        ("loss = F.cross_entropy(logits, y)\n    return loss", "return F.cross_entropy(logits, y)"),
        ("loss = F.cross_entropy(logits, y)", "self.loss = F.cross_entropy(logits, y)"),
        ("loss = F.cross_entropy(logits, y)", "h = F.cross_entropy(logits, y)"),
        ("h = self.embed(x)", "h, lengths, state_lengths, carried_lengths = self.embed(x)"),
    ],
)
def test_no_penalty_where_the_loss_is_not_at_hand(old, new):
    text = HEAD + FORWARD.replace(old, new)
    assert fixed(text, state(text, loss="F.cross_entropy(logits, y)"), FixKind.PENALTY) == ""


def test_no_penalty_on_what_no_longer_holds_the_state():
    text = HEAD + FORWARD.replace(
        "    logits = self.head(self.norm(h))\n    loss =",
        "        h = 2 * h\n        loss =",
    ).replace("(logits, y)", "(h, y)")
    assert fixed(text, state(text, loss="F.cross_entropy(h, y)"), FixKind.PENALTY) == ""


@pytest.mark.parametrize(
    ("call", "left"),
    [
        ("self.norm(h)", "self.head(h)"),
        ("F.rms_norm(h, (8,))", "self.head(h)"),
        ("F.rms_norm((8,), h)", "self.head(h)"),
        ("self.norm(h + x)", "self.head((h + x))"),
    ],
)
def test_a_readout_is_given_what_its_norm_is_given(call, left):
    text = HEAD + FORWARD.replace("self.norm(h)", call)
    assert left in fixed(text, state(text, norm=call, called=True), FixKind.RAW_READOUT)


@pytest.mark.parametrize(
    "call", ["self.norm(*h)", "self.norm(h, h)", "self.norm(x, y)", "h.div(2)"]
)
def test_a_norm_stays_where_it_is_not_told_what_it_norms(call):
    text = HEAD + FORWARD.replace("self.norm(h)", call)
    assert fixed(text, state(text, norm=call), FixKind.RAW_READOUT) == ""


def test_git_takes_a_diff_of_a_last_line_without_an_end(tmp_path: Path):
    before = "a = 1\nb = 2"
    after = changed(Source("x.py", before), [Edit(len(before), len(before), "\nc = 3")])
    (tmp_path / "x.py").write_text(before)
    subprocess.run(
        ["git", "apply", "-"],
        input=diff("x.py", before, after),
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert (tmp_path / "x.py").read_text() == after


def test_an_edit_that_makes_no_python_is_none():
    assert changed(Source("x.py", "a = 1\n"), [Edit(0, 0, "(")]) == ""


@pytest.mark.parametrize(
    "head",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch.nn.functional as F\n",
        "try:\n    import torch.nn.functional as F\nexcept ImportError:\n    F = None\n",
        "import torch.nn.functional as F\nF = 257\n",
        "import torch.nn.functional as F\n\n\ndef change():\n    global F\n    F = 257\n",
        "import torch.nn.functional as F\nfrom constants import *\n",
        "import torch.nn.functional as F\nfrom constants import F\n",
        "def other():\n    from torch.nn import functional as F\n",
        "class Other:\n    from torch.nn import functional as F\n",
        "from .torch.nn import functional as F\n",
    ],
)
def test_no_norm_by_a_name_that_may_mean_another_thing(head):
    assert with_norm(f"{head}\n\n{FORWARD}") == ""


def test_an_import_of_the_function_itself_will_do():
    text = FORWARD.replace(
        "    h = self.embed", "    import torch.nn.functional as G\n    h = self.embed"
    )
    assert "h = G.rms_norm(h, h.shape[-1:])" in with_norm(text)
    late = FORWARD.replace("    logits", "    import torch.nn.functional as G\n    logits")
    assert with_norm(late) == ""


@pytest.mark.parametrize(
    ("head", "first"),
    [
        ("from torch import sum\n", ""),
        ("from torch import *\n", ""),
        ("def max(x, y): return x\n", ""),
        ("", "    len = x.shape[1]\n"),
    ],
)
def test_no_penalty_by_a_builtin_that_may_mean_another_thing(head, first):
    text = HEAD + head + FORWARD.replace("    h = self.embed", f"{first}    h = self.embed")
    assert fixed(text, state(text, loss="F.cross_entropy(logits, y)"), FixKind.PENALTY) == ""


@pytest.mark.parametrize("leave", ["continue", "break", "return x"])
def test_no_penalty_behind_a_way_out_of_the_turn(leave):
    text = HEAD + dedent(
        """\
        def forward(self, x, h):
            for n in range(4):
                h = h + self.step(h)
                if n < 2:
                    LEAVE
                loss = F.cross_entropy(h, x)
            return loss
        """
    )
    loss = "F.cross_entropy(h, x)"
    for way, written in ((leave, False), ("pass", True)):
        turned = text.replace("LEAVE", way)
        assert bool(fixed(turned, state(turned, loss=loss), FixKind.PENALTY)) is written


@pytest.mark.parametrize(
    ("behind", "left"),
    [
        ("logits = self.head(h)\n    return logits", "    logits = self.head(h)\n"),
        ("logits = self.head(h)\n    return logits, h", ""),
        ("logits = self.head(h)\n    if x is None:\n        return h\n    return logits", ""),
    ],
)
def test_a_norm_that_others_read_too_stays(behind, left):
    text = HEAD + dedent(
        """\
        def forward(self, x):
            h = self.embed(x)
            for _ in range(4):
                h = h + self.step(h)
            h = self.norm(h)
            BEHIND
        """
    ).replace("BEHIND", behind)
    got = fixed(text, state(text, norm="self.norm(h)", called=True), FixKind.RAW_READOUT)
    assert (left in got) if left else got == ""
    assert "self.norm(h)" not in got
    twice = text.replace("h = self.norm(h)", "h, n = self.norm(h), 1")
    assert fixed(twice, state(twice, norm="self.norm(h)", called=True), FixKind.RAW_READOUT) == ""


def noted(data: bytes, facts: StateFacts, kind: FixKind) -> Fix:
    loop = LoopFacts("Looped.forward", 4, None, (facts,))
    finding = Finding(
        "SCL101", "blind", Severity.ERROR, Confidence.PROVEN, "message", None,
        subject_of(facts, loop), fixes=(Fix("Do it.", kind=kind),),
    )  # fmt: skip
    known = ScaleFacts((loop,), Coverage(10), loss_found=True)
    return with_diffs((finding,), known, {PATH: data}.get)[0].fixes[0]


def test_a_change_of_every_turn_says_so():
    text = HEAD + FORWARD
    facts = state(text, norm="self.norm(h)", called=True)
    (readout,) = facts.readouts
    assert noted(text.encode(), facts, FixKind.RAW_READOUT).note == ""
    every = replace(facts, readouts=(replace(readout, turns=(1, 2, 4)),))
    assert "for 3 turns" in noted(text.encode(), every, FixKind.RAW_READOUT).note
    other = replace(facts, readouts=(readout, replace(readout, turns=(1,))))
    assert "for 2 turns" in noted(text.encode(), other, FixKind.RAW_READOUT).note


def test_a_file_in_another_encoding_is_left_alone_and_one_with_a_mark_keeps_it(tmp_path: Path):
    text = HEAD + FORWARD
    facts = state(text)
    koi = f"# coding: koi8-r\n{text}# \u0434\u0430\n".encode("koi8-r")
    fix = noted(koi, facts, FixKind.NORM_BETWEEN)
    assert (fix.diff, fix.note) == ("", "No change is written: the file is not UTF-8 but koi8-r.")
    (tmp_path / PATH).write_bytes(marked := b"\xef\xbb\xbf" + text.encode())
    patch = noted(marked, facts, FixKind.NORM_BETWEEN).diff
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=tmp_path, check=True)
    assert b"h = F.rms_norm" in (tmp_path / PATH).read_bytes()


def test_a_file_with_other_line_ends_says_so():
    text = (HEAD + FORWARD).replace("\n", "\r\n")
    fix = noted(text.encode(), state(HEAD + FORWARD), FixKind.NORM_BETWEEN)
    assert "\n+        h = F.rms_norm(h, h.shape[-1:])\r\n" in fix.diff
    assert "CRLF" in fix.note
