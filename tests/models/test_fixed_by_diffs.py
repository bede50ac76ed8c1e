"""Every diff is applied and audited anew: the finding is gone, and the model still runs."""

from __future__ import annotations

import runpy
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

import pytest
import torch

from scaleaudit.api import audit_facts
from scaleaudit.domain.finding import Finding, FixKind
from scaleaudit.fixing.fixing import with_diffs
from scaleaudit.rules.engine import evaluate
from scaleaudit.rules.loader import load_rules

EXAMPLES = Path(__file__).parents[2] / "examples"
RULES = load_rules()
TARGET = "scaleaudit_target"
P, N, R = FixKind.PENALTY, FixKind.NORM_BETWEEN, FixKind.RAW_READOUT


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def findings_of(path: Path) -> tuple[Finding, ...]:
    facts = audit_facts(str(path), TARGET)
    return with_diffs(evaluate(RULES, str(path), "", facts).findings, facts, _read)


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def diffs(finding: Finding) -> dict[FixKind, str]:
    return {fix.kind: fix.diff for fix in finding.fixes if fix.kind and fix.diff}


def applied(path: Path, diff: str, to: Path) -> Path:
    """Apply a diff with git, to a copy of the file."""
    copy = to / path.relative_to("/")
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(path.read_bytes())
    subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=to, check=True)
    return copy


def shapes(path: Path) -> list[torch.Size]:
    target = runpy.run_path(str(path))[TARGET]()
    model = target["model"].eval()
    found = list(_tensors(model(*target["args"], **target.get("kwargs", {}))))
    loss = target.get("loss")
    if loss is not None:
        assert torch.isfinite(loss(model, *target.get("loss_args", target["args"])))
    return [tensor.shape for tensor in found]


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)
    elif hasattr(value, "__dict__"):
        yield from _tensors(vars(value))


def check(path: Path, finding: Finding, kind: FixKind, folder: Path) -> str:
    """Apply a fix: its finding is gone, and the model gives what it gave. Return what was added."""
    diff = diffs(finding)[kind]
    fixed = applied(path, diff, folder / kind.value / finding.subject.split("`")[1])
    left = {(each.code, each.subject) for each in findings_of(fixed)}
    assert (finding.code, finding.subject) not in left
    assert shapes(fixed) == shapes(path)
    lines = (line for line in diff.splitlines() if line.startswith("+") and line[1:2] != "+")
    return "\n".join(line[1:].strip() for line in lines)


BLIND = {
    "looped_gpt_blind": {("SCL101", "x"): {P, N, R}},
    "exits_blind": {("SCL101", "state"): {N, R}, ("SCL103", "state"): set()},
    "injection_coda_blind": {("SCL101", "latent"): {N, R}},
    # Its head is a Sequential of norm and projection, so that no call norms alone.
    "gru_refinement_blind": {("SCL101", "hypothesis"): {N}},
    # What the loss sees of `fast` goes through `slow`, whose readout is another state's.
    "fast_slow_blind": {("SCL101", "fast"): {N}, ("SCL101", "slow"): {N, R}},
    "damped_injection": {("SCL205", "latent"): {R}},
}


@pytest.mark.parametrize("name", BLIND)
def test_the_fixes_of_an_example_cure_it(name: str, tmp_path: Path) -> None:
    path = EXAMPLES / f"{name}.py"
    found = findings_of(path)
    told = {(f.code, f.subject.split("`")[1]): set(diffs(f)) for f in found}
    assert told == BLIND[name]
    for finding in found:
        for kind in diffs(finding):
            check(path, finding, kind, tmp_path)


@dataclass(frozen=True)
class Idiom:
    """A way to write a loop: its forward, and what each fix adds to it."""

    name: str
    forward: str
    added: dict[FixKind, str]
    imports: str = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"


