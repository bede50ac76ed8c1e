"""Finding and loading rule pages: whatever is wrong with a page is refused here, with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scaleaudit.errors import RuleError
from scaleaudit.rules.declaration import RESERVED, declare
from scaleaudit.rules.page import MAXIMUM_SIZE, check_blocks, split
from scaleaudit.rules.rule import Rule

_PACKAGE = Path(__file__).resolve().parent.parent
_SHIPPED = _PACKAGE / "_rule_pages"  # in a wheel
_CHECKOUT = _PACKAGE.parent / "rules"  # beside the package, in a clone

# All but tabs and ends of lines: pages are printed.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def load_rules(extra: tuple[Path, ...] = ()) -> tuple[Rule, ...]:
    """Load the pages shipped with the package and those of more folders, by code.

    Raises:
        RuleError: If a folder holds no pages, a page is not in order, or two share a code.
    """
    found: dict[str, Rule] = {}
    shipped = shipped_folder()
    for folder in (shipped, *extra):
        for path in pages_of(folder):
            rule = load_page(path)
            if rule.code in found:
                raise RuleError(
                    f"the code {rule.code} is taken by {found[rule.code].path}", where=str(path)
                )
            if folder != shipped and rule.code.startswith(RESERVED):
                raise RuleError(
                    f"codes that start with {RESERVED} are kept for the shipped rules",
                    where=str(path),
                    hint="Pick letters of your own, as ACME101.",
                )
            found[rule.code] = rule
    return tuple(found[code] for code in sorted(found))


def load_page(path: Path) -> Rule:
    """Load one page.

    Raises:
        RuleError: If it cannot be read or is not in order; ``where`` names the line.
    """
    text = _read(path)
    if match := _CONTROL.search(text):
        line = text.count("\n", 0, match.start()) + 1
        message = f"the page holds the control character {match.group()!r}"
        raise RuleError(message, where=f"{path}:{line}")
    page = split(text, str(path))
    rule = declare(page, str(path))
    check_blocks(page, rule.code, rule.needs, str(path))
    title = f"{rule.code} {rule.name}"
    if page.title != title:
        raise RuleError(f"the title is not `# {title}`", where=f"{path}:{page.title_line}")
    if path.stem != f"{rule.code}-{rule.name}":
        raise RuleError(f"the file is not called {rule.code}-{rule.name}.md", where=f"{path}:1")
    return rule


def _read(path: Path) -> str:
    """Read a page: a file, since anything else may have no end."""
    try:
        if not path.is_file():
            problem = "it is no file" if path.exists() else "there is no such file"
            raise RuleError(f"the page cannot be read: {problem}", where=str(path))
        with path.open("rb") as file:
            data = file.read(MAXIMUM_SIZE + 1)
        if len(data) > MAXIMUM_SIZE:
            raise RuleError(f"the page is larger than {MAXIMUM_SIZE} bytes", where=str(path))
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise RuleError(
            "the page is not in UTF-8", where=f"{path}:{line}", hint="Save it as UTF-8."
        ) from None
    except OSError as error:
        message = f"the page cannot be read: {error.strerror}"
        raise RuleError(message, where=str(path)) from None


def shipped_folder() -> Path:
    """Return the folder of the pages that come with the package."""
    return _SHIPPED if _SHIPPED.is_dir() else _CHECKOUT


def is_shipped(path: Path) -> bool:
    """Whether a page is one that comes with the package."""
    return path.resolve().parent == shipped_folder().resolve()


def pages_of(folder: Path) -> Iterator[Path]:
    """Yield the pages of a folder, by name.

    Raises:
        RuleError: There is no such folder, or no page in it.
    """
    if not folder.is_dir():
        raise RuleError("no such folder of rule pages", where=str(folder))
    pages = sorted(path for path in folder.glob("*.md") if path.stem.lower() != "readme")
    if not pages:
        raise RuleError("the folder holds no rule pages (*.md)", where=str(folder))
    yield from pages
