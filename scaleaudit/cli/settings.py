"""`config` prints the settings in force and where each comes from; `init` writes the first ones."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from scaleaudit.cli.flags import SettingsFlags, read_settings, settings_flags
from scaleaudit.console import say, write_atomically
from scaleaudit.errors import ConfigError

if TYPE_CHECKING:
    from scaleaudit.config import Settings

_STARTER = """\
# Codes or prefixes of the rules to apply; `scaleaudit rules` lists them.
select = ["ALL"]
ignore = []
# The least severity that makes the exit code 1: error, warning or note.
fail-level = "error"
# Whether an undecided target does so, too: fail or warn.
on-unknown = "fail"
"""


class _Flags(SettingsFlags):
    """The options of `config`."""

    path: Path | None
    shown: str


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@settings_flags
@click.option(
    "--format",
    "shown",
    type=click.Choice(["toml", "json"]),
    default="toml",
    show_default=True,
    help="How to print them.",
)
def config(**flags: Unpack[_Flags]) -> None:
    """Print the settings in force and where each comes from: of a file, or of the run."""
    from scaleaudit.choosing import RuleBook

    path, settings = flags["path"], read_settings(flags)
    if path is not None and not path.is_file():
        raise ConfigError(f"no such file: {path}", hint="Name a file that is to be audited.")
    book = RuleBook(settings, lambda text: say(f"warning: {text}"))
    rules = book.for_file(str(path)) if path else book.for_run()
    rows, codes = list(_rows(settings, path)), [rule.code for rule in rules]
    if flags["shown"] == "json":
        click.echo(_as_json(settings, path, rows, codes))
        return
    for line in _as_toml(settings, path, rows, codes):
        click.echo(line)


def _rows(settings: Settings, path: Path | None) -> Iterator[tuple[str, object, str]]:
    """Yield every key with its value as plain data, and where that comes from."""
    from scaleaudit.config import KEYS

    found = settings.for_file(path) if path else settings.for_run()
    for key in KEYS:
        value = getattr(found, key.replace("-", "_"))
        yield key, _plain(key, value), settings.origin(key, path)


def _plain(key: str, value: object) -> object:
    from scaleaudit.config import FileIgnores
    from scaleaudit.config.probes import ProbeSettings

    match value:
        case tuple() if key == "per-file-ignores":
            ignores = [each for each in value if isinstance(each, FileIgnores)]
            return {each.pattern: list(each.codes) for each in ignores}
        case tuple():
            return [_word(each) for each in value]
        case ProbeSettings():
            return {name: _word(each) for name, each in value.given.items()}
        case _:
            return _word(value)


def _word(value: object) -> object:
    from scaleaudit.config.places import seen
    from scaleaudit.domain.laws import DeclaredLaw
    from scaleaudit.domain.plans import Plan

    match value:
        case Enum():
            return value.value
        case Path():
            return seen(value)
        case Plan():
            return f"{seen(Path(value.path))}::{value.name}"
        case DeclaredLaw():
            return value.operator
        case _:
            return value


def _as_json(
    settings: Settings, path: Path | None, rows: list[tuple[str, object, str]], codes: list[str]
) -> str:
    source = settings.source(path)
    document = {
        "file": str(source.place.file) if source else None,
        "settings": {key: {"value": value, "origin": origin} for key, value, origin in rows},
        "rules": codes,
    }
    return json.dumps(document, indent=2)


def _as_toml(
    settings: Settings, path: Path | None, rows: list[tuple[str, object, str]], codes: list[str]
) -> Iterator[str]:
    from scaleaudit.config.places import seen

    source = settings.source(path)
    yield f"# settings from {seen(source.place.file) if source else 'no file'}"
    lines = [(_line(key, value), origin) for key, value, origin in rows]
    width = min(max(len(line) for line, _ in lines), 40)
    for line, origin in lines:
        yield f"{_safe(line):<{width}}  # {_safe(origin)}"
    yield f"# rules: {' '.join(codes)}"


def _line(key: str, value: object) -> str:
    """Write a key; what nobody settled, and what `config` only counts, as a comment."""
    from scaleaudit.config.keys import UNSET

    if value is None:
        return f"# {key}: {UNSET[key]}"
    if key in {"targets", "laws"}:
        return f"# {key}: {', '.join(map(str, value)) if isinstance(value, list) and value else 'none'}"
    return f"{key} = {_toml(value)}"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case Mapping():
            inner = ", ".join(f"{_toml(key)} = {_toml(each)}" for key, each in value.items())
            return f"{{{inner}}}"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def _safe(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


@click.command()
def init() -> None:
    """Write settings to start from.

    They go into pyproject.toml where there is one, else into a new scaleaudit.toml.
    """
    from scaleaudit.config.files import NAMES, PROJECT, read_file

    for name in NAMES:
        if Path(name).exists() and read_file(Path(name).absolute()) is not None:
            raise ConfigError(
                "there are settings already", where=name, hint="Edit them, or remove them first."
            )
    project = Path(PROJECT)
    if project.is_file():
        write_atomically(project, _with_table(project))
        say(f"wrote [tool.scaleaudit] into {project}")
        return
    write_atomically(Path("scaleaudit.toml"), _STARTER)
    say("wrote scaleaudit.toml")


def _with_table(project: Path) -> str:
    """Return what a file holds, every byte of it, with the table behind it."""
    text = project.read_bytes().decode()
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    table = f"[tool.scaleaudit]\n{_STARTER}".replace("\n", newline)
    try:
        tomllib.loads(f"{text}{gap}{table}")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"a table [tool.scaleaudit] does not fit in: {error}",
            where=str(project),
            hint="Write a file scaleaudit.toml by hand.",
        ) from error
    return f"{text}{gap}{table}"
