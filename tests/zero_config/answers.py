"""What an audit without any declaration must say of the files in ``models``, by the theory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expect:
    """The answer for one class of one file.

    Attributes:
        file: Path below ``models``.
        name: The class that has to be audited: the outermost one, with the loss where one wraps.
        loops: Whether weights recur over a state.
        verdict: As the report spells it.
        codes: Exactly the rules that fire, blank-separated; SCL903 apart.
        maybe: Rules that may fire besides.
        loss: Whether the file says so plainly what is trained on that SCL903 has no place.
    """

    file: str
    name: str
    loops: bool
    verdict: str = "pass"
    codes: str = ""
    maybe: str = ""
    loss: bool = False

    def __str__(self) -> str:
        return f"{self.file}-{self.name}"


GUESSABLE = (
    # Untied layers; the embedding tied to the head is no loop.
    Expect("nano_gpt.py", "GPT", loops=False, loss=True),
    Expect("vit.py", "ViT", loops=False),
    Expect("seq2seq_transformer.py", "Seq2SeqTransformer", loops=False),
    # Pre-norm residuals whose only readout is normed.
    Expect("looped_gpt.py", "LoopedTransformer", True, "fail", "SCL101 SCL302", loss=True),
    # The step's conditioning scales the writes, not the state.
    Expect("denoiser.py", "Denoiser", loops=True, verdict="fail", codes="SCL101"),
    # The norm before the head takes the scale of channel groups over all pixels.
    Expect("lit_iterative_resnet.py", "IterativeResNet", True, "fail", "SCL101", loss=True),
    # A coda of two untied layers stands before the norm: sight fades.
    Expect(
        "depth_recurrent/model.py", "RecurrentDepthLM", True, "fail", "SCL101 SCL302", loss=True
    ),
    # Both states add the other raw one, so they grow together.
    Expect("tiny_recursive.py", "TinyRecursiveNet", True, "fail", "SCL101", "SCL201", loss=True),
    # compute_loss leaves out the one readout that sees the length.
    Expect("adaptive_reader.py", "AdaptiveReader", True, "fail", "SCL101 SCL103", loss=True),
    # The router reads a normed state; what it picks and weighs is added to the raw one.
    Expect("mixture_of_recursions.py", "MoRForCausalLM", True, "fail", "SCL101", loss=True),
    # The ponder cost sees the length, through sigmoids that flatten.
    Expect("universal_transformer.py", "UniversalTransformer", True, "warn", "SCL102", loss=True),
    # The projector reads the raw state.
    Expect("series_forecaster.py", "Model", loops=True),
    # A norm after every run of the stack.
    Expect("modeling_ouroboros.py", "OuroborosForCausalLM", loops=True, loss=True),
    # Both states are post-norm, also where all cycles but the last run without gradients.
    Expect("hrm_act.py", "HierarchicalReasoningModel", loops=True),
    # The hidden state is bounded; the flow is carried, and every estimate of it is a raw readout.
    Expect("raft_small.py", "RAFT", loops=True),
    # A norm ends the layer; the explicit network has layers of its own.
    Expect("deq_classifier.py", "DEQClassifier", loops=True),
    Expect("deq_classifier.py", "ExplicitClassifier", loops=False),
    # The loss head penalises the carried value at every turn.
    Expect("loss_head.py", "ReasonerLossHead", loops=True, loss=True),
    # Recurrences in time: bounded, or without weights in their cycle.
    Expect("rnn_lm.py", "RNNModel", loops=True),
    Expect("mamba_minimal.py", "Mamba", loops=True),
    Expect("rwkv_rnn.py", "RWKV_RNN", loops=True, loss=True),
)

# What these classes are built from is in no file here.
UNGUESSABLE = {"molecule_loop.py": "GraphReasoner", "finetune_head.py": "RefinementModel"}
