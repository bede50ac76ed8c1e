"""Rule pages put to the test: their examples are audited as any file is, in child processes."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scaleaudit.api import Options, audit
from scaleaudit.children import Watch
from scaleaudit.config import Settings
from scaleaudit.domain.report import TargetReport
from scaleaudit.errors import RuleError
from scaleaudit.rules.examples import Mistake, judged, mistakes
from scaleaudit.rules.loader import is_shipped, load_page, load_rules, pages_of
from scaleaudit.rules.rule import Block, Rule


@dataclass(frozen=True, slots=True)
class Example:
    """A code block of a page, and the file that it is audited as."""

    rule: Rule
    block: Block
    file: Path


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of the pages.

    Attributes:
        rules: The pages that could be loaded.
        examples: How many of their code blocks ran.
        verdicts: The verdicts of every example, in the order of the pages.
    """

    rules: tuple[Rule, ...]
    examples: int
    mistakes: tuple[Mistake, ...]
    verdicts: tuple[tuple[Example, tuple[str, ...]], ...] = ()


def read_pages(paths: tuple[Path, ...]) -> tuple[tuple[Rule, ...], tuple[Mistake, ...]]:
    """Load pages, and those of folders; what is wrong with one keeps none of the others.

    Raises:
        RuleError: A folder holds no pages.
    """
    rules: dict[str, Rule] = {}
    wrong: list[Mistake] = []
    for path in (page for given in paths for page in _pages(given)):
        try:
            rule = load_page(path)
        except RuleError as error:
            wrong.append(Mistake(error.where, error.message, error.hint))
            continue
        other = rules.setdefault(rule.code, rule)
        if Path(other.path).resolve() != path.resolve():
            wrong.append(Mistake(f"{path}:2", f"the code {rule.code} is taken by {other.path}"))
    return tuple(rules.values()), tuple(wrong)


def try_pages(paths: tuple[Path, ...], watch: Watch = lambda *_: None) -> Tried:
    """Run the examples of pages, and of the pages of folders.

    Lines that a page marks must have their finding, and its rule must fire on no others. On the
    shipped pages no rule may fire on a line that is not marked for it.

    Raises:
        RuleError: A folder holds no pages.
    """
    rules, wrong = read_pages(paths)
    if not rules:
        return Tried((), 0, wrong)
    with tempfile.TemporaryDirectory(prefix="scaleaudit-") as folder:
        own = tuple(rule for rule in rules if not is_shipped(Path(rule.path)))
        pages = (_copied(own, Path(folder, "pages")),) if own else ()
        examples = tuple(_written(rules, Path(folder)))
        options = Options(preview=True, rule_paths=pages, settings=Settings(isolated=True))
        report = audit([str(example.file) for example in examples], options, watch)
        all_rules = load_rules(pages)
    found = defaultdict[str, list[TargetReport]](list)
    for target in report.targets:
        found[Path(target.path).name].append(target)
    verdicts = []
    for example in examples:
        targets = found[example.file.name]
        reports = tuple(judged(target, example.block, all_rules) for target in targets)
        verdicts.append((example, tuple(each.verdict.value for each in reports)))
        strict = example.rule not in own
        wrong += tuple(mistakes(example.rule, example.block, reports, strict=strict))
    return Tried(rules, len(examples), wrong, tuple(verdicts))


def _pages(path: Path) -> Iterator[Path]:
    return pages_of(path) if path.is_dir() else iter((path,))


def _copied(rules: tuple[Rule, ...], folder: Path) -> Path:
    """Put pages into a folder of their own, away from others that are not asked for."""
    folder.mkdir()
    for rule in rules:
        shutil.copyfile(rule.path, folder / Path(rule.path).name)
    return folder


def _written(rules: tuple[Rule, ...], folder: Path) -> Iterator[Example]:
    """Write the examples of pages to files."""
    for rule in rules:
        for number, block in enumerate(rule.blocks):
            if block.section in ("Bad", "Good"):
                file = folder / f"{rule.code.lower()}_{number}.py"
                file.write_text(block.code, encoding="utf-8")
                yield Example(rule, block, file)
