"""Builds an architecture small and runs it on real tensors: what the audit is held against."""

from __future__ import annotations

import itertools
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.zoo.architectures import Architecture

BUILD, RUN = "build", "run"
# Larger ones take more time to fill with random numbers than they can tell.
_MOST_PARAMETERS = 100_000_000
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of building an architecture and running it on real tensors.

    Attributes:
        trouble: At which step it failed, BUILD or RUN; empty where it ran.
        reason: With which error.
        tries: How many target files were tried.
        parameters: Of the model that ran.
        loss: That it returned; None where it takes no labels.
    """

    trouble: str = ""
    reason: str = ""
    tries: int = 0
    parameters: int = 0
    loss: float | None = None
    seconds: float = 0.0


def build_and_run(architecture: Architecture, target: Path, hints: Mapping[str, Any]) -> Outcome:
    """Try target files until one runs, and leave that one; it runs the architecture's code."""
    started = time.perf_counter()
    troubles: list[tuple[str, str]] = []
    tries = 0
    try:
        for text in _target_texts(architecture, hints, troubles):
            tries += 1
            outcome = _run(text)
            if not outcome.trouble:
                target.write_text(text, encoding="utf-8")
                seconds = time.perf_counter() - started
                return Outcome("", "", tries, outcome.parameters, outcome.loss, seconds)
            troubles.append((outcome.trouble, outcome.reason))
    except Exception as error:
        troubles.append((BUILD, _told(error)))
    trouble, reason = _most_telling(troubles)
    return Outcome(trouble, reason, tries, seconds=time.perf_counter() - started)


def _most_telling(troubles: list[tuple[str, str]]) -> tuple[str, str]:
    """Choose the first of those that came furthest; the later tries are further from the defaults."""
    return next((t for t in troubles if t[0] == RUN), troubles[0])


def _target_texts(
    architecture: Architecture, hints: Mapping[str, Any], troubles: list[tuple[str, str]]
) -> Iterator[str]:
    """Yield target files: every small configuration with the first call, then with the next."""
    import transformers

    from benchmarks.zoo.calling import calls_of
    from benchmarks.zoo.configuring import small_configurations
    from benchmarks.zoo.writing import target_text

    model_class = getattr(transformers, architecture.class_name)
    config_class = model_class.config_class or transformers.CONFIG_MAPPING[architecture.model_type]
    given = hints.get("inputs", {})
    small = []
    for candidate in small_configurations(config_class, hints.get("config", {})):
        try:
            config = config_class(**candidate.changes)
            _refuse_large(model_class, config, is_small=candidate.is_narrow)
            small.append(
                (candidate.changes, tuple(calls_of(model_class, config, architecture.kind)))
            )
        except Exception as error:
            troubles.append((BUILD, _told(error)))
    for calls in itertools.zip_longest(*(calls for _, calls in small)):
        for (changes, _), call in zip(small, calls, strict=True):
            if call is not None:
                inputs = {name: value for name, value in (call | given).items() if value}
                yield target_text(model_class, config_class, changes, inputs)


def _refuse_large(model_class: type, config: Any, *, is_small: bool) -> None:
    """Count the parameters without memory for them, as far as a model can be built so."""
    import torch

    try:
        with torch.device("meta"):
            model = model_class(config)
    except Exception:
        if is_small:
            return
        raise
    count = sum(parameter.numel() for parameter in model.parameters())
    if count > _MOST_PARAMETERS:
        raise ValueError(f"{count:,} parameters are too many")


def _run(text: str) -> Outcome:
    import torch

    space: dict[str, Any] = {"__name__": "target"}
    try:
        exec(compile(text, "target", "exec"), space)
        target = space["scaleaudit_target"]()
    except Exception as error:
        return Outcome(BUILD, _told(error))
    parameters = sum(parameter.numel() for parameter in target["model"].parameters())
    try:
        with torch.no_grad():
            output = target["model"](**target["kwargs"])
        if "labels" not in target["kwargs"]:
            return Outcome(parameters=parameters)
        loss = output["loss"]
        if loss is None or loss.numel() != 1:
            return Outcome(RUN, "its output holds no scalar loss")
        return Outcome(parameters=parameters, loss=float(loss))
    except Exception as error:
        return Outcome(RUN, _told(error))


def _told(error: Exception) -> str:
    """Spell an error in a line, with the file and the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())
    place = f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno}"
    return f"{type(error).__name__}: {text[:_LONGEST_REASON]} ({place})"
