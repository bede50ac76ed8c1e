"""Which rules every file is judged by: pages from the folders, selected as the settings say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from scaleaudit.config import Config, Settings, did_you_mean
from scaleaudit.domain.selection import ALL, ALWAYS_REPORTED, Selection, fits
from scaleaudit.errors import ConfigError

if TYPE_CHECKING:
    from scaleaudit.rules.rule import Rule

_LISTS = ("select", "extend-select", "ignore", "per-file-ignores")


class RuleBook:
    """The rules for every file; a folder of pages is loaded once.

    Args:
        settings: Where selections and folders come from.
        warn: Told, once each, where settings don't do what they seem to.
    """

    def __init__(self, settings: Settings, warn: Callable[[str], None] = lambda _: None) -> None:
        self._settings = settings
        self._warn = warn
        self._warned: set[str] = set()
        self._loaded: dict[tuple[Path, ...], tuple[Rule, ...]] = {}
        self._known: dict[str, tuple[Rule, ...]] = {}

    def for_run(self) -> tuple[Rule, ...]:
        """Return the rules that hold where no file says otherwise.

        Raises:
            ConfigError: Settings are not in order, or name a rule that there is not.
            RuleError: A rule page cannot be loaded.
        """
        return self._chosen(self._settings.for_run(), None)

    def for_file(self, path: str) -> tuple[Rule, ...]:
        """Return the rules that a file is judged by.

        Raises:
            ConfigError: Settings are not in order, or name a rule that there is not.
            RuleError: A rule page cannot be loaded.
        """
        if path not in self._known:
            config = self._settings.for_file(Path(path))
            self._known[path] = self._chosen(config, Path(path))
        return self._known[path]

    def codes(self, path: str) -> tuple[str, ...]:
        """Return the codes of all rules that there are for a file, whether they are asked or not."""
        config = self._settings.for_file(Path(path))
        return tuple(rule.code for rule in self._load(config.rule_paths))

    def meant(self, path: str) -> Path:
        """Return the whole path of a file, or of that which it stands in for."""
        return self._settings.meant(Path(path))

    def _chosen(self, config: Config, path: Path | None) -> tuple[Rule, ...]:
        from scaleaudit.rules.selection import in_force, warnings

        rules = self._load(config.rule_paths)
        selection = self._settings.selection(path)
        self._check(config, selection, rules, path)
        chosen = in_force(rules, selection)
        nothing = () if path else _judging_nothing(chosen)
        for sentence in (*_in_vain(config), *warnings(rules, selection), *nothing):
            if sentence not in self._warned:
                self._warned.add(sentence)
                self._warn(sentence)
        return chosen

    def _load(self, folders: tuple[Path, ...]) -> tuple[Rule, ...]:
        from scaleaudit.rules.loader import load_rules

        if folders not in self._loaded:
            self._loaded[folders] = load_rules(folders)
        return self._loaded[folders]

    def _check(
        self, config: Config, selection: Selection, rules: tuple[Rule, ...], path: Path | None
    ) -> None:
        """Refuse a code or prefix that no rule has, with the place where it is written."""
        codes = sorted({rule.code for rule in rules} | set(ALWAYS_REPORTED))
        for prefix in (*selection.prefixes(), *_everywhere(config)):
            if not prefix or not any(fits(code, prefix) for code in codes):
                meant = did_you_mean(prefix, (*codes, ALL))
                raise ConfigError(
                    f"no rule has the code or prefix {prefix!r}{meant}",
                    where=self._place(config, prefix, path),
                    hint="List the rules with `scaleaudit rules`.",
                )

    def _place(self, config: Config, prefix: str, path: Path | None) -> str:
        named = {
            "select": config.select,
            "extend-select": config.extend_select,
            "ignore": config.ignore,
            "per-file-ignores": _everywhere(config),
        }
        key = next((key for key in _LISTS if prefix in named[key]), "")
        return self._settings.origin(key, path) if key else ""


def _everywhere(config: Config) -> tuple[str, ...]:
    """Return what is left out of some file or other."""
    return tuple(code for each in config.per_file_ignores for code in each.codes)


def _judging_nothing(chosen: tuple[Rule, ...]) -> tuple[str, ...]:
    """Say that a run comes to no finding but of audits that failed."""
    if any(rule.code not in ALWAYS_REPORTED for rule in chosen):
        return ()
    left = " and ".join(ALWAYS_REPORTED)
    return (f"no rule is applied but {left}: whatever can be audited passes",)


def _in_vain(config: Config) -> tuple[str, ...]:
    """Say what cannot be ignored though settings do."""
    named = {*config.ignore, *_everywhere(config)}
    return tuple(
        f"{code} cannot be ignored: without an audit there is no verdict"
        for code in ALWAYS_REPORTED
        if code in named
    )
