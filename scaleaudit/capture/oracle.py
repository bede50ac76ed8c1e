"""The oracle: how a branch on a value that nobody computed is answered.

A fake tensor has no value, so ``while not done:`` and ``if error < tolerance: break`` need an
answer from elsewhere. The source says which answer keeps the loop going; the oracle gives that one
a few times, then the other, so that every loop turns often enough to be seen and ends.
"""

from __future__ import annotations

import ast
import dis
import linecache
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FrameType
from typing import TypeAlias

from scaleaudit.capture.places import is_user, location
from scaleaudit.domain.graph import Location

# Turns that a loop with an unknown end is given: enough to see it recur, few enough to be cheap.
TURNS = 4
# What an unknown integer is taken for, a count of turns more often than not.
INTEGER = 4

# How many callers a helper that returns a test is followed to.
_CALLERS = 8
# The answer that keeps a program going, and whether giving it for ever would never end.
_Wish: TypeAlias = tuple[bool, bool]

_TESTABLE = (ast.expr, ast.If, ast.While, ast.Assert)
_EXITS = (ast.Break, ast.Continue, ast.Return, ast.Raise)


class Oracle:
    """Answer yes or no so that loops keep turning, then end.

    Args:
        serial: Tells running frames apart.
        root: The frame that runs the program; what calls that asks nothing of it.
    """

    def __init__(self, serial: Callable[[FrameType], int], root: FrameType) -> None:
        self._serial = serial
        self._root = root
        self._asked: dict[tuple[int, Location], int] = {}

    def answer(self, frame: FrameType | None) -> bool:
        """Answer the test that the innermost user frame is about to make."""
        frame = innermost_user(frame)
        if frame is None:
            return False
        frame, wish = _wish(frame, self._root)
        # By its span: the compiler writes the test of a while loop twice.
        key = (self._serial(frame), location(frame.f_code, frame.f_lasti))
        asked = self._asked.get(key, 0)
        if wish is None:
            self._asked[key] = asked + 1
            return asked % 2 == 1
        answer, ends = wish
        if ends and asked >= TURNS:
            self._asked[key] = 0  # an inner loop starts afresh at the next outer turn
            return not answer
        self._asked[key] = asked + 1
        return answer

    def choose(self, frame: FrameType | None, *, greater: bool) -> bool | None:
        """Answer a comparison made inside ``max`` or ``min`` so that the unknown value wins."""
        frame = innermost_user(frame)
        call = None if frame is None else _enclosing_call(frame)
        if call == "max":
            return greater
        return not greater if call == "min" else None


def innermost_user(frame: FrameType | None, root: FrameType | None = None) -> FrameType | None:
    """Return the nearest frame of the user's code, inside of a root."""
    while frame is not None and frame is not root and not is_user(frame.f_code):
        frame = frame.f_back
    return None if frame is root else frame


def _wish(frame: FrameType, root: FrameType) -> tuple[FrameType, _Wish | None]:
    """Return the answer that keeps the program going, and the frame that makes the test.

    A function that returns the outcome of a test is followed to its caller.
    """
    for _ in range(_CALLERS):
        node = _expression(frame)
        found = None if node is None else _by_jump(frame, node) or _read_test(node)
        outer = innermost_user(frame.f_back, root)
        if not isinstance(found, ast.Return):
            return frame, found
        if outer is None:
            break
        frame = outer
    return frame, None


def _by_jump(frame: FrameType, node: ast.AST) -> _Wish | None:
    """Read from the jump that follows a test which operand of ``and`` and ``or`` it is.

    The compiler places the jumps of such tests at other operands, or at the whole statement.
    """
    statement = _tester(node)
    jump = _instructions(frame.f_code).get(frame.f_lasti)
    if statement is None or jump is None or "JUMP" not in jump.opname or "IF" not in jump.opname:
        return None
    target = location(frame.f_code, jump.argval)
    if _covers(statement.test, target):
        return None  # on to the next operand, whatever comes of it
    jumps_on = "TRUE" in jump.opname
    into_body = isinstance(statement, ast.Assert) or _covers(statement.body, target)
    wanted, ends = _wanted(statement)
    return (jumps_on == into_body) == wanted, ends


def _tester(node: ast.AST) -> ast.While | ast.If | ast.Assert | None:
    """Return the statement that tests several operands of which a node is one."""
    while not isinstance(node, ast.stmt):
        node = node.parent  # type: ignore[attr-defined]
    if not isinstance(node, (ast.While, ast.If, ast.Assert)):
        return None
    several = any(isinstance(part, ast.BoolOp) for part in ast.walk(node.test))
    return node if several else None


def _covers(code: ast.expr | list[ast.stmt], place: Location) -> bool:
    """Tell whether a place is in some code, by lines and columns."""
    first, last = (code, code) if isinstance(code, ast.expr) else (code[0], code[-1])
    start, end = (first.lineno, first.col_offset), (last.end_lineno or 0, last.end_col_offset or 0)
    return start <= (place.line, place.column - 1) < end


@cache
def _instructions(code: CodeType) -> dict[int, dis.Instruction]:
    return {each.offset: each for each in dis.get_instructions(code)}


