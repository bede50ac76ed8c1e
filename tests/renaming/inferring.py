"""Which class of the project an expression is an instance of, as far as a reader can tell."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from foreign import ATTRIBUTES
from naming import Defined

CONTAINERS = ("ModuleList", "Sequential", "list", "tuple", "List", "Tuple")


@dataclass(slots=True)
class Inference:
    """Types of attributes project-wide, and of the variables in scope.

    A type is the name of a class of the project; "C[]" is a container of its instances.
    """

    defined: Defined
    members: dict[tuple[str, str], str] = field(default_factory=dict)
    scopes: list[dict[str, str]] = field(default_factory=lambda: [{}])
    inside: list[str] = field(default_factory=list)

    def asked(self, variable: str, body: list[ast.stmt]) -> str:
        """Return the only class that has all that is asked of a variable, one thing its own."""
        asked = {
            node.attr
            for statement in body
            for node in ast.walk(statement)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == variable
        }
        if not (asked - ATTRIBUTES) & self.defined.attributes:
            return ""
        fit = [name for name in self.defined.classes if asked <= self.defined.members_of(name)]
        return fit[0] if len(fit) == 1 else ""

    def annotated(self, node: ast.expr | None) -> str:
        """Return the class that an annotation names, alone, optional or in a container."""
        match node:
            case ast.Name(id=name) | ast.Constant(value=str(name)) if name in self.defined.classes:
                return name
            case ast.BinOp(left=left, right=right):
                return self.annotated(left) or self.annotated(right)
            case ast.Subscript(value=ast.Name(id="Optional" | "Union" | "type"), slice=inner):
                return self.annotated(inner)
            case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in CONTAINERS:
                within = self.annotated(inner)
                return f"{within}[]" if within else ""
            case ast.Tuple(elts=parts):
                return next(filter(None, map(self.annotated, parts)), "")
            case _:
                return ""

    def of(self, node: ast.expr) -> str:
        """Return the type of an expression, empty where it is not known."""
        match node:
            case ast.Name(id=name):
                return next((scope[name] for scope in reversed(self.scopes) if name in scope), "")
            case ast.Attribute(value=value, attr=attr):
                return self.member(self.of(value), attr)
            case ast.Subscript(value=value, slice=index):
                found = self.of(value)
                return found if isinstance(index, ast.Slice) else found.removesuffix("[]")
            case ast.Call(func=ast.Name(id="super")):
                return self.inside[-1] if self.inside else ""
            case ast.Call(func=func, args=args):
                return self._called(func, args)
            case ast.IfExp(body=body, orelse=other):
                return self.of(body) or self.of(other)
            case ast.List(elts=[first, *_]) | ast.Tuple(elts=[first, *_]):
                return self._many(self.of(first))
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
                return self._many(self.of(element))
            case ast.BoolOp(values=values):
                return next(filter(None, map(self.of, values)), "")
            case _:
                return ""

    def _many(self, one: str) -> str:
        return f"{one}[]" if one else ""

    def _called(self, func: ast.expr, args: list[ast.expr]) -> str:
        match func:
            case ast.Name(id=name) if name in self.defined.classes:
                return name
            case ast.Name(id="reversed" | "list" | "tuple" | "iter") if args:
                return self.of(args[0])
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in CONTAINERS and args:
                first = self.of(args[0])
                return first if first.endswith("[]") else self._many(first)
            case ast.Name(id=name):
                return self.members.get(("", name), "")
            case ast.Attribute(value=value, attr=attr):
                return self.member(self.of(value), f"{attr}()") or self.members.get(
                    (self.of(func), "forward()"), ""
                )
            case _:
                return ""

    def member(self, owner: str, attr: str) -> str:
        """Return the type of an attribute, looked up along the project's own bases."""
        seen = [owner]
        for name in seen:
            if (name, attr) in self.members:
                return self.members[name, attr]
            own = self.defined.classes.get(name)
            seen.extend(base for base in (own.bases if own else []) if base not in seen)
        return ""

    def bind(self, target: ast.expr, found: str) -> None:
        """Note what a variable or an attribute of one's own was set to."""
        match target:
            case ast.Name(id=name):
                self.scopes[-1][name] = found
            case ast.Attribute(value=value, attr=attr) if found and (owner := self.of(value)):
                self.members.setdefault((owner, attr), found)
            case ast.Tuple(elts=parts) if found.endswith("[]"):
                for part in parts:
                    self.bind(part, found.removesuffix("[]"))
            case _:
                pass

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        """Bind a target to an expression, element by element where both are tuples."""
        match target, value:
            case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
                for each, given in zip(targets, values, strict=True):
                    self.assign(each, given)
            case _:
                self.bind(target, self.of(value))
