"""The edits of each kind of fix. None where one cannot be made safely."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from scaleaudit.domain.facts import Readout, StateFacts, Visibility
from scaleaudit.domain.footholds import NormCall
from scaleaudit.fixing.scope import are_builtin, functional, names_in
from scaleaudit.fixing.source import Edit, Function, Source, stored_in

Edits = tuple[Edit, ...]

# The only dimension of a state may be that of a batch, and among more it is not known well.
_FEWEST_DIMENSIONS, _MOST_DIMENSIONS = 2, 3
_WEIGHT = "0.01"
_CALLED = ("sum", "max", "len")
_LENGTHS = ("lengths", "state_lengths", "carried_lengths")
_BLIND = (Visibility.INVARIANT, Visibility.ASYMPTOTIC)


@dataclass(frozen=True, slots=True)
class _Carried:
    """How a loop's own function hands a state on.

    Attributes:
        name: The variable.
        anchor: The statement after which it holds what crosses: the one that sets it, or the loop
            inside of a turn that does.
    """

    name: str
    anchor: ast.stmt
    function: Function


@dataclass(frozen=True, slots=True)
class _Loss:
    """The variable that holds the loss, and the statement that sets it."""

    name: str
    statement: ast.stmt


def norm_between(state: StateFacts, source: Source) -> Edits | None:
    """Norm what crosses, on the line behind the statement that makes it."""
    carried = _carried(state, source)
    norm = functional(source, carried.function, carried.anchor) if carried else ""
    last = state.handover is not None and state.handover.features_last
    fits = _FEWEST_DIMENSIONS <= len(state.shape) <= _MOST_DIMENSIONS and _is_real(state)
    if carried is None or not norm or not fits or not last:
        return None
    name = carried.name
    edit = source.line_after(carried.anchor, f"{name} = {norm}.rms_norm({name}, {name}.shape[-1:])")
    return (edit,) if edit else None


def penalty(state: StateFacts, source: Source) -> Edits | None:
    """Charge for the mean square of what crosses, where the loss is made in the loop's function."""
    carried = _carried(state, source)
    loss = _loss(state, source)
    if carried is None or loss is None or loss.name == carried.name or not _is_real(state):
        return None
    if source.function_of(loss.statement) is not carried.function:
        return None
    block = source.block_of(carried.anchor)
    if loss.statement in block:
        return _at_once(source, carried, loss, block)
    return _over_turns(source, carried, loss)


def _is_real(state: StateFacts) -> bool:
    return state.dtype.startswith(("float", "bfloat"))


def _at_once(source: Source, carried: _Carried, loss: _Loss, block: list[ast.stmt]) -> Edits | None:
    """Charge in every turn, where every turn adds to the loss."""
    first, last = block.index(carried.anchor), block.index(loss.statement)
    between = block[first + 1 : last]
    if first > last or carried.name in stored_in(between) or _may_leave(between):
        return None
    term = f"{loss.name} = {loss.name} + {_WEIGHT} * {carried.name}.square().mean()"
    edit = source.line_after(loss.statement, term)
    return (edit,) if edit else None


def _may_leave(statements: list[ast.stmt]) -> bool:
    """Whether some turns may not come to the end of some statements."""
    parts = (part for statement in statements for part in ast.walk(statement))
    return any(isinstance(part, ast.Continue | ast.Break | ast.Return) for part in parts)


def _over_turns(source: Source, carried: _Carried, loss: _Loss) -> Edits | None:
    """Keep the mean square of every turn, and charge for their mean where the loss is made."""
    around = _blocks(source, loss.statement)
    loops = [each for each in source.loops_of(carried.anchor) if each in around]
    taken = names_in(carried.function)
    lengths = next((name for name in _LENGTHS if name not in taken), None)
    if not are_builtin(source, carried.function, _CALLED) or not loops:
        return None
    if lengths is None or not _follows(loops[-1], loss.statement):
        return None
    mean = f"sum({lengths}) / max(len({lengths}), 1)"
    edits = (
        source.line_before(loops[-1], f"{lengths} = []"),
        source.line_after(carried.anchor, f"{lengths}.append({carried.name}.square().mean())"),
        source.line_after(loss.statement, f"{loss.name} = {loss.name} + {_WEIGHT} * {mean}"),
    )
    made = tuple(edit for edit in edits if edit)
    return made if len(made) == len(edits) else None


def _blocks(source: Source, statement: ast.stmt) -> list[ast.stmt]:
    """The statements of the blocks around one, those of its function included."""
    found = list(source.block_of(statement))
    for each in source.around(statement):
        if isinstance(each, Function):
            break
        if isinstance(each, ast.stmt):
            found.extend(source.block_of(each))
    return found


def _follows(loop: ast.stmt, statement: ast.stmt) -> bool:
    return statement.lineno > (loop.end_lineno or loop.lineno)


def _loss(state: StateFacts, source: Source) -> _Loss | None:
    """The variable that is set to the loss as it is, and the statement that does it."""
    location = state.handover.loss if state.handover else None
    made = source.expression_at(location) if location else None
    statement = source.statement_of(made) if made is not None else None
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is made:
            return _Loss(name, statement)
        case ast.AugAssign(target=ast.Name(id=name), value=value) if value is made:
            return _Loss(name, statement)
        case _:
            return None


def raw_readout(state: StateFacts, source: Source) -> Edits | None:
    """Give a supervised readout the state as it is, in place of the norm of it."""
    return next(((edit,) for edit, _ in _raw(state, source)), None)


