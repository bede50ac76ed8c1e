"""The folder of a training: what lies in it, and whether a training may use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import msgspec

from scaleaudit.domain.training import Text, TrainingPlan
from scaleaudit.errors import ConfigError
from scaleaudit.files import read_file, replacing
from scaleaudit.reference.config import CONDITIONS, SIZES, ReferenceConfig
from scaleaudit.wire import read_json

_FLAGS = {"every": "log-every", "precision": "dtype", "packages": "installed-packages"}
_TEXT_FLAGS = {"config": "dataset-config", "column": "text-column"}


@dataclass(frozen=True, slots=True)
class Card:
    """What a run's ``config.json`` says.

    Attributes:
        text: What is trained on, in words.
        fingerprint: What tells this text apart, in this encoding.
        steps: Where it was said to end; None for what the recipe says.
        save_every: Steps between two checkpoints, as last said.
    """

    plan: TrainingPlan
    model: ReferenceConfig
    text: str
    fingerprint: str
    steps: int | None = None
    save_every: int | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of a run.

    ``checkpoint`` is the model, for whoever uses it; ``state`` is all that a training goes on
    from; ``metrics`` are written as they come, and ``traces`` made of them.
    """

    path: Path

    @property
    def config(self) -> Path:
        """What the run is, as JSON."""
        return self.path / "config.json"

    @property
    def checkpoint(self) -> Path:
        """The model as last saved."""
        return self.path / "checkpoint.safetensors"

    @property
    def state(self) -> Path:
        """What the run goes on from."""
        return self.path / "state.safetensors"

    @property
    def metrics(self) -> Path:
        """What the run went through, as JSON lines."""
        return self.path / "metrics.jsonl"

    @property
    def traces(self) -> Path:
        """The same in the form of a probe's traces."""
        return self.path / "traces.jsonl"

    @property
    def board(self) -> Path:
        """What TensorBoard reads."""
        return self.path / "tensorboard"

    def card(self) -> Card | None:
        """Return what the run is; None where none was begun.

        Raises:
            ConfigError: It cannot be read.
        """
        try:
            return read_json(read_file(self.config).decode(), Card)
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise ConfigError(
                f"--out {self.path} cannot be written: a part of this path is a file",
                hint="Train in another folder with --out.",
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self.config} does not say what was trained: {error}",
                hint="Train in another folder with --out.",
            ) from error

    def begin(self, card: Card) -> None:
        """Make the folder, and write down what is trained in it.

        Raises:
            ConfigError: It cannot be made.
        """
        self.make()
        with self._written(), replacing(self.config) as temporary:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(card)) + b"\n")

    def make(self) -> None:
        """Make the folder.

        Raises:
            ConfigError: It cannot be made.
        """
        with self._written():
            self.path.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(
                f"--out {self.path}: {error.strerror}",
                hint="Train in another folder with --out.",
            ) from error

    def check(self, plan: TrainingPlan, *, resume: bool) -> None:
        """Refuse a folder with another run in it, or none where one is to go on.

        Raises:
            ConfigError: It must not be used.
        """
        found = self.card()
        if found is None and resume:
            raise ConfigError(
                f"there is no run in {self.path} to go on with", hint="Leave --resume out."
            )
        if found is not None and not resume:
            raise ConfigError(
                f"{self.path} holds a run already: {titled(found.plan)}",
                hint="Let it go on with --resume, or give another folder with --out.",
            )
        if resume and self.checkpoint.exists() and not self.state.exists():
            raise ConfigError(
                f"{self.state} is not there, and without it the training of "
                f"{self.checkpoint.name} cannot go on",
                hint=f"Put it back; to begin anew, give another folder with --out, or move "
                f"{self.checkpoint.name} away.",
            )
        if found is not None and found.plan != plan:
            raise ConfigError(
                f"the run in {self.path} is another one: {differences(found.plan, plan)}",
                hint="Leave these out, or train in another folder with --out.",
            )


def model_of(plan: TrainingPlan) -> ReferenceConfig:
    """Return the model that a plan trains."""
    return ReferenceConfig(SIZES[plan.size], CONDITIONS[plan.condition], plan.turns)


def titled(plan: TrainingPlan) -> str:
    """Return what to call a training."""
    condition = plan.condition.replace("_", "-")
    return f"{condition} at size {plan.size}, seed {plan.seed}"


def differences(there: TrainingPlan, here: TrainingPlan) -> str:
    """Say by their flags what two plans differ in."""
    pairs = [
        (_FLAGS.get(each.name, each.name), getattr(there, each.name), getattr(here, each.name))
        for each in fields(TrainingPlan)
        if each.name != "text"
    ]
    pairs += [
        (
            _TEXT_FLAGS.get(each.name, _FLAGS.get(each.name, each.name)),
            getattr(there.text, each.name),
            getattr(here.text, each.name),
        )
        for each in fields(Text)
    ]
    return "; ".join(
        f"--{flag.replace('_', '-')} is {_said(old)} there and {_said(new)} here"
        for flag, old, new in pairs
        if old != new
    )


def _said(value: object) -> object:
    return getattr(value, "value", "not given" if value is None else value)
