"""`rule` prints the page of a rule, `rules` lists them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scaleaudit.cli.options import rule_folders
from scaleaudit.console import wants_colour
from scaleaudit.errors import ConfigError


@click.command()
@click.argument("code")
@rule_folders
def rule(code: str, rule_paths: tuple[Path, ...]) -> None:
    """Print the page of a rule."""
    from scaleaudit.config import did_you_mean
    from scaleaudit.rules.loader import load_rules

    pages = {found.code: found.page for found in load_rules(rule_paths)}
    page = pages.get(code.upper())
    if page is None:
        raise ConfigError(
            f"no rule has the code {code!r}{did_you_mean(code.upper(), pages)}",
            hint="List the rules with `scaleaudit rules`.",
        )
    if not wants_colour(sys.stdout):
        click.echo(page, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(force_terminal=True).print(Markdown(page))


@click.command()
@rule_folders
def rules(rule_paths: tuple[Path, ...]) -> None:
    """List the rules."""
    from scaleaudit.rules.loader import load_rules

    found = load_rules(rule_paths)
    width = max(len(rule.name) for rule in found)
    for rule in found:
        click.echo(f"{rule.code}  {rule.severity.value:<7}  {rule.name:<{width}}  {rule.summary}")