def turns_made_raw(state: StateFacts, source: Source) -> int:
    """Return for how many turns the change of ``raw_readout`` takes the norm away."""
    norm = next((norm for _, norm in _raw(state, source)), None)
    read = (
        readout.turns for readout in state.readouts if readout.supervised and norm in readout.norms
    )
    return len(set(chain.from_iterable(read)))


def _raw(state: StateFacts, source: Source) -> Iterator[tuple[Edit, NormCall]]:
    """Yield the changes that give a readout the state, each with the norm that it takes away."""
    for readout in state.readouts:
        for norm in readout.norms if _may_be_raw(readout) else ():
            edit = _without_norm(norm, readout, source)
            if edit is not None:
                yield edit, norm


def _may_be_raw(readout: Readout) -> bool:
    """Whether it would show the whole state, after a turn at least."""
    blind = readout.visibility in _BLIND
    return blind and readout.supervised and bool(readout.turns) and readout.coverage == 1.0


def _without_norm(norm: NormCall, readout: Readout, source: Source) -> Edit | None:
    """Put what a call norms in its place."""
    call = source.expression_at(norm.location)
    if not isinstance(call, ast.Call) or norm.location == readout.location:
        return None
    argument = _normed_argument(call, norm, source)
    statement = source.statement_of(call)
    if argument is None or statement is None:
        return None
    if not _is_for_one(call, statement, source):
        return None
    text, (start, end) = source.written(argument), source.span(call)
    match statement:
        case ast.Assign(targets=[target], value=value) if value is call:
            if ast.unparse(argument) == ast.unparse(target):
                return _deleted(statement, source)
        case _:
            pass
    return Edit(start, end, text if _is_atom(argument) else f"({text})")


def _is_for_one(call: ast.Call, statement: ast.stmt, source: Source) -> bool:
    """Whether what a call norms is used at one place alone, as far as its statement tells."""
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    if not isinstance(value, ast.Tuple | ast.List) and value is not call:
        return True
    function = source.function_of(statement)
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) if value is call and function is not None:
            again = bool(source.loops_of(statement))
            return _reads(function, name, statement, again=again) == 1
        case _:
            return False


def _reads(function: Function, name: str, statement: ast.stmt, *, again: bool) -> int:
    """At how many places a variable is read behind a statement, or before it where it runs again."""
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    return sum(
        isinstance(part, ast.Name)
        and part.id == name
        and isinstance(part.ctx, ast.Load)
        and (part.lineno > last or (again and part.lineno < first))
        for part in ast.walk(function)
    )


def _deleted(statement: ast.stmt, source: Source) -> Edit | None:
    """Take the whole of a statement away, which would set a variable to itself."""
    if source.indentation(statement) is None or len(source.block_of(statement)) == 1:
        return None
    start, end = source.span(statement)
    start = source.text.rfind("\n", 0, start) + 1
    stop = source.text.find("\n", end)
    return Edit(start, len(source.text) if stop < 0 else stop + 1, "")


def _normed_argument(call: ast.Call, norm: NormCall, source: Source) -> ast.expr | None:
    """The argument that holds what the call norms: the only one, or the one seen to hold it."""
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    if len(call.args) == 1 and not call.keywords and norm.called:
        return call.args[0]
    found = [argument for argument in call.args if _holds(argument, norm, source)]
    return found[0] if len(found) == 1 else None


def _holds(argument: ast.expr, norm: NormCall, source: Source) -> bool:
    if isinstance(argument, ast.Name):
        return argument.id in norm.names
    return norm.made is not None and source.expression_at(norm.made) is argument


def _is_atom(node: ast.expr) -> bool:
    """Whether an expression can stand anywhere without parentheses."""
    return isinstance(node, ast.Name | ast.Call | ast.Attribute | ast.Subscript)


def _carried(state: StateFacts, source: Source) -> _Carried | None:
    handover = state.handover
    if handover is None or handover.location.path != source.path:
        return None
    made = source.expression_at(handover.location)
    statement = source.statement_of(made) if made is not None else None
    function = source.function_of(made) if made is not None else None
    if made is None or statement is None or function is None:
        return None
    name = _target(statement, made, handover.names, source)
    loops = source.loops_of(statement)
    if name not in handover.names or not loops:
        return None
    if handover.visits == 1:
        return _Carried(name, statement, function)
    if len(loops) != 2 or name in stored_in(_behind(loops[0], statement)):  # noqa: PLR2004
        return None  # which of the loops turns is not told by how often it runs
    return _Carried(name, loops[0], function)


def _behind(loop: ast.stmt, statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the statements of a loop behind one of them."""
    body = getattr(loop, "body", [])
    yield from body[body.index(statement) + 1 :] if statement in body else body


def _target(statement: ast.stmt, made: ast.expr, names: tuple[str, ...], source: Source) -> str:
    """The variable that a statement sets to what an expression in it makes."""
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(
            targets
        ) == len(values):
            inside = [made, *source.around(made)]
            found = [t for t, value in zip(targets, values, strict=True) if value in inside]
            return found[0].id if len(found) == 1 and isinstance(found[0], ast.Name) else ""
        case ast.Assign(targets=[ast.Tuple(elts=targets)]):
            named = [t.id for t in targets if isinstance(t, ast.Name) and t.id in names]
            return named[0] if len(named) == 1 else ""
        case (
            ast.Assign(targets=[ast.Name(id=found)])
            | ast.AnnAssign(target=ast.Name(id=found))
            | ast.AugAssign(target=ast.Name(id=found))
        ):
            return found
        case _:
            return ""
