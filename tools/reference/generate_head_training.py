"""Write `crates/learner/tests/fixtures/heads/`: twenty optimizer steps of every head with a loss.

Each file holds the weights to start from, twenty batches with labels, and the loss of every batch
under `torch.optim.AdamW`, in float32 and in float64. No dropout, no clipping, a constant learning
rate; weights decay, biases and layer norms do not. The model is that of transformers 4.56.2.
"""

import copy
import json

import torch
import transformers
from torch.optim import AdamW
from transformers import PreTrainedModel
from transformers.utils import logging

from fixture_file import LEARNER_FIXTURES, save_tensors
from heads import HEADS, NUM_CHOICES, Head, Tensors

STEPS = 20
SEQ_LEN = 16
ROWS = 4
SETTINGS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-6}
WEIGHT_DECAY = 0.01
SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": SEQ_LEN,
    "num_landmarks": 4,
    "segment_means_seq_len": SEQ_LEN,
    "conv_kernel_size": 5,
}
# What rounding alone may cost; a file that drifts further would test nothing.
DRIFT_LIMIT = 1e-4
# What the updates must change at least in some loss, beside the same batches on the first weights.
EFFECT = 2e-2


def draw_batches(head: Head, model: PreTrainedModel, generator: torch.Generator) -> Tensors:
    """Twenty batches, stacked; every second row is padded."""
    rows = NUM_CHOICES * (ROWS // 2) if head.has_choices else ROWS
    batches: list[Tensors] = []
    for _ in range(STEPS):
        lengths = torch.randint(5, SEQ_LEN, (rows,), generator=generator)
        lengths[::2] = SEQ_LEN
        batch = head.inputs(model.config, lengths.tolist(), SEQ_LEN, generator)
        batches.append(batch | head.labels(model.config, batch["attention_mask"], generator))
    return {name: torch.stack([batch[name] for batch in batches]) for name in batches[0]}


def decay_groups(model: PreTrainedModel) -> list[dict[str, object]]:
    """Every parameter once: those that decay, then biases and layer norms."""
    decayed, exempt = [], []
    for name, parameter in model.named_parameters():
        plain = name.endswith("bias") or "LayerNorm" in name
        (exempt if plain else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": exempt, "weight_decay": 0.0},
    ]


def train(
    start: PreTrainedModel, batches: Tensors, dtype: torch.dtype, lr: float = SETTINGS["lr"]
) -> torch.Tensor:
    """The loss of each batch before the update it causes."""
    model = copy.deepcopy(start).to(dtype)
    optimizer = AdamW(decay_groups(model), **(SETTINGS | {"lr": lr}))
    losses = []
    for step in range(STEPS):
        batch = {
            name: stacked[step].to(dtype) if stacked.is_floating_point() else stacked[step]
            for name, stacked in batches.items()
        }
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def generate(head: Head, seed: int) -> None:
    """Draw, train twice and store one head."""
    generator = torch.Generator().manual_seed(seed)
    model = head.build(generator, **SIZES)
    batches = draw_batches(head, model, generator)
    # Dropout probabilities are zero, so training and evaluation mode compute the same.
    exact = train(model, batches, torch.float64)
    rounded = train(model, batches, torch.float32)
    drift = ((rounded - exact).abs() / exact).max().item()
    if drift > DRIFT_LIMIT:
        raise ValueError(f"`{head.name}`: float32 drifts by {drift:.1e}, draw another seed")
    effect = ((train(model, batches, torch.float64, lr=0.0) - exact).abs() / exact).max().item()
    if effect < EFFECT:
        raise ValueError(f"`{head.name}`: the updates change no loss by more than {effect:.1e}")
    tensors = {f"param.{name}": tensor for name, tensor in model.named_parameters()}
    tensors |= {f"batch.{name}": tensor for name, tensor in batches.items()}
    tensors |= {"losses_f64": exact, "losses_f32": rounded}
    metadata = {
        "config": json.dumps(model.config.to_diff_dict() | {"semantics": "hf"}),
        "optimizer": json.dumps(SETTINGS | {"weight_decay": WEIGHT_DECAY}),
        "float32_drift": f"{drift:.1e}",
        "libraries": f"torch {torch.__version__.split('+')[0]}, "
        f"transformers {transformers.__version__}",
    }
    path = LEARNER_FIXTURES / "heads" / f"{head.name}.safetensors"
    save_tensors(path, tensors, metadata)
    print(
        f"{path.name:36} {path.stat().st_size / 1024:6.1f} KiB  "
        f"loss {exact[0]:.4f} to {exact[-1]:.4f}, drift {drift:.1e}, "
        f"effect {effect:.1e}"
    )


def main() -> None:
    """Write every file."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    for seed, head in enumerate(HEADS):
        if head.name != "base_model":
            generate(head, seed)


if __name__ == "__main__":
    main()
