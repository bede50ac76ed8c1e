"""What boxes are called: by the module, the variable or the operators that they hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from scaleaudit.domain.facts import Penalty, Readout
from scaleaudit.domain.graph import Node, NodeKind
from scaleaudit.domain.picture import BoxKind
from scaleaudit.picturing.flows import MOVES

# Operators that people know by another name than ATen's.
_KNOWN_AS = {
    "mm": "linear", "addmm": "linear", "linear": "linear", "matmul": "matrix product",
    "bmm": "matrix product", "baddbmm": "matrix product", "einsum": "matrix product",
    "convolution": "convolution", "_softmax": "softmax", "_safe_softmax": "softmax",
    "_log_softmax": "log-softmax", "nll_loss_forward": "cross-entropy",
    "nll_loss2d_forward": "cross-entropy", "native_layer_norm": "LayerNorm",
    "_fused_rms_norm": "RMSNorm", "rms_norm": "RMSNorm", "native_group_norm": "GroupNorm",
    "native_batch_norm": "BatchNorm", "_native_batch_norm_legit": "BatchNorm",
    "mse_loss": "squared error", "sigmoid": "sigmoid", "tanh": "tanh", "gelu": "GELU",
    "silu": "SiLU", "relu": "ReLU", "native_dropout": "dropout", "bernoulli": "dropout",
    "pow": "power", "mul": "product", "add": "sum", "sub": "difference", "div": "quotient",
}  # fmt: skip

_ATTENTION = "scaled_dot_product"
# Too common to tell anything where there is something else to tell.
_DULL = frozenset({
    "add", "sub", "mul", "div", "sum", "mean", "neg", "slice", "select", "split", "unsafe_split",
    "split_with_sizes", "unbind", "stack", "cat", "where", "masked_fill",
})  # fmt: skip
_MOST_WORDS = 3
_SIGNS = {"aten.sub": "−", "aten.rsub": "−", "aten.lerp": "mix"}


def label_of(kind: BoxKind, nodes: Sequence[Node]) -> tuple[str, str]:
    """Return what to call a box, and what is in it."""
    last = nodes[-1]
    match kind:
        case BoxKind.ADD:
            return _SIGNS.get(last.base_op, "+"), _held(last)
        case BoxKind.GATE:
            return "×", _held(last)
        case BoxKind.NORM:
            return _module(nodes) or "norm", _norm(nodes)
        case BoxKind.UNKNOWN:
            return _short(last), "not understood"
        case _:
            return _module(nodes) or _held(last) or _function(last) or _short(last), _ops(nodes)


def source_label(node: Node, reader: Node, states: Collection[str]) -> str:
    """Return what to call a value that enters from elsewhere: what the line calls it that reads it.

    Args:
        states: The names of the loop's states, which mean something else in every turn.
    """
    if node.kind is not NodeKind.CALL:
        return node.op
    there = [name for function, name in node.names if function == _function(reader)]
    own = [name for name in there if name not in states]
    called = node.modules[len(reader.modules) :]
    if not own and called and node.modules[: len(reader.modules)] == reader.modules:
        return _leaf(called[0].path)
    # What takes a value over later, as a state does that starts from it, changes from turn to turn.
    return next(iter(own or there), "") or _held(node) or _module([node]) or _short(node)


def note_of(term: Readout | Penalty, turns: int) -> str:
    """Say what matters of a term besides its degree: why it is deaf, which turns it reads."""
    if isinstance(term, Penalty):
        return term.flaw.value if term.flaw is not None else ""
    if not term.turns:
        return ""
    if len(term.turns) == turns:
        return "after every turn"
    named = [
        f"{first}" if first == last else f"{first} to {last}" for first, last in _runs(term.turns)
    ]
    word = "turn" if len(term.turns) == 1 else "turns"
    return f"after {word} {_listed(named)}"


def _runs(turns: Sequence[int]) -> list[tuple[int, int]]:
    """Put numbers that follow each other together."""
    runs: list[tuple[int, int]] = []
    for turn in turns:
        if runs and runs[-1][1] == turn - 1:
            runs[-1] = (runs[-1][0], turn)
        else:
            runs.append((turn, turn))
    return runs


def _module(nodes: Sequence[Node]) -> str:
    """The innermost module that all operators of a box ran in, below that of the whole model."""
    within = [_below_the_model(node) for node in nodes]
    common = [path for path in within[0] if all(path in each for each in within)]
    if not common:
        return ""
    return _leaf(common[-1])


def _leaf(path: str) -> str:
    *before, leaf = path.split(".")
    return f"{before[-1]}.{leaf}" if before and leaf.isdigit() else leaf


def _below_the_model(node: Node) -> list[str]:
    return [call.path for call in node.modules[1:]]


def _held(node: Node) -> str:
    return node.names[-1][1] if node.names else ""


def _function(node: Node) -> str:
    return node.frames[-1].function if node.frames else ""


def _norm(nodes: Sequence[Node]) -> str:
    known = [_KNOWN_AS.get(_short(node), "") for node in nodes]
    named = next((word for word in known if word.endswith("Norm")), "norm")
    return f"{named}: divides length out"


def _ops(nodes: Sequence[Node]) -> str:
    """Name the operators that tell most, in the order in which they run."""
    ran = [node for node in nodes if node.base_op not in MOVES]
    shorts = [_short(node) for node in ran]
    telling = [short for short in shorts if short not in _DULL] or shorts
    words = dict.fromkeys(
        "attention" if _ATTENTION in short else _KNOWN_AS.get(short, short.strip("_"))
        for short in telling
    )
    return _listed(_summed_up(list(words)))


def _summed_up(words: list[str]) -> list[str]:
    """Say attention for what attention is made of."""
    parts = {"matrix product", "softmax"}
    if not parts <= set(words):
        return words
    return list(dict.fromkeys("attention" if word in parts else word for word in words))


def _listed(words: list[str]) -> str:
    shown, left = words[:_MOST_WORDS], len(words) - _MOST_WORDS
    return ", ".join(shown) + (f" and {left} more" if left > 0 else "")


def _short(node: Node) -> str:
    return node.base_op.rsplit(".", 1)[-1].rsplit("::", 1)[-1]
