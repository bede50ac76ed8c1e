from __future__ import annotations

from pathlib import Path

import pytest

from scaleaudit.domain.facts import (
    Coverage,
    Gain,
    LoopFacts,
    LossSource,
    Opaque,
    Penalty,
    PenaltyFlaw,
    ProofStep,
    Readout,
    ScaleFacts,
    StateFacts,
    Supervision,
    Transition,
    Visibility,
)
from scaleaudit.domain.graph import Location, Note, NoteKind
from scaleaudit.isolation.buffers import Kept
from scaleaudit.isolation.jobs import (
    End,
    How,
    Job,
    Limits,
    RawOutcome,
    Trouble,
    TroubleKind,
    decode_job,
    encode_job,
    encode_trouble,
    encode_value,
)
from scaleaudit.isolation.judging import judge

HERE = Location("model.py", 3, 1, 3, 9)
STEP = ProofStep(HERE, "aten.add.Tensor", None, "unknown")
OPAQUE = Opaque("custom.op", None, "no law")
FACTS = ScaleFacts(
    (
        LoopFacts(
            "Model.forward",
            4,
            HERE,
            (
                StateFacts(
                    "h", (1, 2), "float32", HERE, Transition.LINEAR, Visibility.UNKNOWN,
                    readouts=(
                        Readout("y", Visibility.VISIBLE, 0.5, True, (1, 4), HERE, (STEP,), (OPAQUE,)),
                    ),
                    penalties=(Penalty("p", 2.0, None, PenaltyFlaw.DETACHED, (STEP,), (OPAQUE,)),),
                    gain=Gain(float("-inf"), float("inf"), True, True, True, HERE),
                ),
            ),
        ),
    ),
    Coverage(
        3, (OPAQUE,), (Note(NoteKind.ORACLE, "branch", HERE),), 2, (OPAQUE,),
        Supervision(LossSource.FOUND, "loss", ("logits",)),
    ),
    loss_found=True,
)  # fmt: skip
JOB = Job("module:function", ("model.py", "Model"), Limits(3.0, 1 << 20))


WELL = End(How.EXITED)


def _ended(answer: bytes = b"", end: End = WELL, output: str = "") -> RawOutcome:
    return RawOutcome(answer, end, output, 0.5)


def test_facts_survive_the_way_between_processes():
    outcome = judge(_ended(encode_value(FACTS)), JOB, ScaleFacts)
    assert outcome.value == FACTS
    assert outcome.trouble is None


def test_a_job_survives_the_way():
    assert decode_job(encode_job(JOB)) == JOB


def test_trouble_survives_the_way():
    trouble = Trouble(TroubleKind.CAPTURE, "what", "where:1", "hint", "details")
    assert judge(_ended(encode_trouble(trouble)), JOB, ScaleFacts).trouble == trouble


@pytest.mark.parametrize(
    "answer",
    [
        b"x",
        b"v",
        b"v\xc1",
        b"t\x01",
        b"hello, world",
        encode_value(FACTS)[:-7],
        encode_value({"loops": 3}),
        encode_value(FACTS).replace(b"linear", b"sideways"),
        encode_value(FACTS).replace(b"model.py", b"mod\xff\xfe.py"),
        encode_value(["x"] * 1000),
    ],
)
def test_an_answer_that_is_none_is_nonsense(answer):
    trouble = judge(_ended(answer), JOB, ScaleFacts).trouble
    assert trouble is not None
    assert trouble.kind is TroubleKind.NONSENSE


def test_no_answer_means_that_the_code_ended_the_process():
    trouble = judge(_ended(), JOB, ScaleFacts).trouble
    assert trouble is not None
    assert (trouble.kind, "exit code 0" in trouble.message) == (TroubleKind.CRASH, True)


def test_an_answer_does_not_count_after_a_crash():
    trouble = judge(_ended(encode_value(FACTS), end=End.of(-11)), JOB, ScaleFacts).trouble
    assert trouble is not None
    assert "SIGSEGV" in trouble.message


def test_a_kill_from_outside_points_to_memory():
    trouble = judge(_ended(end=End.of(-9)), JOB, ScaleFacts).trouble
    assert trouble is not None
    assert "memory" in trouble.hint


def test_a_signal_without_a_name_is_told_by_number():
    trouble = judge(_ended(end=End.of(-63)), JOB, ScaleFacts).trouble
    assert trouble is not None
    assert "63" in trouble.message


def test_the_innermost_line_of_the_targets_folder_is_where_it_hung(tmp_path):
    model = tmp_path / "model.py"
    frames = [Path("<frozen importlib>"), Path("/usr/lib/time.py"), tmp_path / "blocks.py", model]
    output = "Thread 0x1 (most recent call first):\n" + "".join(
        f'  File "{path}", line {line} in forward\n' for line, path in enumerate(frames, start=7)
    )
    job = Job("module:function", (str(model),))
    trouble = judge(_ended(end=End(How.TIMED_OUT), output=output), job, ScaleFacts).trouble
    assert trouble is not None
    assert trouble.where == f"{tmp_path / 'blocks.py'}:9"


def test_a_bounded_stream_keeps_its_end():
    kept = Kept(4)
    for chunk in (b"abc", b"def"):
        kept.add(chunk)
    assert (bytes(kept), kept.left_out) == (b"cdef", 2)
    assert kept.text() == "[the first 2 bytes are left out]\ncdef"
