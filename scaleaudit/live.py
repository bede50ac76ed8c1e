"""The audit of a model that the caller has at hand, in the caller's own process."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaleaudit.acceptance import Acceptance
from scaleaudit.answers import TargetFacts
from scaleaudit.api import Options, analysed, reported
from scaleaudit.children import Audited
from scaleaudit.choosing import RuleBook
from scaleaudit.config import Settings, laws_for
from scaleaudit.domain.attempts import Certify
from scaleaudit.domain.laws import declarations, declare_all
from scaleaudit.domain.report import Report
from scaleaudit.errors import ConfigError, ScaleAuditError, described
from scaleaudit.isolation.jobs import Trouble, TroubleKind, trouble_of
from scaleaudit.sources import relative

if TYPE_CHECKING:
    import torch

_OWN = str(Path(__file__).parent)


def audit(
    model: torch.nn.Module,
    *args: Any,  # noqa: ANN401 - whatever the model takes
    loss: Callable[..., Any] | None = None,
    loss_args: tuple[Any, ...] | None = None,
    certify: str | Certify = Certify.SMALL,
    options: Options | None = None,
    **kwargs: Any,  # noqa: ANN401 - the same
) -> Report:
    """Audit a model as it is, with the call and the loss that it is trained with.

    Forward and loss are run once on tensors without memory, whatever device the model is on, and
    nothing is left changed: weights, buffers, gradients, training mode, hooks, caches, what
    random generators draw next. Of a project's settings only its declared laws count, unless
    ``options`` are given: those of ``Options()`` are the settings nearest to the model's file.

    Args:
        model: A module; what ``torch.compile`` or data parallelism made of one will do.
        *args: What its forward is called with.
        loss: Called as ``loss(model, *args, **kwargs)``, returns a scalar. Left out, the loss is
            looked for in what the model returns.
        loss_args: What the loss is called with after the model, in place of args and kwargs.
        certify: Whether what is claimed is held against numbers: "small" for models where that
            takes a moment, "any" or "never".
        options: Which rules to apply. Limits of time and memory, jobs and caches are for child
            processes, and no matter here.
        **kwargs: More arguments of forward.

    Returns:
        A report of one target. A model that cannot be run has the finding SCL901, which says why,
        and the verdict unknown.

    Raises:
        ConfigError: An argument is of the wrong kind, or a rule code is unknown.
        RuleError: A rule page cannot be loaded.
    """
    from scaleaudit.capture.live import file_of  # noqa: PLC0415 - loads torch

    _check(model, loss, loss_args, kwargs)
    which, chosen = _certify(certify), options or Options(settings=Settings(isolated=True))
    book = RuleBook(chosen.in_force())
    book.for_run()
    path = relative(file_of(model) or _caller(), Path.cwd())
    start = time.monotonic()
    found = _found(model, (args, kwargs, loss, loss_args), path, which)
    audited = (Audited(path, found, "", time.monotonic() - start),)
    acceptance = Acceptance(baseline=chosen.in_force().for_run().baseline)
    return reported(audited, book, acceptance)


def _found(
    model: torch.nn.Module,
    call: tuple[tuple[Any, ...], Mapping[str, Any], Callable[..., Any] | None, Any],
    path: str,
    certify: Certify,
) -> TargetFacts:
    """Capture and analyse; whatever goes wrong is told, not raised."""
    from scaleaudit.capture.capturing import capture  # noqa: PLC0415 - loads torch
    from scaleaudit.capture.live import live_target, name_of  # noqa: PLC0415

    known, name = len(declarations), name_of(model)
    try:
        declare_all(laws_for(Path(path)))
        with live_target(model, *call, Path(path)) as target:
            return TargetFacts(name, analysed(capture(target), certify))
    except ConfigError:
        raise
    except ScaleAuditError as error:
        return TargetFacts(name, trouble=trouble_of(error))
    except Exception as error:  # noqa: BLE001 - as in a child, it is reported as a bug of ours
        said = Trouble(TroubleKind.BUG, described(error), details=traceback.format_exc())
        return TargetFacts(name, trouble=said)
    finally:
        del declarations[known:]


def _check(
    model: object,
    loss: object,
    loss_args: object,
    kwargs: Mapping[str, Any],
) -> None:
    """Refuse what cannot be meant, each with what to write instead."""
    import torch  # noqa: PLC0415 - the package must load without it

    if isinstance(model, type):
        raise ConfigError(f"audit() got the class {model.__name__}, not a model: call it")
    if not isinstance(model, torch.nn.Module):
        raise ConfigError(
            f"audit() got {type(model).__name__} as a model, not a torch.nn.Module",
            hint="To audit files, call scaleaudit.check(paths).",
        )
    if loss is not None and not callable(loss):
        raise ConfigError(
            f"loss is {type(loss).__name__}, which cannot be called",
            hint="Give a function: loss=lambda model, x, y: criterion(model(x), y).",
        )
    if loss_args is None:
        return
    if not isinstance(loss_args, tuple):
        raise ConfigError(
            f"loss_args is {type(loss_args).__name__}, not a tuple", hint="Write loss_args=(x, y)."
        )
    if loss is None:
        raise ConfigError("loss_args says what a loss is called with, and no loss is given")
    if kwargs:
        raise ConfigError(
            f"{', '.join(kwargs)}: with loss_args the loss alone calls the model",
            hint="Leave keyword arguments out, or loss_args.",
        )


def _certify(asked: str | Certify) -> Certify:
    words = [each.value for each in Certify]
    if isinstance(asked, Certify):
        return asked
    if asked not in words:
        raise ConfigError(f"certify must be one of {', '.join(words)}, not {asked!r}")
    return Certify(asked)


def _caller() -> str:
    """Return the file that called the audit."""
    frame = sys._getframe(1)  # noqa: SLF001 - for the report
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    return frame.f_code.co_filename