IDIOMS = (
    Idiom(
        "the loss is a sum over turns",
        """
        def forward(self, x, y):
            h, loss = self.embed(x), 0.0
            for turn in range(4):
                h += self.step(h)
                loss += F.cross_entropy(self.head(self.out_norm(h)).mT, y)
            return loss
        """,
        {
            P: "loss = loss + 0.01 * h.square().mean()",
            N: "h = F.rms_norm(h, h.shape[-1:])",
            R: "loss += F.cross_entropy(self.head(h).mT, y)",
        },
    ),
    Idiom(
        "two values are set at once, and the norm has a line of its own",
        """
        def forward(self, x, y):
            h, seen = self.embed(x), 0
            while seen < 4:
                h, seen = (h
                    + self.step(h)), seen + 1  # über
            h = self.out_norm(h)
            lengths = self.head(h)
            loss = F.cross_entropy(lengths.mT, y)
            return lengths, loss
        """,
        {
            P: "state_lengths = []\nstate_lengths.append(h.square().mean())\n"
            "loss = loss + 0.01 * sum(state_lengths) / max(len(state_lengths), 1)",
            N: "h = F.rms_norm(h, h.shape[-1:])",
            R: "",
        },
    ),
    Idiom(
        "a function makes a turn, another one norms, and both serve the readout alone or not",
        """
        def turn(self, h):
            return h + self.mlp(self.normed(h))

        def normed(self, h):
            return self.norm(h)

        def forward(self, x, y):
            state = self.embed(x)
            for _ in range(4):
                state = self.turn(state)
            logits = self.head(self.normed(state + 0.0))
            return logits, F.cross_entropy(logits.mT, y)
        """,
        {N: "state = F.rms_norm(state, state.shape[-1:])", R: "logits = self.head((state + 0.0))"},
    ),
    Idiom(
        "the norm is a function of torch's, and what stands for it is not imported",
        """
        def forward(self, x, y):
            h = self.embed(x)
            for F in range(4):
                h = h + self.step(h)
            logits = self.head(nn.functional.rms_norm(h, (8,)))
            return logits, nn.functional.cross_entropy(logits.mT, y)
        """,
        {N: "h = nn.functional.rms_norm(h, h.shape[-1:])", R: "logits = self.head(h)"},
    ),
    Idiom(
        "what reads the state does more than to norm it",
        """
        def forward(self, x, y):
            h = self.embed(x)
            for _ in range(4): h = h + self.step(h)
            logits = self.head(self.squashed(h))
            return logits, F.cross_entropy(logits.mT, y)

        def squashed(self, h):
            return F.gelu(h * (h * h).mean(-1, keepdim=True).add(1e-6).rsqrt())
        """,
        {},
    ),
    Idiom(
        "behind the norm of the state another one follows",
        """
        def forward(self, x, y):
            h = self.embed(x)
            for _ in range(4):
                h = h + self.step(h)
            logits = self.head(self.out_norm(self.embed(x) + self.norm(h)))
            return logits, F.cross_entropy(logits.mT, y)
        """,
        {N: "h = F.rms_norm(h, h.shape[-1:])"},
    ),
    Idiom(
        "what is normed is returned as well, and turns are of channels by positions",
        """
        def finished(self, h):
            return self.out_norm(h)

        def forward(self, x, y):
            h = self.embed(x).mT
            for _ in range(4):
                h = h + self.step(h.mT).mT
            done = self.finished(h.mT)
            loss = F.cross_entropy(self.head(done).mT, y)
            return loss, done
        """,
        {
            P: "lengths = []\nlengths.append(h.square().mean())\n"
            "loss = loss + 0.01 * sum(lengths) / max(len(lengths), 1)",
        },
    ),
    Idiom(
        "turns are written out",
        """
        def forward(self, x, y):
            h = self.embed(x)
            h = h + self.step(h)
            h = h + self.step(h)
            h = h + self.step(h)
            logits = self.head(self.out_norm(h))
            loss = F.cross_entropy(logits.mT, y)
            return logits, loss
        """,
        {R: "logits = self.head(h)"},
    ),
    Idiom(
        "states are kept in a list",
        """
        def forward(self, x, y):
            states = [self.embed(x)]
            for _ in range(4):
                states.append(states[-1] + self.step(states[-1]))
            logits = self.head(self.out_norm(states[-1]))
            loss = F.cross_entropy(logits.mT, y)
            return logits, loss
        """,
        {R: "logits = self.head(states[-1])"},
    ),
)


def written(idiom: Idiom) -> str:
    return (
        idiom.imports
        + dedent(
            """

            class Looped(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.embed, self.head = nn.Embedding(16, 8), nn.Linear(8, 16)
                    self.norm, self.out_norm = nn.RMSNorm(8), nn.RMSNorm(8)
                    self.mlp = nn.Linear(8, 8)

                def step(self, h):
                    return self.mlp(self.norm(h))
            """
        )
        + indent(dedent(idiom.forward), "    ")
        + dedent(
            """

            def scaleaudit_target():
                tokens = torch.randint(16, (2, 7))
                return {"model": Looped(), "args": (tokens[:, :-1], tokens[:, 1:])}
            """
        )
    )


@pytest.mark.parametrize("idiom", IDIOMS, ids=lambda idiom: idiom.name)
def test_the_fixes_of_an_idiom_cure_it_and_change_nothing_else(
    idiom: Idiom, tmp_path: Path
) -> None:
    path = tmp_path / "model.py"
    path.write_text(written(idiom))
    (finding,) = (each for each in findings_of(path) if each.code == "SCL101")
    assert {kind: check(path, finding, kind, tmp_path) for kind in diffs(finding)} == idiom.added


def test_ends_of_lines_and_tabs_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    text = written(IDIOMS[0]).replace("    ", "\t").replace("\n", "\r\n")
    path.write_bytes(text.encode())
    (finding,) = findings_of(path)
    diff = diffs(finding)[N]
    fixed = applied(path, diff, tmp_path / "fixed").read_bytes().decode()
    added = "\t\t\th = F.rms_norm(h, h.shape[-1:])\r\n"
    assert fixed.replace(added, "") == text
    assert added in fixed
