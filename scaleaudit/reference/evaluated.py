"""Trained models evaluated on the text that was held out of their training; kept beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from scaleaudit.devices import chosen
from scaleaudit.domain.reproduction import EvaluationRequest, ReferenceRun
from scaleaudit.domain.training import Encoding, Text
from scaleaudit.errors import ConfigError, WeightsError
from scaleaudit.files import read_file, replacing
from scaleaudit.reference.checkpoints import BYTES, Checkpoint, load_checkpoint
from scaleaudit.reference.config import CONDITIONS, SIZES, Condition, Size, Supervision
from scaleaudit.reference.evaluation import evaluate
from scaleaudit.reference.runs import Card, Folder
from scaleaudit.reference.tokens import Tokens, cache_folder, prepared
from scaleaudit.reference.training import held_out_of
from scaleaudit.wire import read_json

EVALUATION = "evaluation.json"
"""The file in a run's folder that keeps what evaluation gave."""

# Changes whenever the same weights and text would give other numbers.
_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was measured, and of what."""

    of: str
    run: ReferenceRun


def evaluated(
    place: Path,
    asked: EvaluationRequest,
    tell: Callable[[str], None] = lambda _: None,
    *,
    keep: bool = False,
) -> ReferenceRun:
    """Evaluate the model of a run, or take what was kept of that.

    Args:
        place: The folder of a run, or a checkpoint.
        keep: Whether to keep it in the folder.

    Raises:
        WeightsError: There is no checkpoint, or the text is not in the tokens that it was trained on.
        ProbeError: The text is not there.
        ConfigError: The device is not there.
    """
    path, card = _checkpoint(place)
    checkpoint, file = load_checkpoint(path), path.with_name(EVALUATION)
    of = _fingerprint(path, asked)
    kept = None if card is None else _kept(file, of)
    if kept is not None:
        return kept
    tokens = _text(checkpoint, card, asked, path, tell)
    tell("evaluating")
    context = checkpoint.config.size.context
    windows = held_out_of(tokens, context, asked.sequences)
    model = checkpoint.model.to(chosen(asked.device))
    found = evaluate(model, windows, asked.target)
    condition = checkpoint.config.condition
    run = ReferenceRun(
        condition=_name_of(condition),
        per_loop=condition.supervision is Supervision.PER_LOOP,
        blind=condition.blind,
        size=_size_of(checkpoint.config.size),
        seed=checkpoint.origin.seed,
        step=checkpoint.step,
        seen=checkpoint.origin.seen,
        recipe=(*_training(checkpoint, card), *_measuring(tokens, asked, windows.shape)),
        evaluation=found,
    )
    if keep:
        _keep(file, _Kept(of, run))
    return run


def _checkpoint(place: Path) -> tuple[Path, Card | None]:
    """Return the checkpoint that is meant, and what is said of its run if it lies in its folder."""
    folder = Folder(place if place.is_dir() else place.parent)
    path = folder.checkpoint if place.is_dir() else place
    return path, folder.card() if path == folder.checkpoint else None


def _fingerprint(path: Path, asked: EvaluationRequest) -> str:
    """Name what an evaluation depends on, but for rounding."""
    apart = replace(asked, device="", cache=None)
    weights = hashlib.sha256(read_file(path)).hexdigest()
    return f"{_VERSION} {weights} {msgspec.json.encode(apart).decode()}"


def _kept(file: Path, of: str) -> ReferenceRun | None:
    try:
        found = read_json(read_file(file).decode(), _Kept)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return None  # it is measured anew
    return found.run if found.of == of else None


def _keep(file: Path, kept: _Kept) -> None:
    try:
        with replacing(file) as temporary:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
    except OSError as error:
        raise ConfigError(
            f"cannot write {file}: {error.strerror}", hint="Is there room for it?"
        ) from error


def _text(
    checkpoint: Checkpoint,
    card: Card | None,
    asked: EvaluationRequest,
    path: Path,
    tell: Callable[[str], None],
) -> Tokens:
    """Return the text that the model was trained on, in the tokens that it reads."""
    encoding = Encoding.BYTES if checkpoint.origin.encoding == BYTES else Encoding.BPE
    text = Text() if card is None else card.plan.text
    vocabulary, cache = checkpoint.config.size.vocabulary, cache_folder(asked.cache)
    tokens = prepared(text, encoding, vocabulary, cache, tell)
    same = card is None or tokens.fingerprint == card.fingerprint
    if not (same and tokens.encoding == checkpoint.origin.encoding):
        raise WeightsError(
            f"{path} was trained on another text than {tokens.name} is here",
            hint="Evaluate it where it was trained: what is held out differs elsewhere.",
        )
    return tokens


def _name_of(condition: Condition) -> str:
    return next((name for name, each in CONDITIONS.items() if each == condition), str(condition))


def _size_of(size: Size) -> str:
    return next((name for name, each in SIZES.items() if each == size), str(size))


def _training(checkpoint: Checkpoint, card: Card | None) -> tuple[tuple[str, str], ...]:
    steps, seen = f"{checkpoint.step:,} steps", f"{checkpoint.origin.seen:,} tokens in all"
    if card is None:
        return (("trained", f"{steps}, {seen}"),)
    plan = card.plan
    size = f"{steps} of {plan.batch} x {checkpoint.config.size.context} tokens, {seen}"
    precision = "" if plan.precision is None else f", in {plan.precision.value}"
    rate = f"AdamW, learning rate {plan.lr:g}, weight decay {plan.weight_decay:g}"
    return (
        ("trained", f"{size}{precision}"),
        ("optimiser", f"{rate}, gradients clipped to {plan.clip:g}"),
    )


def _measuring(
    tokens: Tokens, asked: EvaluationRequest, shape: tuple[int, ...]
) -> tuple[tuple[str, str], ...]:
    count, length = shape
    encoding = "bytes" if tokens.encoding == BYTES else "byte pairs"
    cost = f"{asked.target - 1:.0%} of perplexity"
    return (
        ("text", f"{tokens.name}, as {encoding}"),
        (
            "evaluated",
            f"on {count} sequences of {length - 1} tokens that were held out, in float32",
        ),
        ("early exits", f"may cost {cost} on one half of these, and are judged on the other"),
    )
