"""Metrics for TensorBoard, where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from scaleaudit.errors import ConfigError
from scaleaudit.reference.metrics import Held, Line

_PACKAGE = "tensorboard"


def is_installed() -> bool:
    """Tell whether TensorBoard is there."""
    return find_spec(_PACKAGE) is not None


class Board:
    """Writes for TensorBoard."""

    def __init__(self, folder: Path, after: int = 0) -> None:
        """Begin, or have what was written of later steps hidden.

        Raises:
            ConfigError: TensorBoard is not installed, or its folder cannot be written.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # an extra
        except ImportError:
            raise ConfigError(
                "--tensorboard needs the package tensorboard, which is not installed",
                hint="Install it with: pip install 'scaleaudit[train]'",
            ) from None
        self._folder = folder
        try:
            self._writer = SummaryWriter(str(folder), purge_step=after + 1 if after else None)
        except OSError as error:
            raise ConfigError(
                f"cannot write into {folder}: {error.strerror}",
                hint="Move what is there away, or leave it out with --no-tensorboard.",
            ) from error

    def tell(self, line: Line | Held) -> None:
        """Write a line of metrics.

        Raises:
            ConfigError: It cannot be written, as of ``close``.
        """
        with self._writing():
            for name, value in _scalars(line).items():
                if value is not None:
                    self._writer.add_scalar(name, value, line.step)

    def close(self) -> None:
        """Write what is left, and no more."""
        with self._writing():
            self._writer.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(
                f"cannot write into {self._folder}: {error.strerror}",
                hint="Make room for it, or leave it out with --no-tensorboard.",
            ) from error


def _scalars(line: Line | Held) -> dict[str, float | None]:
    if isinstance(line, Held):
        return {f"held out/loss at turn {turn}": at for turn, at in enumerate(line.held_out, 1)}
    lengths = {f"length/mean at turn {turn}": at[0] for turn, at in enumerate(line.norms, 1)}
    return {"loss": line.loss, "gradient": line.gradient, **lengths}
