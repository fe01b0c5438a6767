"""The workloads, by the names and shapes of `bench step` (crates/cli/src/bench/workload.rs)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """What one step computes, and how many of them are worth waiting for on a small machine."""

    task: str
    """`masked_lm`, `classification`, or `inference` (a masked language model's forward pass)."""
    size: dict[str, int]
    """The model's sizes, by Hugging Face's keys."""
    batch: int
    seq_len: int
    steps: int
    """Measured steps."""
    warmup: int
    """Unmeasured steps before them."""
    padded: bool = False
    """Whether rows have padding, as those of fine-tuning do."""

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row that are no padding: `seq_len`, or evenly from a tenth of it upwards."""
        if not self.padded:
            return [self.seq_len] * self.batch
        shares = (SHORTEST + (1 - SHORTEST) * row / (self.batch - 1) for row in range(self.batch))
        return [round(self.seq_len * share) for share in shares]

    @property
    def num_tokens(self) -> int:
        """Tokens per step that are no padding."""
        return sum(self.lengths)


SHORTEST = 0.1
"""The shortest row of a padded workload, as a share of the longest."""

BASE = {
    "vocab_size": 30000,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "num_landmarks": 64,
    "conv_kernel_size": 65,
}
SMALL = BASE | {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}
TINY = BASE | {
    "vocab_size": 4000,
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 512,
}
LONG_RANGE_ARENA = {
    "vocab_size": 512,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "num_landmarks": 128,
    "conv_kernel_size": 35,
}

# Steps and warm-up keep one round (each peer once) under six minutes on two cores.
WORKLOADS = {
    "mlm-base-512": Workload("masked_lm", BASE, 4, 512, steps=4, warmup=2),
    "mlm-base-4096": Workload("masked_lm", BASE, 1, 4096, steps=2, warmup=1),
    "mlm-small-512": Workload("masked_lm", SMALL, 8, 512, steps=8, warmup=2),
    "mlm-tiny-128": Workload("masked_lm", TINY, 2, 128, steps=8, warmup=2),
    "lra-2048": Workload("classification", LONG_RANGE_ARENA, 32, 2048, steps=8, warmup=2),
    "lra-4096": Workload("classification", LONG_RANGE_ARENA, 16, 4096, steps=8, warmup=2),
    "infer-base-512": Workload("inference", BASE, 1, 512, steps=8, warmup=2),
    "infer-base-4096": Workload("inference", BASE, 1, 4096, steps=4, warmup=1),
    "glue-128-padded": Workload("classification", BASE, 16, 128, steps=4, warmup=2, padded=True),
    "imdb-512-padded": Workload("classification", SMALL, 16, 512, steps=8, warmup=2, padded=True),
    "lra-2048-padded": Workload("classification", LONG_RANGE_ARENA, 32, 2048, steps=8, warmup=2, padded=True),
}

OF_THE_PEER = [name for name in WORKLOADS if name != "mlm-tiny-128"]
"""Those that a speed is worth measuring of; the other is for devices that are programs."""