def _read_test(node: ast.AST) -> _Wish | ast.Return | None:
    """Find the statement that decides on a test; the compiler may name it for the test itself."""
    if not isinstance(node, (ast.If, ast.While, ast.Assert)):
        return _climb(node)
    operand = node.test
    while isinstance(operand, ast.UnaryOp) and isinstance(operand.op, ast.Not):
        operand = operand.operand
    return _climb(operand)


def _climb(node: ast.AST, *, positive: bool = True) -> _Wish | ast.Return | None:
    """Follow a test outwards to the statement that it decides."""
    while (parent := getattr(node, "parent", None)) is not None:
        match parent:
            case ast.UnaryOp(op=ast.Not()):
                positive = not positive
            case ast.While() | ast.If() | ast.Assert() if parent.test is node:
                wanted, ends = _wanted(parent)
                return wanted == positive, ends
            case ast.Return():
                return parent
            case ast.Assign(targets=[ast.Name(id=name)]):
                return _flow(parent, name, positive=positive)
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.NamedExpr(target=ast.Name(id=name)):
                return _flow(parent, name, positive=positive)
            case ast.stmt():
                return None
            case _:
                pass
        node = parent
    return None


def _wanted(test: ast.While | ast.If | ast.Assert) -> _Wish:
    """Return which outcome of a test keeps the program going, and whether it must end at last."""
    match test:
        case ast.While():
            return True, True
        case ast.Assert():
            return True, False
        case _:
            leaves, stays = _exit(test.body), _exit(test.orelse)
            if leaves is None:
                return True, isinstance(stays, ast.Break)
            if isinstance(leaves, ast.Return) and _hands_on_more(test, leaves):
                return True, False
            return False, not isinstance(leaves, ast.Raise)


def _exit(body: list[ast.stmt]) -> ast.stmt | None:
    return next((statement for statement in body if isinstance(statement, _EXITS)), None)


def _hands_on_more(test: ast.If, inside: ast.Return) -> bool:
    """Tell whether a function returns something new inside of a test, and its arguments after it.

    A solver's step that is rejected gives back the state that it was given.
    """
    siblings = [each for body in _bodies(test.parent) for each in body]  # type: ignore[attr-defined]
    after = test.orelse or siblings[siblings.index(test) + 1 :]
    outside = next((each for each in after if isinstance(each, ast.Return)), None)
    scope: ast.AST = test
    while not isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if isinstance(scope, (ast.For, ast.While, ast.Module)):
            return False  # a return out of a loop ends it
        scope = scope.parent  # type: ignore[attr-defined]
    given = {each.arg for each in ast.walk(scope.args) if isinstance(each, ast.arg)}
    return outside is not None and _idle(inside, given) < _idle(outside, given)


def _bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if isinstance(body, list):
            yield body


def _idle(result: ast.Return, given: set[str]) -> int:
    """Count the arguments of a function that it returns as they are."""
    value = result.value
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return sum(1 for part in parts if isinstance(part, ast.Name) and part.id in given)


def _flow(source: ast.AST, name: str, *, positive: bool) -> _Wish | ast.Return | None:
    """Follow a test through the local variable that holds its outcome."""
    scope = source
    while not isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)):
        scope = scope.parent  # type: ignore[attr-defined]
    for use in ast.walk(scope):
        if isinstance(use, ast.Name) and use.id == name and isinstance(use.ctx, ast.Load):
            found = _test_of(use, positive=positive)
            if found is not None:
                return found
    return None


def _test_of(use: ast.Name, *, positive: bool) -> _Wish | ast.Return | None:
    """Look at one use of a variable; assignments are not followed further."""
    node: ast.AST = use
    while not isinstance(node, ast.stmt):
        node = node.parent  # type: ignore[attr-defined]
    return None if isinstance(node, (ast.Assign, ast.AnnAssign)) else _climb(use, positive=positive)


def _enclosing_call(frame: FrameType) -> str:
    node = _expression(frame)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return ""


def _expression(frame: FrameType) -> ast.AST | None:
    """Return the expression that a frame is evaluating."""
    place = location(frame.f_code, frame.f_lasti)
    tree = _tree(place.path)
    if tree is None or not place.column:
        return None
    span = (place.line, place.column, place.end_line, place.end_column)
    return _spans(place.path).get(span)


@cache
def _tree(path: str) -> ast.Module | None:
    try:
        tree = ast.parse("".join(linecache.getlines(path)))
    except (SyntaxError, ValueError):
        return None
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            child.parent = parent  # type: ignore[attr-defined]
    return tree


@cache
def _spans(path: str) -> dict[tuple[int, int, int, int], ast.AST]:
    """Index the expressions of a file by their span, as ``location`` gives it."""
    tree = _tree(path)
    assert tree is not None
    return {span: node for node in ast.walk(tree) for span in _span(path, node)}


def _span(path: str, node: ast.AST) -> Iterator[tuple[int, int, int, int]]:
    if isinstance(node, _TESTABLE) and node.end_lineno and node.end_col_offset is not None:
        yield (
            node.lineno,
            _column(path, node.lineno, node.col_offset),
            node.end_lineno,
            _column(path, node.end_lineno, node.end_col_offset),
        )


def _column(path: str, line: int, offset: int) -> int:
    text = linecache.getline(path, line)
    return 1 + (offset if text.isascii() else len(text.encode()[:offset].decode(errors="ignore")))
