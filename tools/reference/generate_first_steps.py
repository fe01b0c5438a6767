"""Write `crates/learner/tests/fixtures/first_steps/`: the first fifty steps of fine-tuning, from files to losses.

For each of our tasks `ner`, `qa` and `choice` a folder with a tiny data set and the model to start from, as `save_pretrained`
writes it, and `losses.json`: what transformers' head loses on each batch under PyTorch, in the order of the file, by the
recipe of `run_ner`, `run_qa` and `run_swag` (`first_steps.py`): AdamW whose biases and norms do not decay, a linear schedule,
gradients clipped to a norm of 1. No dropout. All rows are padded to one length, with which transformers' Nyström attention
works at all. The tokenizer of all three is `tokenizer.json`.
"""

import copy
import json
from collections.abc import Sequence

import torch
import transformers
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from transformers import NystromformerConfig, PreTrainedModel, get_scheduler
from transformers.utils import logging

from first_steps import RECIPES, SEQ_LEN, Recipe, Row, make_tokenizer
from fixture_file import LEARNER_FIXTURES, randomise, save_json, save_tensors
from generate_head_training import DRIFT_LIMIT, EFFECT, decay_groups

STEPS = 50
BATCH_SIZE = 4
SETTINGS = {"lr": 5e-4, "betas": (0.9, 0.999), "eps": 1e-8}
FOLDER = LEARNER_FIXTURES / "first_steps"
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": SEQ_LEN,
    "num_landmarks": 4,
    "segment_means_seq_len": SEQ_LEN,
    "conv_kernel_size": 5,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}


def build(recipe: Recipe, vocab_size: int, generator: torch.Generator) -> PreTrainedModel:
    """The model to start from."""
    labels = {}
    if recipe.labels:
        labels = {
            "id2label": dict(enumerate(recipe.labels)),
            "label2id": {label: index for index, label in enumerate(recipe.labels)},
        }
    config = NystromformerConfig(
        vocab_size=vocab_size, architectures=[recipe.model.__name__], **SIZES, **labels
    )
    model = recipe.model(config).eval()
    randomise(model.named_parameters(), generator)
    return model


def train(
    recipe: Recipe,
    start: PreTrainedModel,
    rows: Sequence[Row],
    dtype: torch.dtype,
    lr: float = SETTINGS["lr"],
) -> torch.Tensor:
    """The loss of each batch before the update that it causes."""
    model = copy.deepcopy(start).to(dtype)
    optimizer = AdamW(decay_groups(model), **(SETTINGS | {"lr": lr}))
    schedule = get_scheduler("linear", optimizer, 0, STEPS)
    losses = []
    for step in range(STEPS):
        places = range(step * BATCH_SIZE, (step + 1) * BATCH_SIZE)
        optimizer.zero_grad()
        loss = recipe.loss(model, [rows[place % len(rows)] for place in places])
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach().double())
    return torch.stack(losses)


def main() -> None:
    """Write every file."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    tokenizer = make_tokenizer()
    FOLDER.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(FOLDER)
    (FOLDER / "special_tokens_map.json").unlink(missing_ok=True)
    losses = {}
    for seed, recipe in enumerate(RECIPES):
        folder = FOLDER / recipe.name
        rows = recipe.make(seed, tokenizer, folder)
        model = build(recipe, len(tokenizer), torch.Generator().manual_seed(seed))
        exact = train(recipe, model, rows, torch.float64)
        rounded = train(recipe, model, rows, torch.float32)
        drift = ((rounded - exact).abs() / exact).max().item()
        if drift > DRIFT_LIMIT:
            raise ValueError(f"`{recipe.name}`: float32 drifts by {drift:.1e}, draw another seed")
        still = train(recipe, model, rows, torch.float64, lr=0.0)
        effect = ((still - exact).abs() / exact).max().item()
        if effect < EFFECT:
            raise ValueError(f"`{recipe.name}`: the updates change no loss by more than {effect:.1e}")
        save_tensors(
            folder / "model.safetensors", dict(model.named_parameters()), {"format": "pt"}
        )
        config = model.config.to_diff_dict()
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        losses[recipe.name] = exact.tolist()
        print(
            f"{recipe.name}: {len(rows)} units, loss {exact[0]:.4f} to {exact[-1]:.4f}, "
            f"drift {drift:.1e}, effect {effect:.1e}"
        )
    libraries = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
    save_json(FOLDER / "losses.json", {"libraries": libraries, **losses})


if __name__ == "__main__":
    main()
