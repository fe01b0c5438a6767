"""Write `crates/interop/tests/fixtures/heads/`: what every class of transformers 4.56.2 computes.

One folder for each head and branch, as `save_pretrained` writes it, with `expected.safetensors`
beside the weights: a padded and an unpadded batch with labels, and outputs and loss in float64.
"""

import shutil
from dataclasses import dataclass

import torch
import transformers
from transformers.utils import logging

from cases import draw
from fixture_file import INTEROP_FIXTURES, save_tensors
from heads import HEADS, Head


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


def generate(head: Head, branch: Branch) -> None:
    """Write one folder."""
    case = draw(head, branch.seq_len, **branch.sizes())
    folder = INTEROP_FIXTURES / "heads" / f"{head.name}_{branch.name}"
    shutil.rmtree(folder, ignore_errors=True)
    case.model.save_pretrained(folder)
    stored = {
        f"{inputs}.{name}": tensor.float() if tensor.is_floating_point() else tensor
        for inputs, batch in case.batches.items()
        for name, tensor in (batch | case.expected[inputs]).items()
    }
    metadata = {
        "head": head.name,
        "branch": branch.name,
        "seed": str(case.seed),
        "float32_error": str(max(case.float32_error.values())),
        "libraries": f"torch {torch.__version__.split('+')[0]}, "
        f"transformers {transformers.__version__}",
        "precision": "computed in float64, stored as float32",
    }
    save_tensors(folder / "expected.safetensors", stored, metadata)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder.name:32} {size / 1024:7.1f} KiB  {metadata['float32_error']}")


def main() -> None:
    """Write every folder."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    for branch in BRANCHES:
        for head in HEADS:
            generate(head, branch)


if __name__ == "__main__":
    main()
