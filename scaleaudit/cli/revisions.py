"""Revisions of a git repository: which there are, and their files in a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scaleaudit.errors import ConfigError

_LINES_SHOWN = 1


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit: as the user named it, and its full name."""

    name: str
    commit: str

    def __str__(self) -> str:
        return f"{self.name} ({self.commit[:10]})"


class Repository:
    """The repository that a folder lies in.

    Raises:
        ConfigError: There is no git, or no repository.
    """

    def __init__(self, folder: Path) -> None:
        if shutil.which("git") is None:
            raise ConfigError("git is not installed, and revisions are read with it")
        self._folder = folder
        root = self._git("rev-parse", "--show-toplevel").strip()
        self.inside = folder.resolve().relative_to(Path(root).resolve())
        self._root = Path(root)

    def find(self, name: str) -> Revision | None:
        """Return the revision of a name; None where there is none."""
        if name.startswith("-"):
            return None
        arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        found = self._run(*arguments)
        return Revision(name, found.stdout.decode().strip()) if found.returncode == 0 else None

    @contextmanager
    def files(self, revision: Revision) -> Iterator[Path]:
        """Put all files of a revision into a folder for a while; yields the folder of this one."""
        with tempfile.TemporaryDirectory(prefix="scaleaudit-") as name:
            folder = Path(name).resolve()
            tree = folder / "tree"
            tree.mkdir()
            # An index of its own leaves the user's alone; an archive would lack what its
            # attributes keep from exports.
            index = {"GIT_INDEX_FILE": str(folder / "index")}
            self._git("read-tree", revision.commit, at=self._root, extra=index)
            self._git("checkout-index", "--all", f"--prefix={tree}/", at=self._root, extra=index)
            here = tree / self.inside
            if not here.is_dir():
                raise ConfigError(f"{revision} has no folder {self.inside}")
            yield here

    def _git(
        self, *arguments: str, at: Path | None = None, extra: Mapping[str, str] | None = None
    ) -> str:
        done = self._run(*arguments, at=at, extra=extra)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()[:_LINES_SHOWN]
            raise ConfigError(
                f"git {arguments[0]} failed: {' '.join(said) or 'it said nothing'}",
                hint="Revisions are compared in a folder of a git repository.",
            )
        return os.fsdecode(done.stdout)

    def _run(
        self, *arguments: str, at: Path | None = None, extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603  # arguments are given one by one, through no shell
            ("git", *arguments),  # noqa: S607  # the user's own git
            cwd=at or self._folder,
            env={**os.environ, **(extra or {})},
            capture_output=True,
            check=False,
        )
