"""The settings of a run: flags over the nearest file over the defaults.

As ruff has it, what says how a file is judged comes from the settings nearest to that file, and
where there are none, from those nearest to the working directory. Nothing is inherited from a
file of settings further up. What holds for the run as a whole, as its fail level, comes from the
settings nearest to the working directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from scaleaudit.config.files import SettingsFile, files_above, read_file
from scaleaudit.config.keys import Config
from scaleaudit.domain.laws import DeclaredLaw
from scaleaudit.domain.plans import Plan
from scaleaudit.domain.selection import Choice, Selection
from scaleaudit.errors import ConfigError

# Flags for these add to what a file says; those for other keys replace it.
_ADDED = frozenset({"extend_select", "ignore", "rule_paths"})
# Flags that are not called as their keys are.
_FLAGS = {"rule-paths": "--rules"}
_CHOSEN = ("select", "extend_select", "ignore")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where settings come from.

    Attributes:
        flags: What the command line says, by the names that Config has.
        file: The one file of settings to use.
        isolated: Whether no file of settings is read.
        alias: A file that stands in for another of its folder, and that other one.
    """

    flags: Mapping[str, object] = field(default_factory=dict)
    file: Path | None = None
    isolated: bool = False
    alias: tuple[Path, Path] | None = None

    def with_flags(self, flags: Mapping[str, object]) -> Settings:
        """Return these settings with more keys set, by the names that Config has."""
        known = {each.name for each in fields(Config)}
        assert flags.keys() <= known, f"no such settings: {flags.keys() - known}"
        return replace(self, flags={**self.flags, **flags})

    def for_run(self) -> Config:
        """Return what holds for the run.

        Raises:
            ConfigError: A file of settings is not in order.
        """
        return self._over(self._of_run())

    def for_file(self, path: Path) -> Config:
        """Return what holds for a file.

        Raises:
            ConfigError: A file of settings is not in order.
        """
        return self._over(self.source(path))

    def selection(self, path: Path | None = None) -> Selection:
        """Return which rules a file is judged by; without one, those of the run.

        Raises:
            ConfigError: A file of settings is not in order.
        """
        source, config = self.source(path), self.for_file(path) if path else self.for_run()
        found = source.config if source else Config()
        chosen = Choice(found.select, found.extend_select, found.ignore)
        flags = Choice(**{name: self.flags[name] for name in _CHOSEN if name in self.flags})  # type: ignore[arg-type]  # what click read
        here = self.meant(path).resolve() if path else None
        ignores = (each for each in config.per_file_ignores if here and each.mean(here))
        return Selection(
            choices=(chosen, flags),
            ignored_here=tuple(code for each in ignores for code in each.codes),
            preview=config.preview,
        )

    def source(self, path: Path | None = None) -> SettingsFile | None:
        """Return the file of settings that counts for a file, or for the run.

        Raises:
            ConfigError: A file of settings is not in order.
        """
        nearest = self._nearest(path.resolve().parent) if path else None
        return nearest or self._of_run()

    def targets_for(self, path: Path) -> tuple[Plan, ...]:
        """Return the targets that the nearest settings with any for a file declare for it.

        Raises:
            ConfigError: A file of settings is not in order.
        """
        wanted = self.meant(path).resolve()
        for found in self._all(wanted.parent):
            plans = [p for p in found.config.targets if Path(p.path).resolve() == wanted]
            if plans:
                return tuple(replace(plan, path=str(path)) for plan in plans)
        return ()

    def laws_for(self, path: Path) -> tuple[DeclaredLaw, ...]:
        """Return the laws that all settings above a file declare, those of the nearest last.

        Raises:
            ConfigError: A file of settings is not in order.
        """
        found = self._all(path.resolve().parent)
        return tuple(law for file in found[::-1] for law in file.config.laws)

    def meant(self, path: Path) -> Path:
        """Return the whole path of a file, or of that which it stands in for."""
        if self.alias is not None and path.absolute() == self.alias[0].absolute():
            return self.alias[1].absolute()
        return path.absolute()

    def origin(self, key: str, path: Path | None = None) -> str:
        """Say where the value of a key comes from: flags, a line of a file, or the default."""
        source, name = self.source(path), key.replace("-", "_")
        flag = [self._flag(key)] if name in self.flags else []
        replaced = flag and name not in _ADDED
        if "select" in self.flags and name in _CHOSEN:
            replaced = True
        if source is None or key not in source.given or replaced:
            return ", ".join(flag) or "default"
        return ", ".join([str(source.place.at(key)), *flag])

    def _flag(self, key: str) -> str:
        """Name the flag that sets a key as it was set."""
        refused = self.flags[key.replace("-", "_")] is False
        return _FLAGS.get(key, f"--{'no-' if refused else ''}{key}")

    def _over(self, source: SettingsFile | None) -> Config:
        """Put the flags over what a file says."""
        config = source.config if source else Config()
        if "select" in self.flags:  # a new selection starts afresh
            config = replace(config, extend_select=(), ignore=())
        values: dict[str, Any] = dict(self.flags)
        for name in _ADDED & values.keys():
            values[name] = (*getattr(config, name), *values[name])
        return replace(config, **values)

    def _of_run(self) -> SettingsFile | None:
        return self._nearest(Path.cwd())

    def _nearest(self, folder: Path) -> SettingsFile | None:
        return next(iter(self._all(folder, most=1)), None)

    def _all(self, folder: Path, most: int | None = None) -> list[SettingsFile]:
        if self.isolated:
            return []
        if self.file is None:
            return list(islice(files_above(folder), most))
        found = read_file(self.file.resolve())
        if found is None:
            raise ConfigError(
                "has no table [tool.scaleaudit]",
                where=str(self.file),
                hint="Name a file with settings, or leave --config out.",
            )
        return [found]
