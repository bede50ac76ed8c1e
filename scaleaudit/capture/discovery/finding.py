"""Find the targets of a file that has no target function: its entries, else its models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scaleaudit.capture.discovery.search import Discovery, Search
from scaleaudit.capture.targets import TargetFile
from scaleaudit.domain.plans import Plan
from scaleaudit.errors import NoModelError, TargetError


def find_targets(
    file: TargetFile, entries: tuple[Plan, ...], name: str, seconds: float
) -> Discovery:
    """Return plans for what a file's entries declare, else for the models that it defines.

    Args:
        entries: What the project's settings declare of the file.
        name: The one target that is asked for; empty for all.
        seconds: How long to search.

    Raises:
        TargetError: There is nothing to audit, or nothing of that name.
    """
    search = Search(file.path, file.module, seconds)
    chosen = tuple(plan for plan in entries if not name or plan.name == name)
    if chosen:
        return _completed(search, chosen)
    classes = search.index.classes()
    if name and name not in classes:
        known = [*(plan.name for plan in entries), *classes]
        raise _unknown(file.path, name, known)
    found = search.run(name)
    if not found.plans and not found.failures:
        raise NoModelError(
            f"{file.path} declares no target and defines no model",
            where=str(file.path),
            hint=_SNIPPET,
        )
    return _with_shown_path(found, file.path)


def _completed(search: Search, entries: tuple[Plan, ...]) -> Discovery:
    plans: list[Plan] = []
    failures: list[tuple[str, TargetError, bool]] = []
    for entry in entries:
        try:
            plans.append(search.completed(entry))
        except TargetError as error:
            failures.append((entry.name, error, True))
    return Discovery(tuple(plans), tuple(failures))


def _with_shown_path(found: Discovery, path: Path) -> Discovery:
    return replace(found, plans=tuple(replace(plan, path=str(path)) for plan in found.plans))


def _unknown(path: Path, name: str, known: list[str]) -> TargetError:
    has = f"it has {', '.join(dict.fromkeys(known))}" if known else "it defines no model"
    return TargetError(f"{path} declares no target {name}", where=str(path), hint=has)


_SNIPPET = """declare what to audit, in the same file:

    def scaleaudit_target():
        model = MyModel()
        tokens = torch.randint(0, 256, (2, 64))
        return {"model": model, "args": (tokens, tokens)}"""
