"""Say what was assumed of a target that its file does not declare."""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.capture.discovery.calling import Found


def assumptions(found: Found) -> tuple[str, ...]:
    """Write a note of what a plan rests on."""
    return tuple(_sentences(found))


def _sentences(found: Found) -> Iterator[str]:
    plan = found.plan
    if not plan.where:
        how = "; ".join(plan.assumed)
        yield f"nothing is declared, so the model was found by trying: {plan.model} ({how})"
    given = [*(plan.args or ()), *(f"{name}={text}" for name, text in plan.kwargs)]
    yield f"its forward is called with {', '.join(given) or 'no arguments'}"
    if plan.loss:
        yield f"the loss is {plan.loss}, called with the model and {', '.join(plan.loss_args)}"
        return
    if found.labels:
        yield f"the loss is what the model returns once it is given {found.labels}"
    elif found.has_loss:
        yield "the loss is in what the model returns"
    else:
        yield "no loss was found in the file"
