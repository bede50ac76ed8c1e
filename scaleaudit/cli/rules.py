"""`rule` prints the page of a rule, tries pages and writes new ones; `rules` lists them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scaleaudit.cli.manners import colour_flag, use_colour
from scaleaudit.cli.options import rule_folders
from scaleaudit.cli.outcomes import EXIT_CLEAN, EXIT_FOUND
from scaleaudit.console import Progress, say, write_atomically
from scaleaudit.errors import ConfigError, RuleError

if TYPE_CHECKING:
    from scaleaudit.rules.rule import Rule
    from scaleaudit.tryout import Tried

_SHOW = "show"


class PageGroup(click.Group):
    """A group whose commands have names, and any other word of which is the code of a rule."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what names no command for the arguments of the one that prints a page."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Say that a code will do."""
        formatter.write_usage(ctx.command_path, "CODE [--rules DIR]...")
        formatter.write_usage(ctx.command_path, "test|new ...", prefix="  or:  ")


@click.group(cls=PageGroup)
def rule() -> None:
    """Print the page of a rule; try the examples of pages; write a new page."""


@rule.command(name=_SHOW, hidden=True)
@click.argument("code")
@rule_folders
@colour_flag
def show(code: str, rule_paths: tuple[Path, ...]) -> None:
    """Print the page of a rule."""
    from scaleaudit.config import did_you_mean

    pages = {found.code: found.page for found in _load(rule_paths)}
    page = pages.get(code.upper())
    if page is None:
        raise ConfigError(
            f"no rule has the code {code!r}{did_you_mean(code.upper(), pages)}",
            hint="List the rules with `scaleaudit rules`.",
        )
    if not use_colour(sys.stdout):
        click.echo(page, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(force_terminal=True).print(Markdown(page))


@rule.command()
@click.argument(
    "paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path)
)
@rule_folders
def test(paths: tuple[Path, ...], rule_paths: tuple[Path, ...]) -> int:
    """Run the examples of pages: a page, a folder of pages, or all that are in use.

    Every line of Bad that is marked `# finding: CODE` must have that finding, and the rule must be
    silent on all others. Exit code: 0 all do; 1 some don't, or a page is not in order.
    """
    from scaleaudit.rules.loader import shipped_folder
    from scaleaudit.tryout import try_pages

    folders = (*paths, *rule_paths)
    progress = Progress(sys.stderr)
    try:
        tried = try_pages(folders or (shipped_folder(), *_configured()), progress.show)
    finally:
        progress.clear()
    click.echo(_summary(tried), nl=False)
    return EXIT_FOUND if tried.mistakes else EXIT_CLEAN


@rule.command()
@click.argument("code")
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to put the page into.  [default: the first of rule-paths, else rules]",
)
def new(code: str, name: str, folder: Path | None) -> None:
    """Write a page to fill in, with a code of your own as ACME101 and a name as-words.

    It is in order at once, and its examples pass.
    """
    from scaleaudit.rules.declaration import check_names
    from scaleaudit.rules.scaffold import new_page

    folder = folder or next(iter(_configured()), Path("rules"))
    check_names(code, name)
    taken = next(
        (each for each in _load((folder,) if _has_pages(folder) else ()) if each.code == code), None
    )
    if taken is not None:
        raise RuleError(f"the code {code} is taken", where=taken.path, hint="Pick another number.")
    page = folder / f"{code}-{name}.md"
    if page.exists():
        raise ConfigError("there is such a page already, and it is left as it is", where=str(page))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the folder cannot be made: {error}", where=str(folder)) from None
    write_atomically(page, new_page(code, name))
    say(
        f"wrote {page}: say in it what the rule reports and why, then run `scaleaudit rule test {page}`"
    )


@click.command()
@rule_folders
def rules(rule_paths: tuple[Path, ...]) -> None:
    """List the rules, with how settled they are."""
    found = _load(rule_paths)
    width = max(len(rule.name) for rule in found)
    for rule in found:
        click.echo(
            f"{rule.code}  {rule.severity.value:<7}  {rule.status.value:<10}  {rule.name:<{width}}  "
            f"{rule.summary}"
        )


def _load(folders: tuple[Path, ...]) -> tuple[Rule, ...]:
    from scaleaudit.rules.loader import load_rules

    return load_rules(tuple(dict.fromkeys((*_configured(), *folders))))


def _configured() -> tuple[Path, ...]:
    from scaleaudit.config import Settings

    return Settings().for_run().rule_paths


def _has_pages(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.md"))


def _summary(tried: Tried) -> str:
    """Tell of every mistake as file:line, then of all in one line."""
    from scaleaudit.report.terminal import printable

    lines = []
    for mistake in tried.mistakes:
        lines.append(f"{mistake.where}: {mistake.message}")
        lines += [f"  {mistake.hint}"] if mistake.hint else []
    count = len(tried.mistakes)
    ran = f"{len(tried.rules)} page{'s' * (len(tried.rules) != 1)}, {tried.examples} examples"
    wrong = f"{count} mistake{'s' * (count != 1)}" if count else "all as they say"
    return "\n".join([*map(printable, lines), f"{ran}: {wrong}"]) + "\n"
