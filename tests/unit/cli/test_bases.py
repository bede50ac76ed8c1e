"""Which files may hold a model is told from their syntax tree, and never wrongly denied."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from scaleaudit.bases import may_hold_model

HARMLESS = {
    "nothing is extended": "class A: ...",
    "a builtin": "class A(Exception): ...\nclass B(A, dict): ...",
    "an enum": "from enum import Enum\nclass A(Enum): ...",
    "a test case": "import unittest\nimport torch\nclass A(unittest.TestCase): ...",
    "under another name": "import unittest as u\nclass A(u.TestCase): ...",
    "a generic": "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass A(Generic[T]): ...",
    "inside a function": "def f():\n    from abc import ABC\n    class A(ABC): ...",
}
DOUBTFUL = {
    "torch's": "from torch import nn\nclass A(nn.Module): ...",
    "a local module's": "from base import Base\nclass A(Base): ...",
    "a package's own": "from . import Enum\nclass A(Enum): ...",
    "a relative module's": "from .enum import Enum\nclass A(Enum): ...",
    "what a star brings": "from base import *\nclass A(Exception): ...",
    "what a call returns": "class A(__import__('torch').nn.Module): ...",
    "found among the loaded": "import sys\nclass A(sys.modules['torch'].nn.Module): ...",
    "found through a library": "import logging\nclass A(logging.sys.modules['torch'].X): ...",
    "taken from a library": "from logging import sys as s\nclass A(s.modules['torch'].X): ...",
    "imported by name": "import importlib\nclass A(importlib.import_module('m').B): ...",
    "a rebound builtin": "import m\nException = m.Base\nclass A(Exception): ...",
    "a rebound import": """
        from enum import Enum
        try:
            from m import Base as Enum
        except ImportError: ...
        class A(Enum): ...
        """,
    "an argument": "def f(Exception):\n    class A(Exception): ...",
    "bound in a loop": "for Exception in bases(): ...\nclass A(Exception): ...",
    "bound by a match": "match m:\n    case [Exception, *dict]: ...\nclass A(Exception): ...",
    "what nobody binds": "class A(Base): ...",
    "through a class of its own": "from m import B\nclass A(B): ...\nclass C(A): ...",
    "a class that extends itself": "class A(A): ...",
    "one name for two classes": "class A: ...\nclass A(m.B): ...\nclass C(A): ...",
    "an attribute put in": "import enum, m\nenum.Enum = m.Base\nclass A(enum.Enum): ...",
    "names made at run time": "globals()['Exception'] = m\nclass A(Exception): ...",
}


def nodes(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(dedent(source))))


@pytest.mark.parametrize("source", HARMLESS.values(), ids=HARMLESS)
def test_a_file_whose_classes_extend_the_library_alone_holds_no_model(tmp_path, source):
    assert not may_hold_model(nodes(source), tmp_path)


@pytest.mark.parametrize("source", DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_class_that_may_extend_a_module_is_not_ruled_out(tmp_path, source):
    assert may_hold_model(nodes(source), tmp_path)


def test_a_module_of_the_project_may_stand_before_the_librarys(tmp_path):
    tree = nodes("from queue import Queue\nclass A(Queue): ...")
    inner = tmp_path / "inner"
    inner.mkdir()
    assert not may_hold_model(tree, inner)
    (tmp_path / "queue.py").write_text("from torch.nn import Module as Queue\n")
    assert may_hold_model(tree, inner)
