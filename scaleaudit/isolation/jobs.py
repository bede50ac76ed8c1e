"""What crosses between the parent and a child: jobs, answers, and what can go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

import msgspec

from scaleaudit.domain.attempts import Certify
from scaleaudit.domain.laws import DeclaredLaw
from scaleaudit.domain.plans import Plan
from scaleaudit.domain.reads import Seen
from scaleaudit.errors import (
    CaptureError,
    ConfigError,
    NoModelError,
    RuleError,
    ScaleAuditError,
    TargetError,
    ran_out_of_memory,
)
from scaleaudit.wire import read_json, read_packed

Value = TypeVar("Value")

# Facts of the largest reference model take about 100 kB; more than this is no answer of ours.
MAX_ANSWER_BYTES = 64 << 20
# Enough for the last screens of a log; user code may print without end.
MAX_OUTPUT_BYTES = 64 << 10

# A thread's stack takes a few kilobytes.
MAX_DUMP_BYTES = 32 << 10

_VALUE, _TROUBLE = b"v", b"t"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may use.

    Attributes:
        seconds: Wall time. Two minutes let the slowest capture measured (64 unrolled loops of
            twelve layers, 16 s on two cores) through on a machine several times slower.
        memory: Bytes of private memory (RLIMIT_DATA). torch alone takes under 1 GiB and fake
            tensors nothing, so 8 GiB leaves room for a model on real tensors, and a runaway
            allocation fails before a laptop swaps.
        spent: Seconds that earlier jobs for the same target took; the time limit is for all.
        certify: Which models are run on numbers as well, which takes more than an audit does.
    """

    seconds: float = 120.0
    memory: int = 8 << 30
    spent: float = 0.0
    certify: Certify = Certify.SMALL

    @property
    def left(self) -> float:
        """Seconds that the job may take."""
        return max(self.seconds - self.spent, 0.0)


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Job:
    """A call to make in a child: ``module:function`` and its text arguments.

    Attributes:
        watched: Whether to tell what it looked at.
    """

    function: str
    arguments: tuple[str, ...]
    limits: Limits = DEFAULT_LIMITS
    watched: bool = False


class TroubleKind(Enum):
    """Why a job has no value; the first five are the errors of scaleaudit.errors.

    A fault is a crash in compiled code, as of what was handed a tensor without memory.
    """

    EMPTY = "empty"
    TARGET = "target"
    CAPTURE = "capture"
    CONFIG = "config"
    RULE = "rule"
    TIME = "time"
    MEMORY = "memory"
    FAULT = "fault"
    CRASH = "crash"
    NONSENSE = "nonsense"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong in a child, in words for the user.

    Attributes:
        details: A traceback, where the fault is ours.
    """

    kind: TroubleKind
    message: str
    where: str = ""
    hint: str = ""
    details: str = ""


class How(Enum):
    """How a child ended.

    A job is unwatched when the process that watches over its child was ended, and abandoned when
    that was the one that starts the children.
    """

    EXITED = "exited"
    KILLED = "killed"
    STOPPED = "stopped"
    TIMED_OUT = "timed-out"
    UNWATCHED = "unwatched"
    ABANDONED = "abandoned"


# Exit code of a child that could not answer; EX_SOFTWARE of sysexits.h.
BROKEN = 70
# What a status pipe says first, once the child's time runs.
STARTED = b"started\n"


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended, with the exit code or the number of the signal that did it."""

    how: How
    number: int = 0

    @classmethod
    def of(cls, code: int) -> End:
        """Read an exit code of which a negative one stands for a signal."""
        return cls(How.KILLED, -code) if code < 0 else cls(How.EXITED, code)

    def line(self) -> bytes:
        """Return the line that says this in a status pipe."""
        return f"{self.how.value} {self.number}\n".encode()

    @classmethod
    def read(cls, line: bytes) -> End:
        """Read such a line."""
        how, number = line.decode().split()
        return cls(How(how), int(number))


@dataclass(frozen=True, slots=True)
class RawOutcome:
    """What a child left behind, unread.

    Attributes:
        dump: The Python stack at a crash or just before the time limit, where it is not a part
            of the output.
    """

    answer: bytes
    end: End
    output: str
    seconds: float
    dump: str = ""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Value]):
    """A job's value or its trouble, and what the user's code printed on the way.

    Attributes:
        seen: What it looked at, where that was asked for and is known.
    """

    value: Value | None
    trouble: Trouble | None
    output: str
    seconds: float
    seen: Seen | None = None


_KINDS: tuple[tuple[type[ScaleAuditError], TroubleKind], ...] = (
    (NoModelError, TroubleKind.EMPTY),
    (TargetError, TroubleKind.TARGET),
    (CaptureError, TroubleKind.CAPTURE),
    (ConfigError, TroubleKind.CONFIG),
    (RuleError, TroubleKind.RULE),
)


def trouble_of(error: ScaleAuditError) -> Trouble:
    """Turn an error for users into its message across the pipe."""
    if ran_out_of_memory(error):
        return out_of_memory(error.where)
    kind = next((kind for cls, kind in _KINDS if isinstance(error, cls)), TroubleKind.TARGET)
    return Trouble(kind, error.message, error.where, error.hint)


def out_of_memory(where: str = "") -> Trouble:
    """Say that the memory limit was met."""
    return Trouble(
        TroubleKind.MEMORY,
        "it asked for more memory than the limit leaves",
        where,
        "Build the model smaller or on the meta device, or raise the limit with --memory-limit.",
    )


def encode_value(value: object) -> bytes:
    """Write a value as MessagePack, which unlike JSON has a word for infinity."""
    return _VALUE + msgspec.msgpack.encode(value)


def encode_trouble(trouble: Trouble) -> bytes:
    """Write a trouble as MessagePack."""
    return _TROUBLE + msgspec.msgpack.encode(trouble)


def encode_job(job: Job) -> bytes:
    """Write a job as MessagePack."""
    return msgspec.msgpack.encode(job)


def decode_answer(data: bytes, expected: type[Value]) -> tuple[Value, None] | tuple[None, Trouble]:
    """Read an answer, a value of the expected type or a trouble.

    Raises:
        msgspec.DecodeError: It is neither.
        UnicodeDecodeError: Some text in it is none.
    """
    tag, body = data[:1], data[1:]
    if tag == _TROUBLE:
        return None, read_packed(body, Trouble)
    if tag == _VALUE:
        return read_packed(body, expected), None
    return None, nonsense("no known kind of answer")


def nonsense(reason: str) -> Trouble:
    """Say that what a child answered is no answer of ours."""
    return Trouble(
        TroubleKind.NONSENSE,
        f"its process ended without a readable answer ({reason})",
        hint="Code that writes to descriptors it did not open does this.",
    )


def encode_plans(plans: tuple[Plan, ...]) -> str:
    """Write plans as the text that a job's argument is."""
    return msgspec.json.encode(plans).decode()


def decode_plans(text: str) -> tuple[Plan, ...]:
    """Read plans."""
    return read_json(text, tuple[Plan, ...])


def encode_laws(laws: tuple[DeclaredLaw, ...]) -> str:
    """Write laws as the text that a job's argument is."""
    return msgspec.json.encode(laws).decode()


def decode_laws(text: str) -> tuple[DeclaredLaw, ...]:
    """Read laws."""
    return read_json(text, tuple[DeclaredLaw, ...])


def decode_job(data: bytes) -> Job:
    """Read a job."""
    return read_packed(data, Job)
