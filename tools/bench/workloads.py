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
    "lra-2048": Workload("classification", LONG_RANGE_ARENA, 32, 2048, steps=8, warmup=2),
    "lra-4096": Workload("classification", LONG_RANGE_ARENA, 16, 4096, steps=8, warmup=2),
    "infer-base-512": Workload("inference", BASE, 1, 512, steps=8, warmup=2),
    "infer-base-4096": Workload("inference", BASE, 1, 4096, steps=4, warmup=1),
}
