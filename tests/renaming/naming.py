"""What a project defines: every name that its own files bring into the world."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from foreign import BUILTINS, DECLARATION, OPTIONS

Tree = ast.Module
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
KEY_READERS = ("get", "pop", "setdefault", "update")
REGISTERS = ("register_buffer", "register_parameter", "add_module", "register_module")
MAKERS = ("dict", "SimpleNamespace", "Namespace")
ENTRY = "scaleaudit_target"


@dataclass(slots=True)
class OwnClass:
    """A class of the project: its bases, and the names that its foreign bases already have."""

    name: str
    node: ast.ClassDef
    bases: list[str] = field(default_factory=list)
    inherited: frozenset[str] = frozenset()


@dataclass(slots=True)
class Defined:
    """Names by the part they play. One name may play several, and gets one new name for all.

    Attributes:
        kept: Names that stay, each with the reason.
    """

    variables: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    classes: dict[str, OwnClass] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> set[str]:
        everything = self.variables | self.attributes | self.parameters | self.keys | self.modules
        return everything - set(self.kept)

    def members_of(self, name: str) -> set[str]:
        """Return what a class and its bases in the project are known to have."""
        found = set(_members_of(self.classes[name].node))
        for base in self.classes[name].bases:
            if base in self.classes and base != name:
                found |= self.members_of(base)
        return found


def _members_of(node: ast.ClassDef) -> Iterator[str]:
    yield from _class_level(node)
    for each in ast.walk(node):
        match each:
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case _:
                pass


def defined_by(files: dict[str, Tree], foreign_bases: dict[str, frozenset[str]]) -> Defined:
    """Gather the names of all files of a project.

    Args:
        foreign_bases: For every class, the attributes of its bases outside of the project.
    """
    found = Defined(modules={part for stem in files for part in stem.split("/")} - {"__init__"})
    for tree in files.values():
        methods = {id(each) for node in ast.walk(tree) for each in _methods(node)}
        for node in ast.walk(tree):
            if id(node) not in methods:
                _bindings(node, found)
            _members(node, found, foreign_bases)
            _strings(node, found)
    imported = {name for tree in files.values() for name in _imported(tree, found.modules)}
    for name in found.variables | found.attributes | found.parameters | found.keys:
        if reason := _reason_to_keep(name, imported, found):
            found.kept[name] = reason
    return found


def _reason_to_keep(name: str, imported: set[str], found: Defined) -> str:
    if name.startswith("__") and name.endswith("__"):
        return "the language's"
    if name.startswith(ENTRY):
        return "a declaration"
    if name in imported:
        return "imported"
    if name in BUILTINS and name in found.variables | found.parameters:
        return "a builtin"
    return ""


def _imported(tree: Tree, own: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name.split(".")[0] for a in node.names if a.asname is None)
        elif isinstance(node, ast.ImportFrom) and not is_own(node, own):
            yield from (a.name for a in node.names if a.asname is None)


def is_own(node: ast.ImportFrom, own: set[str]) -> bool:
    """Whether something is imported from a file of the project."""
    return bool(node.level) or (node.module or "").split(".")[0] in own


def _bindings(node: ast.AST, found: Defined) -> None:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            found.variables.add(name)
        case ast.arg(arg=name):
            found.variables.add(name)
            found.parameters.add(name)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            found.variables.add(name)
        case ast.alias(asname=str(name)):
            found.variables.add(name)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            found.variables.add(name)
        case _:
            pass


def _members(node: ast.AST, found: Defined, foreign_bases: dict[str, frozenset[str]]) -> None:
    """Add classes with their fields and methods, and attributes that are assigned anywhere."""
    match node:
        case ast.ClassDef(name=name, bases=bases):
            own = OwnClass(name, node, [ast.unparse(base) for base in bases])
            own.inherited = foreign_bases.get(name, frozenset())
            found.classes[name] = own
            found.attributes |= set(_class_level(node)) - own.inherited
            found.parameters |= set(_fields(node))
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            found.functions.add(name)
        case ast.Attribute(attr=name, ctx=ast.Store()):
            found.attributes.add(name)
        case _:
            pass


def _methods(node: ast.AST) -> Iterator[ast.stmt]:
    if isinstance(node, ast.ClassDef):
        yield from (each for each in node.body if isinstance(each, FUNCTIONS))


def _class_level(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=targets):
                yield from (
                    t.id for target in targets for t in ast.walk(target) if isinstance(t, ast.Name)
                )
            case _:
                pass


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """Yield what a dataclass is built from by keyword."""
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def _strings(node: ast.AST, found: Defined) -> None:
    """Add keys of dicts, and attributes that are named by a string or a keyword."""
    match node:
        case ast.Dict() if not is_declaration(node):
            keys = {k.value for k in node.keys if isinstance(k, ast.Constant) and _word(k.value)}
            found.keys |= keys - OPTIONS
        case ast.Call(func=ast.Attribute(attr=how), args=[ast.Constant(value=str(name)), *_]) if (
            how in REGISTERS
        ):
            found.attributes.add(name)
        case ast.Call(
            func=ast.Attribute(attr="add_argument"), args=[ast.Constant(value=str(name))]
        ):
            found.attributes.add(name.removeprefix("--"))
        case ast.Call(func=ast.Name(id="namedtuple"), args=[_, ast.List(elts=names)]):
            words = {each.value for each in names if isinstance(each, ast.Constant)}
            found.attributes |= words
            found.parameters |= words
        case ast.Call(func=ast.Name(id=how) | ast.Attribute(attr=how), keywords=given) if (
            how in MAKERS
        ):
            words = {each.arg for each in given if each.arg} - OPTIONS
            found.keys |= words
            found.attributes |= words
        case _:
            pass


def is_declaration(node: ast.Dict) -> bool:
    """Whether a dict says what to audit."""
    keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
    return keys <= DECLARATION and ("loss_args" in keys or {"model"} < keys)


def _word(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier()


def new_names(names: Iterable[str], seed: int = 0) -> dict[str, str]:
    """Give every name one without meaning; their order says nothing of the old one's."""
    words = sorted(names)
    numbers = list(range(len(words)))
    random.Random(seed).shuffle(numbers)
    return {word: f"zq{number}" for word, number in zip(words, numbers, strict=True)}
