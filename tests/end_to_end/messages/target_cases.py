"""Targets that cannot be found, run, built, called or recorded, in the process that tries."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from cases import Case

import scaleaudit
from scaleaudit.answers import TargetFacts
from scaleaudit.api import _not_audited
from scaleaudit.capture.archives import Archive, load_contents, open_archive
from scaleaudit.capture.capturing import capture
from scaleaudit.capture.discovery.finding import find_targets
from scaleaudit.capture.programs import ProgramFile, open_programs
from scaleaudit.capture.session import _checked_loss
from scaleaudit.capture.targets import build_plan, load_target, open_file
from scaleaudit.children import Audited
from scaleaudit.domain.finding import Severity
from scaleaudit.domain.graph import NodeKind
from scaleaudit.domain.plans import Plan
from scaleaudit.errors import ScaleAuditError
from scaleaudit.isolation.jobs import Job, Trouble, TroubleKind
from scaleaudit.isolation.runner import OnDemand
from scaleaudit.isolation.spawning import Spawner
from scaleaudit.probe.program import Program
from scaleaudit.pytest_plugin import _word
from scaleaudit.rules.loader import load_rules

_HEAD = "import torch\nfrom torch import nn\n\n\ndef scaleaudit_target():\n"
_FILES = {
    "syntax": "def f(:\n",
    "import_error": "import no_such_package_at_all\n",
    "no_target": "x = 1\n",
    "no_dict": f"{_HEAD}    return 3\n",
    "no_model": f"{_HEAD}    return {{'modl': nn.Linear(2, 2)}}\n",
    "failed": f"{_HEAD}    raise ValueError('no luck')\n",
    "other_name": f"{_HEAD}    return {{'model': nn.Linear(2, 2), 'args': (torch.ones(2),)}}\n",
}
_FAILING = f"{_HEAD}    return {{'model': nn.Linear(2, 2), 'args': (torch.ones(3),)}}\n"
_PICKY = """\
from torch import nn


class Picky(nn.Module):
    def __init__(self, width):
        super().__init__()
        raise TypeError("never")

    def forward(self, x):
        return x
