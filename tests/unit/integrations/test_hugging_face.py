"""The callback with the real Trainer, on a looped model of a user's."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from transformers import PreTrainedConfig, PreTrainedModel, Trainer, TrainingArguments
from transformers.modeling_outputs import CausalLMOutput

import scaleaudit
from scaleaudit.integrations.hugging_face import ScaleCallback

WORDS, WIDTH = 16, 8
pytestmark = [
    # What the trainer and its libraries say of their own future.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*pin_memory:UserWarning"),
]
BLIND = "ignore:step 0. SCL101:scaleaudit.ScaleWarning"


class LoopedConfig(PreTrainedConfig):
    model_type = "looped-test"


class Looped(PreTrainedModel):
    config_class = LoopedConfig
    turns = 3

    def __init__(self, config: LoopedConfig) -> None:
        super().__init__(config)
        self.embedding, self.head = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WORDS)
        self.norm, self.block, self.drop = (
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.Dropout(),
        )
        self.post_init()

    def forward(self, input_ids, labels=None):
        h = self.embedding(input_ids)
        for _ in range(self.turns):
            h = h + self.drop(self.block(self.norm(h)))
        logits = self.head(self.norm(h))
        if labels is None:
            return CausalLMOutput(logits=logits)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return CausalLMOutput(loss=loss, logits=logits)


class OneTurn(Looped):
    turns = 1


def made(folder, callbacks, kind=Looped, steps=5, **how):
    torch.manual_seed(0)
    rows = torch.randint(WORDS, (40, 6)).tolist()
    data = [{"input_ids": row[:-1], "labels": row[1:]} for row in rows]
    arguments = TrainingArguments(
        str(folder),
        max_steps=steps,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        logging_steps=2,
        learning_rate=1e-2,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        **how,
    )
    model = kind(LoopedConfig())
    return Trainer(model, arguments, train_dataset=data, callbacks=callbacks)


@pytest.mark.filterwarnings(BLIND)
def test_lengths_are_in_the_log_and_in_the_traces_and_training_goes_on_as_without(tmp_path):
    out = tmp_path / "traces.jsonl"
    callback = ScaleCallback(out, every=2)
    watched = made(tmp_path, [callback])
    watched.train()
    alone = made(tmp_path, [])
    alone.train()
    assert callback.watch.run.measured == (0, 2, 4)
    assert len(callback.watch.run.losses) == 5
    logged = [line for line in watched.state.log_history if "scaleaudit/h/turn_3" in line]
    assert [line["step"] for line in logged] == [1, 3, 5]
    kept = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["kind"] for line in kept] == ["audit", "run", "sign"]
    last = kept[1]["states"][0]["norms"][-1][-1]["mean"]
    assert last == pytest.approx(logged[-1]["scaleaudit/h/turn_3"])
    ends = zip(watched.model.parameters(), alone.model.parameters(), strict=True)
    assert all(one.equal(other) for one, other in ends)
    assert not watched.model._forward_hooks


@pytest.mark.slow
@pytest.mark.filterwarnings(BLIND)
def test_the_trainers_own_log_sends_lengths_to_all_that_it_reports_to(tmp_path):
    callback = ScaleCallback(every=4)
    trainer = made(tmp_path, [callback], steps=1, bf16=True)
    callback.log_with(trainer.log)
    trainer.train()
    (logged,) = [line for line in trainer.state.log_history if "scaleaudit/h/turn_1" in line]
    assert logged["step"] == 1


@pytest.mark.slow
def test_a_model_without_a_loop_is_trained_all_the_same(tmp_path):
    callback = ScaleCallback()
    trainer = made(tmp_path, [callback], kind=OneTurn, steps=2)
    with pytest.warns(
        scaleaudit.ScaleWarning, match="training goes on without a watch: no weight-"
    ):
        trainer.train()
    assert callback.watch is None
    assert trainer.state.global_step == 2
