"""Evaluate plans: source text over the names of a user's file becomes a model and its call."""

from __future__ import annotations

import ast
import builtins
import difflib
import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from scaleaudit.capture.loading import script_arguments
from scaleaudit.domain.plans import Plan, Statement
from scaleaudit.errors import TargetError

_NEAR = 3


class Scope:
    """The names of a module, with those that a plan's statements add."""

    def __init__(self, module: ModuleType, path: Path) -> None:
        self.names: dict[str, Any] = {**vars(module), "torch": torch, "importlib": importlib}
        self.module = module
        self._path = path

    def run(self, statements: Iterable[Statement]) -> None:
        """Run statements as if they stood where they were read, without a command line."""
        with script_arguments(self._path):
            for statement in statements:
                code = compile(_placed(statement), self._filename(statement), "exec")
                exec(code, self.names)  # noqa: S102 - the user's own code, in a child

    def value(self, text: str) -> Any:
        """Evaluate an expression."""
        with script_arguments(self._path):
            return eval(text, self.names)  # noqa: S307 - the user's own code, in a child

    def call_of(self, plan: Plan) -> dict[str, Any]:
        """Evaluate what a plan's model and loss are called with."""
        declared: dict[str, Any] = {
            "args": tuple(map(self.value, plan.args or ())),
            "kwargs": {name: self.value(text) for name, text in plan.kwargs},
        }
        if plan.loss:
            declared["loss"] = self.value(plan.loss)
            declared["loss_args"] = tuple(map(self.value, plan.loss_args))
        return declared

    def _filename(self, statement: Statement) -> str:
        return str(self._path.resolve()) if statement.line else "<plan>"


def _placed(statement: Statement) -> ast.Module:
    """Parse a statement so that its nodes stand at their lines and columns of the file."""
    tree = ast.parse(statement.text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.stmt, ast.expr)):
            node.col_offset += statement.column
            node.end_col_offset = (node.end_col_offset or 0) + statement.column
    return ast.increment_lineno(tree, max(statement.line - 1, 0))


def declared_by(plan: Plan, module: ModuleType) -> dict[str, Any]:
    """Evaluate a plan; returns what a target function would.

    Raises:
        TargetError: A name of a declared plan is not in the file.
    """
    scope = Scope(module, Path(plan.path))
    if plan.where:
        check_names(plan, scope)
    scope.run(plan.setup)
    model = scope.names["model"] = scope.value(plan.model)
    return {"model": model, **scope.call_of(plan)}


def imported(name: str, module: ModuleType) -> str:
    """Return the expression of a dotted name: of the file, else of a module to import."""
    parts = name.split(".")
    if not name or parts[0] in vars(module) or len(parts) == 1:
        return name
    return f"importlib.import_module({'.'.join(parts[:-1])!r}).{parts[-1]}"


def check_names(plan: Plan, scope: Scope) -> None:
    """Check that the file has the names that a declaration uses.

    Raises:
        TargetError: It has not; says which is nearest.
    """
    for text in (plan.model, imported(plan.loss, scope.module)):
        for name in _free_names(text):
            if name not in scope.names and not hasattr(builtins, name):
                raise _unknown_name(plan, name, scope)


def _free_names(text: str) -> list[str]:
    tree = ast.parse(text or "None", mode="eval")
    bound = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return [name for name in names if name not in bound]


def _unknown_name(plan: Plan, name: str, scope: Scope) -> TargetError:
    own = [key for key, value in scope.names.items() if callable(value) and not key.startswith("_")]
    near = difflib.get_close_matches(name, own, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(own[:_NEAR])}"
    return TargetError(f"{plan.where}: {plan.path} has no {name!r}", where=plan.path, hint=hint)
