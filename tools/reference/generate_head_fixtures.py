"""Write `crates/interop/tests/fixtures/heads/`: what every class of transformers 4.56.2 computes.

One folder for each head and branch, as `save_pretrained` writes it, with `expected.safetensors`
beside the weights: a padded and an unpadded batch with labels, and outputs and loss in float64.
"""

import shutil
from dataclasses import dataclass

import torch
import transformers
from transformers.utils import logging

from fixture_file import INTEROP_FIXTURES, float32_error, save_tensors
from heads import HEADS, NUM_CHOICES, Head, Tensors, compute


@dataclass(frozen=True)
class Branch:
    """Sizes that select one of transformers' two attentions, and a sequence length it accepts."""

    name: str
    seq_len: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    num_landmarks: int
    segment_means_seq_len: int

    def sizes(self) -> dict[str, int]:
        """The configuration's keys."""
        return {
            "vocab_size": 60,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.seq_len,
            "num_landmarks": self.num_landmarks,
            "segment_means_seq_len": self.segment_means_seq_len,
            "conv_kernel_size": 5,
        }


# The wide branch has one layer, the deep one is narrow: together they stay small.
BRANCHES = (
    Branch("nystrom", 24, 24, 2, 2, 32, num_landmarks=4, segment_means_seq_len=24),
    Branch("full", 19, 64, 1, 4, 48, num_landmarks=6, segment_means_seq_len=6),
)
# Draws that float32 rounding moves too far are passed over.
SEEDS = range(20)


def batches(head: Head, branch: Branch, config: object, generator: torch.Generator) -> Tensors:
    """A padded and an unpadded batch with labels, named `padded.*` and `unpadded.*`."""
    rows = 2 * NUM_CHOICES if head.has_choices else 2
    drawn: Tensors = {}
    for name, shortest in (("padded", 7), ("unpadded", branch.seq_len)):
        lengths = torch.linspace(branch.seq_len, shortest, rows).long().tolist()
        batch = head.inputs(config, lengths, branch.seq_len, generator)
        batch |= head.labels(config, batch["attention_mask"], generator)
        drawn |= {f"{name}.{key}": tensor for key, tensor in batch.items()}
    return drawn


def results(model: transformers.PreTrainedModel, head: Head, drawn: Tensors) -> Tensors:
    """Outputs and losses of both batches."""
    computed: Tensors = {}
    for kind in ("padded", "unpadded"):
        prefix = f"{kind}."
        batch = {
            name.removeprefix(prefix): tensor
            for name, tensor in drawn.items()
            if name.startswith(prefix)
        }
        computed |= {f"{prefix}{name}": t for name, t in compute(model, head, batch).items()}
    return computed


def draw(head: Head, branch: Branch, seed: int) -> None:
    """Write one folder from `seed`; `ValueError` if rounding moves its results too far."""
    generator = torch.Generator().manual_seed(seed)
    model = head.build(generator, **branch.sizes())
    drawn = batches(head, branch, model.config, generator)
    rounded = results(model, head, drawn)
    folder = INTEROP_FIXTURES / "heads" / f"{head.name}_{branch.name}"
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    exact = results(model.double(), head, drawn)
    errors = float32_error(exact, rounded)
    metadata = {
        "head": head.name,
        "branch": branch.name,
        "seed": str(seed),
        "float32_error": str(errors["forward"]),
        "libraries": f"torch {torch.__version__.split('+')[0]}, "
        f"transformers {transformers.__version__}",
        "precision": "computed in float64, stored as float32",
    }
    stored = {name: tensor.float() for name, tensor in exact.items()} | drawn
    save_tensors(folder / "expected.safetensors", stored, metadata)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder.name:32} {size / 1024:7.1f} KiB  seed {seed}  {errors['forward']:.1e}")


def generate(head: Head, branch: Branch) -> None:
    """Write one folder from the first seed that is well enough conditioned."""
    for seed in SEEDS:
        try:
            return draw(head, branch, seed)
        except ValueError as error:
            refusal = error
    raise ValueError(f"`{head.name}_{branch.name}`: no seed of {SEEDS} will do") from refusal


def main() -> None:
    """Write every folder."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    for branch in BRANCHES:
        for head in HEADS:
            generate(head, branch)


if __name__ == "__main__":
    main()
