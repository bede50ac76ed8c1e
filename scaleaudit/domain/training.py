"""What a reference model is trained on and how, and how far a training has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# Steps between two checkpoints where nobody says otherwise.
SAVE_EVERY = 500


class Encoding(Enum):
    """What turns text into tokens: bytes as they are, or a byte-pair encoding made for the text."""

    BYTES = "bytes"
    BPE = "bpe"


class Precision(Enum):
    """What matrix products are computed in; weights stay in float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class Text:
    """What is trained on; without a data set the sources of Python's standard library.

    Attributes:
        packages: Whether the sources of installed packages are added to these.
        dataset: A data set's name, its folder, or a file of texts.
        config: Which configuration of the data set.
        column: Which of its columns holds text.
    """

    packages: bool = False
    dataset: str | None = None
    config: str | None = None
    column: str = "text"


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything that the numbers of a training depend on; it stays the same when one goes on.

    Attributes:
        condition: A name of ``reference.config.CONDITIONS``.
        size: A name of ``reference.config.SIZES``.
        seed: What draws the weights and the order of the text.
        batch: Sequences a step, of all processes together.
        accumulate: How many parts of a batch are computed one after another.
        stride: Tokens from the start of one sequence of the text to that of the next.
        clip: Norm to which gradients are clipped.
        every: Steps between two lines of metrics.
        precision: None for bfloat16 on CUDA and float32 elsewhere.
    """

    condition: str
    size: str
    seed: int
    turns: int
    lr: float
    batch: int
    accumulate: int
    stride: int
    weight_decay: float
    clip: float
    every: int
    encoding: Encoding
    precision: Precision | None = None
    text: Text = Text()


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A training that is asked for.

    Attributes:
        out: The folder of the run.
        steps: Where it ends, counted from its first start; None for what the size's recipe says.
        minutes: How long it may take from now on.
        save_every: Steps between two checkpoints; one is made at the end, too.
        resume: Whether the run in the folder goes on.
        device: "auto", or a device as torch names it.
        compile: Whether to compile; None for on CUDA.
        fsdp: Whether weights are divided among the processes, not held by each.
        cache: Where prepared text is kept; None for the user's cache.
        tensorboard: Whether to write for TensorBoard, too; None for where it is installed.
        quiet: Whether to show no progress.
        prepare: Whether only to prepare the text, for a training later on.
    """

    plan: TrainingPlan
    out: str
    steps: int | None = None
    minutes: float | None = None
    save_every: int = SAVE_EVERY
    resume: bool = False
    device: str = "auto"
    compile: bool | None = None
    fsdp: bool = False
    cache: str | None = None
    tensorboard: bool | None = None
    quiet: bool = False
    prepare: bool = False


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far a training has come.

    Attributes:
        norm: Mean length of the state after the last turn.
        pace: Tokens a second.
        left: Seconds that are left, by the pace so far.
    """

    step: int
    steps: int
    loss: float
    norm: float
    pace: float
    left: float


class Ending(Enum):
    """Why a training ended: it was done, its time was up, it was stopped, or a number was none."""

    DONE = "done"
    TIME = "time"
    STOPPED = "stopped"
    OVERFLOWED = "overflowed"


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """How a training ended.

    Attributes:
        step: Steps that were made in all.
        loss: Mean over the last line of metrics, penalties included.
        norms: Mean lengths after every turn, as last measured.
        held_out: Cross-entropy after every turn, on text that was held out.
        pace: Tokens a second, of this start.
    """

    ending: Ending
    step: int
    loss: float
    norms: tuple[float, ...]
    held_out: tuple[float, ...]
    pace: float