"""
_CONFIG = '{"config": {}}'
_ARCHIVES: dict[str, dict[str, str]] = {
    "empty": {"m/x": ""},
    "compiled": {"m/data/aotinductor/x": ""},
    "old": {"serialized_exported_program.json": ""},
    "no_json": {"m/models/p.json": "{"},
    "no_table": {"m/models/p.json": "[]"},
    "no_weights": {"m/models/p.json": "{}"},
    "weights_not_listed": {"m/models/p.json": "{}", "m/data/weights/p_weights_config.json": "{}"},
    "weight_not_described": {
        "m/models/p.json": "{}",
        "m/data/weights/p_weights_config.json": '{"config": {"w": {}}}',
    },
    "object": {
        "m/models/p.json": "{}",
        "m/data/weights/p_weights_config.json": '{"config": {"w": {"tensor_meta": null, "path_name": "w"}}}',
    },
    "operators": {
        "m/models/p.json": json.dumps(
            {"graph": {"nodes": [{"target": "torch.ops.nolib.noop.default"}]}}
        ),
        "m/data/weights/p_weights_config.json": _CONFIG,
        "m/data/constants/p_constants_config.json": _CONFIG,
    },
    "damaged": {
        "m/models/p.json": "{}",
        "m/data/weights/p_weights_config.json": _CONFIG,
        "m/data/constants/p_constants_config.json": _CONFIG,
    },
}


def _zipped(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def _load_archive() -> None:
    """Load a program; what torch says of it changes from release to release."""
    try:
        load_contents(open_archive(Path("m.pt2")), "p")
    except ScaleAuditError as error:
        message = re.sub(r"(cannot be loaded:).*", r"\1 <torch's words>", error.message)
        hint = error.hint.replace(torch.__version__, "<version>")
        raise ScaleAuditError(message, where=error.where, hint=hint) from None


def _huge() -> None:
    load_contents(Archive(Path("m.pt2"), "m", {"models/p.json": 2 << 30}), "p")


def _other_program() -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = type("Found", (), {"name": "M"})
        patch.setattr("scaleaudit.capture.programs.load_contents", lambda *_: None)
        patch.setattr("scaleaudit.capture.programs._target", lambda *_: found)
        ProgramFile(Archive(Path("m.pt2"), "m", {"models/p.json": 1})).build("q", fake=True)


def _searched(name: str) -> str:
    """Look for targets; those that were given up are told, too."""
    found = find_targets(open_file(Path("m.py")), (), name, 5.0)
    (lost,) = found.failures
    return f"{lost[1].message}\n{lost[1].hint}\n"


def _planned() -> None:
    where = "pyproject.toml: targets[0]"
    build_plan(Plan("m.py", "N", "Linaer(2, 2)", args=(), where=where), fake=True)


def _recorded() -> None:
    capture(load_target(Path("m.py"), "scaleaudit_target"))


def _closed() -> None:
    runner = OnDemand(Spawner)
    runner.close()
    runner.start()


def _closed_while_running() -> None:
    spawner = Spawner()
    spawner.close()
    spawner.run(Job("m:f", ()))


def _reported() -> str:
    trouble = Trouble(TroubleKind.TARGET, "m.py declares no target", "m.py", "Declare one.")
    audited = Audited("m.py", TargetFacts("M", trouble=trouble), "", 0.0)
    return "".join(
        f"{found.code} {found.message}\n" for found in _not_audited(audited, load_rules())
    )


def _program(loss: object) -> None:
    captured = SimpleNamespace(graph=SimpleNamespace(loss=loss))
    Program(captured, SimpleNamespace(loops=()), torch.device("cpu"))


def _started() -> None:
    program = object.__new__(Program)
    program._leaves = {None: SimpleNamespace(kind=NodeKind.INPUT, name="tokens", value=None)}
    program.start({})


def _live() -> Iterator[tuple[str, tuple[object, ...], dict[str, object]]]:
    model = torch.nn.Linear(2, 2)
    yield "class", (torch.nn.Linear,), {}
    yield "no_model", (3,), {}
    yield "loss", (model,), {"loss": 3}
    yield "loss_args", (model,), {"loss": len, "loss_args": [1]}
    yield "loss_args_alone", (model,), {"loss_args": (1,)}
    yield "loss_args_beside_kwargs", (model,), {"loss": len, "loss_args": (1,), "x": 1}
    yield "certify", (model,), {"certify": "always"}


def cases() -> Iterator[Case]:
    """Return every case."""
    for name, text in _FILES.items():
        asked = "gone" if name == "other_name" else "scaleaudit_target"
        yield Case(f"target_{name}", partial(load_target, Path("m.py"), asked), {"m.py": text})
    yield Case("target_gone", partial(load_target, Path("gone.py"), "M"))
    yield Case("target_no_python", partial(load_target, Path("m.txt"), "M"), {"m.txt": "x"})
    yield Case("target_fails_when_called", _recorded, {"m.py": _FAILING})
    yield Case("class_unknown", partial(_searched, "Gone"), {"m.py": _PICKY})
    yield Case("class_none", partial(_searched, ""), {"m.py": "x = 1\n"})
    yield Case("class_not_built", partial(_searched, ""), {"m.py": _PICKY})
    yield Case("plan_with_an_unknown_name", _planned, {"m.py": "from torch.nn import Linear\n"})
    yield Case("loss_no_tensor", partial(_checked_loss, {"loss": 3}))
    yield Case("loss_no_scalar", partial(_checked_loss, torch.zeros(2)))
    for name, members in _ARCHIVES.items():
        yield Case(f"archive_{name}", _load_archive, {"m.pt2": _zipped(members)})
    yield Case("archive_gone", partial(open_programs, Path("gone.pt2")))
    yield Case("archive_none", partial(open_programs, Path("m.pt2")), {"m.pt2": "no zip"})
    yield Case("archive_huge", _huge)
    yield Case("archive_without_the_program", _other_program)
    yield Case("run_stopped_before_it_started", _closed)
    yield Case("run_stopped", _closed_while_running)
    yield Case("target_reported", _reported)
    yield Case("probe_without_a_loss", partial(_program, None))
    yield Case("probe_without_a_loop", partial(_program, 3))
    yield Case("probe_without_a_value", _started)
    for name, args, kwargs in _live():
        yield Case(f"audit_{name}", partial(scaleaudit.audit, *args, **kwargs))
    yield Case("assertion_word", partial(_word, Severity, "fail_level", "fatal"))
