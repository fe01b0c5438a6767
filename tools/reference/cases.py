"""A random model of one head, a padded and an unpadded batch, and what transformers computes."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from fixture_file import float32_error
from heads import NUM_CHOICES, Head, Tensors, compute

SHORTEST = 7
ROWS = 2
SEEDS = range(50)


@dataclass(frozen=True)
class Case:
    """`model` holds float32 parameters; `expected` was computed from them in float64.

    `batches`, `expected` and `float32_error` have the keys `padded` and `unpadded`; batches hold
    labels, so `expected` holds the loss. `float32_error` is what rounding costs transformers.
    """

    head: Head
    seed: int
    model: PreTrainedModel
    batches: dict[str, Tensors]
    expected: dict[str, Tensors]
    float32_error: dict[str, float]


def draw(head: Head, seq_len: int, **sizes: Any) -> Case:
    """The first seed whose results float32 rounding does not move too far (`float32_error`)."""
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(seed)
        model = head.build(generator, **sizes)
        batches = {
            name: _batch(head, model, seq_len, shortest, generator)
            for name, shortest in (("padded", SHORTEST), ("unpadded", seq_len))
        }
        rounded = {name: compute(model, head, batch) for name, batch in batches.items()}
        model.double()
        exact = {name: compute(model, head, batch) for name, batch in batches.items()}
        model.float()
        try:
            errors = {name: float32_error(exact[name], rounded[name])["forward"] for name in exact}
        except ValueError:
            continue
        return Case(head, seed, model, batches, exact, errors)
    raise ValueError(f"`{head.name}`: no seed of {SEEDS} is well enough conditioned")


def _batch(
    head: Head, model: PreTrainedModel, seq_len: int, shortest: int, generator: torch.Generator
) -> Tensors:
    """Rows of `seq_len` down to `shortest` valid tokens, with labels."""
    rows = ROWS * NUM_CHOICES if head.has_choices else ROWS
    lengths = torch.linspace(seq_len, shortest, rows).long().tolist()
    batch = head.inputs(model.config, lengths, seq_len, generator)
    return batch | head.labels(model.config, batch["attention_mask"], generator)
