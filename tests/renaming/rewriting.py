"""Give every name of a project another one, by rewriting the syntax trees of its files."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable

from foreign import ATTRIBUTES, DECLARATION, KEYWORDS, METHODS, OPTIONS
from inferring import Inference
from naming import (
    ENTRY,
    FUNCTIONS,
    KEY_READERS,
    MAKERS,
    REGISTERS,
    Defined,
    Function,
    Tree,
    defined_by,
    is_declaration,
    is_own,
    new_names,
)

_PASSES = 2  # what a type is known from may stand further down, or in another file


def rename_project(
    files: dict[str, Tree], foreign_bases: dict[str, frozenset[str]]
) -> tuple[dict[str, Tree], dict[str, str], Defined]:
    """Rewrite all files of a project together.

    Returns:
        The trees by the new stem of their file, every old name's new one, and what was defined.
    """
    defined = defined_by(files, foreign_bases)
    names = new_names(defined.all)
    inference = Inference(defined)
    for _ in range(_PASSES):
        for tree in files.values():
            Renamer(names, defined, inference, tree).visit(copy.deepcopy(tree))
    renamed = {
        "/".join(names.get(part, part) for part in stem.split("/")): Renamer(
            names, defined, inference, tree
        ).visit(copy.deepcopy(tree))
        for stem, tree in files.items()
    }
    return renamed, names, defined


class Renamer(ast.NodeTransformer):
    """Renames one file; what it is told by types is learnt on the way.

    A node is judged before its parts are rewritten, since types go by the old names.
    """

    def __init__(
        self, names: dict[str, str], defined: Defined, inference: Inference, tree: Tree
    ) -> None:
        self.names, self.defined, self.inference = names, defined, inference
        inference.scopes, inference.inside = [{}], []
        self.foreign, self.local = _scope(tree, defined)
        self.by_name = _found_by_name(tree, defined)
        self.called: set[int] = set()
        self.functions: list[str] = []

    def new(self, name: str) -> str:
        """Return the new name, which is the old one where it is kept."""
        return self.names.get(name, name)

    # Definitions.

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        node.bases = [self.visit(base) for base in node.bases]
        inherited = self.defined.classes[node.name].inherited
        self.inference.inside.append(node.name)
        for statement in node.body:
            self._learn_member(node.name, statement)
        node.body = [self._in_class(statement, inherited) for statement in node.body]
        self.inference.inside.pop()
        node.name = self.new(node.name)
        return node

    def _learn_member(self, owner: str, statement: ast.stmt) -> None:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                if found := self.inference.annotated(annotation):
                    self.inference.members[owner, name] = found
            case ast.FunctionDef(name=name, returns=returns, decorator_list=decorators):
                found = self.inference.annotated(returns)
                is_property = any(ast.unparse(each).endswith("property") for each in decorators)
                if found:
                    self.inference.members[owner, name if is_property else f"{name}()"] = found
            case _:
                pass

    def _in_class(self, statement: ast.stmt, inherited: frozenset[str]) -> ast.AST:
        if not isinstance(statement, FUNCTIONS):
            return self.visit(statement)
        statement.decorator_list = [self.visit(each) for each in statement.decorator_list]
        static = any(ast.unparse(each) == "staticmethod" for each in statement.decorator_list)
        owner = "" if static else self.inference.inside[-1]
        self._function(statement, owner, f"{statement.name}()")
        if statement.name not in inherited and statement.name in self.defined.attributes:
            statement.name = self.new(statement.name)
        return statement

    def visit_FunctionDef(self, node: Function) -> ast.AST:
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        if found := self.inference.annotated(node.returns):
            self.inference.members["", node.name] = found
        self._function(node, "", node.name)
        node.name = self.new(node.name)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def _function(self, node: Function, owner: str, name: str) -> None:
        self.functions.append(node.name)
        node.args.defaults = [self.visit(each) for each in node.args.defaults]
        node.args.kw_defaults = [each and self.visit(each) for each in node.args.kw_defaults]
        types = self._parameters(node.args, owner)
        for parameter, found in types.items():
            types[parameter] = found or self.inference.asked(parameter, node.body)
        self.inference.scopes.append(types)
        self._arguments(node.args)
        node.returns = node.returns and self._annotation(node.returns)
        self.result = (self.inference.inside[-1] if name.endswith("()") else "", name)
        node.body = [self.visit(statement) for statement in node.body]
        self.inference.scopes.pop()
        self.functions.pop()

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self.inference.scopes.append(self._parameters(node.args, ""))
        node.args.defaults = [self.visit(each) for each in node.args.defaults]
        self._arguments(node.args)
        node.body = self.visit(node.body)
        self.inference.scopes.pop()
        return node

    def _parameters(self, args: ast.arguments, owner: str) -> dict[str, str]:
        listed = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        types = {arg.arg: self.inference.annotated(arg.annotation) for arg in listed}
        for arg, default in zip(reversed(args.args), reversed(args.defaults), strict=False):
            types[arg.arg] = types[arg.arg] or self.inference.of(default)
        if owner and listed:
            types[listed[0].arg] = owner
        return types

    def _arguments(self, args: ast.arguments) -> None:
        rest = [each for each in (args.vararg, args.kwarg) if each]
        for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, *rest):
            arg.arg = self.new(arg.arg)
            arg.annotation = arg.annotation and self._annotation(arg.annotation)

    def _annotation(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Constant) and node.value in self.defined.classes:
            return ast.Constant(self.new(node.value))
        return self.visit(node)

    # What types are learnt from.

    def visit_Return(self, node: ast.Return) -> ast.AST:
        if node.value and (found := self.inference.of(node.value)):
            self.inference.members.setdefault(self.result, found)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        for target in node.targets:
            self.inference.assign(target, node.value)
        if ast.unparse(node.targets[0]) == "__all__" and isinstance(node.value, ast.List):
            node.value.elts = [ast.Constant(self.new(each.value)) for each in node.value.elts]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        found = self.inference.annotated(node.annotation)
        self.inference.bind(
            node.target, found or (self.inference.of(node.value) if node.value else "")
        )
        node.annotation = self._annotation(node.annotation)
        return self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.AST:
        self.inference.assign(node.target, node.value)
        return self.generic_visit(node)

    def visit_With(self, node: ast.With) -> ast.AST:
        for item in node.items:
            if item.optional_vars:
                self.inference.assign(item.optional_vars, item.context_expr)
        return self.generic_visit(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        self._iterate(node.target, node.iter)
        return self.generic_visit(node)

    def _iterate(self, target: ast.expr, over: ast.expr) -> None:
        """Bind the target of a loop to the elements of what is looped over."""
        match target, over:
            case ast.Tuple(elts=[_, value]), ast.Call(
                func=ast.Name(id="enumerate"), args=[inner, *_]
            ):
                self._iterate(value, inner)
            case ast.Tuple(elts=[_, value]), ast.Call(
                func=ast.Attribute(value=inner, attr="items")
            ):
                self._iterate(value, inner)
            case ast.Tuple(elts=targets), ast.Call(func=ast.Name(id="zip"), args=inner):
                for each, of in zip(targets, inner, strict=False):
                    self._iterate(each, of)
            case ast.Name(id=name), _:
                found = self.inference.of(over)
                self.inference.scopes[-1][name] = found.removesuffix("[]") if "[]" in found else ""
            case _:
                pass

    def _comprehension(self, node: ast.AST) -> ast.AST:
        self.inference.scopes.append({})
        for generator in node.generators:
            self._iterate(generator.target, generator.iter)
        result = self.generic_visit(node)
        self.inference.scopes.pop()
        return result

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    # Uses.

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.local:
            node.id = self.new(node.id)
        return node

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> ast.AST:
        node.names = [self.new(name) for name in node.names]
        return node

    visit_Nonlocal = visit_Global  # noqa: N815

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = node.name and self.new(node.name)
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            alias.asname = alias.asname and self.new(alias.asname)
            if alias.name in self.defined.modules:
                alias.name = self.new(alias.name)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        own = is_own(node, self.defined.modules)
        for alias in node.names:
            alias.name = self.new(alias.name) if own else alias.name
            alias.asname = alias.asname and self.new(alias.asname)
        if own and node.module:
            node.module = ".".join(self.new(part) for part in node.module.split("."))
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if self._is_own_attribute(node):
            node.attr = self.new(node.attr)
        node.value = self.visit(node.value)
        return node

    def _is_own_attribute(self, node: ast.Attribute) -> bool:
        if node.attr not in self.defined.attributes | self.defined.modules or self._is_foreign(
            node
        ):
            return False
        owner = self.inference.of(node.value)
        if own := self.defined.classes.get(owner):
            return node.attr not in own.inherited
        if node.attr not in ATTRIBUTES:
            return True
        # A method that is not called is none: `config.dim`, where tensors have a dim().
        return not owner and node.attr in METHODS and id(node) not in self.called

    def _is_foreign(self, node: ast.expr) -> bool:
        """Whether it hangs on something imported from outside."""
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.foreign

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.called.add(id(node.func))
        allowed = self._keywords(node)
        for keyword in node.keywords:
            if keyword.arg in allowed:
                keyword.arg = self.new(keyword.arg)
        self._string_arguments(node)
        return self.generic_visit(node)

    def _keywords(self, node: ast.Call) -> Iterable[str]:
        """Return the keywords that are the project's own, by what is called."""
        own, likely = self.defined.parameters, self.defined.parameters - KEYWORDS
        match node.func:
            case ast.Name(id=how) | ast.Attribute(attr=how) if how in MAKERS:
                return self.defined.keys | self.defined.parameters
            case (
                ast.Name(id="partial")
                | ast.Attribute(attr="partial")
                | ast.Attribute(attr="_replace")
            ):
                return own
            case ast.Name(id="replace") | ast.Attribute(value=ast.Name(id="dataclasses")):
                return own
            case ast.Name(id=name):
                known = name in self.defined.functions or name in self.defined.classes
                return own if known else likely if name in self.local - self.foreign else ()
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
                return own
            case ast.Attribute() as func if self._is_own_attribute(func):
                known = func.attr in self.defined.functions or self.inference.of(func)
                return own if known else likely
            case ast.Attribute():
                return ()
            case func:
                return own if self.inference.of(func) else likely

    # Names in strings.

    def _string_arguments(self, node: ast.Call) -> None:
        match node:
            case ast.Call(
                func=ast.Attribute(attr=how), args=[ast.Constant(value=str()) as key, *_]
            ):
                keys = self.defined.keys | self.defined.parameters
                if how in REGISTERS or (how in KEY_READERS and key.value in keys):
                    key.value = self.new(key.value)
                elif how == "add_argument":
                    key.value = "--" + self.new(key.value.removeprefix("--"))
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr"),
                args=[owner, ast.Constant(value=str()) as key, *_],
            ):
                if key.value in self.defined.attributes - ATTRIBUTES and not self._is_foreign(
                    owner
                ):
                    key.value = self.new(key.value)
            case ast.Call(func=ast.Name(id="namedtuple"), args=[title, ast.List(elts=fields)]):
                for each in (title, *fields):
                    each.value = self.new(each.value)
            case _:
                pass

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str) and node.value in self.by_name:
            return ast.Constant(self.new(node.value))
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        given = self.defined.parameters - OPTIONS
        for key, value in zip(node.keys, node.values, strict=True):
            if is_declaration(node):
                self._keyword_dict(key, value)
            elif isinstance(key, ast.Constant) and key.value in self.defined.keys | given:
                key.value = self._key(key.value)
        return self.generic_visit(node)

    def _keyword_dict(self, key: ast.expr | None, value: ast.expr) -> None:
        """The keyword arguments in a declaration are the model's."""
        if isinstance(key, ast.Constant) and key.value == "kwargs" and isinstance(value, ast.Dict):
            for each in value.keys:
                if isinstance(each, ast.Constant) and each.value in self.defined.parameters:
                    each.value = self.new(each.value)

    def _key(self, name: str) -> str:
        within = any(function.startswith(ENTRY) for function in self.functions)
        return name if within and name in DECLARATION else self.new(name)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.slice, ast.Constant) and node.slice.value in self.defined.keys:
            node.slice.value = self._key(node.slice.value)
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if isinstance(node.left, ast.Constant) and node.left.value in self.defined.keys:
            node.left.value = self._key(node.left.value)
        return self.generic_visit(node)


def _found_by_name(tree: Tree, defined: Defined) -> set[str]:
    """Return the names that any string may stand for: those looked up by a computed one."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="globals")):
                found |= defined.functions
            case ast.Call(func=ast.Name(id="getattr" | "setattr"), args=[_, name, *_]) if (
                not isinstance(name, ast.Constant)
            ):
                found |= defined.attributes - ATTRIBUTES
            case _:
                pass
    return found


def _scope(tree: Tree, defined: Defined) -> tuple[set[str], set[str]]:
    """Return the names that a file imports from outside, and those that are the project's."""
    foreign: set[str] = set()
    local: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                foreign |= {(a.asname or a.name).split(".")[0] for a in names} - defined.modules
                local |= {a.asname for a in names if a.asname}
            case ast.ImportFrom(names=names) if is_own(node, defined.modules):
                local |= {a.asname or a.name for a in names}
            case ast.ImportFrom(names=names):
                foreign |= {a.asname or a.name for a in names}
                local |= {a.asname for a in names if a.asname}
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                local.add(name)
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                local.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                local.add(name)
            case _:
                pass
    return foreign, local
