"""Random models for `check_onnx.py`: every head that has a graph, every switch that its graph depends on.

Parameters are written under the names that our folders have; transformers is not needed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fixture_file import save_tensors
from heads import NUM_CHOICES

MAX_LENGTH = 24
NUM_FEATURES = 5
# Beside one odd number of tokens, rows are one token, fewer than landmarks, no multiple of them, and all.
LENGTHS = (1, 4, 13, 20, MAX_LENGTH)
NUM_LANDMARKS = 6
VOCABULARY = 40
SIZES: Mapping[str, Any] = {
    "model_type": "nystromformer",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "hidden_act": "gelu_new",
    "max_position_embeddings": MAX_LENGTH,
    "type_vocab_size": 2,
    "segment_means_seq_len": MAX_LENGTH,
    "num_landmarks": NUM_LANDMARKS,
    "conv_kernel_size": 5,
    "pad_token_id": 0,
    "id2label": {str(index): f"label {index}" for index in range(3)},
    "semantics": "paper",
    "attention": "nystrom",
    "pinv_iterations": 6,
    "pinv_init": "exact",
}
SEMANTICS: Mapping[str, Mapping[str, Any]] = {
    "paper, Nyström": {},
    "paper, exact": {"attention": "softmax"},
    "hf, Nyström": {"semantics": "hf", "pinv_init": "original"},
    "hf, exact": {
        "semantics": "hf",
        "pinv_init": "original",
        "segment_means_seq_len": NUM_LANDMARKS,
    },
}
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Kind:
    """A head with the keys that it sets, under the named semantics."""

    name: str
    head: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    semantics: tuple[str, ...] = tuple(SEMANTICS)

    def config(self, semantics: str) -> dict[str, Any]:
        """All keys of `config.json`."""
        return {**SIZES, **SEMANTICS[semantics], **self.keys}

    @property
    def reads_vectors(self) -> bool:
        """Whether inputs are feature vectors."""
        return "num_features" in self.keys

    @property
    def has_choices(self) -> bool:
        """Whether inputs are `[batch, choices, seq_len]`."""
        return self.head == "multiple_choice"


PAPER = ("paper, Nyström",)
BOTH_PAPER = ("paper, Nyström", "paper, exact")
VECTORS = {"num_features": NUM_FEATURES, "use_cls_token": True}
STATISTICS = {"feature_mean": [0.5] * NUM_FEATURES, "feature_std": [2.0] * NUM_FEATURES}
UNITS = {
    "problem_type": "regression",
    "label_mean": [10.0, -3.0, 0.5],
    "label_std": [4.0, 0.5, 2.0],
}
KINDS = (
    Kind("base_model", "base"),
    Kind("masked_lm", "masked_lm"),
    Kind("sequence_classification", "sequence"),
    Kind("token_classification", "token"),
    Kind("question_answering", "question"),
    Kind("multiple_choice", "multiple_choice"),
    Kind("pre_training", "pre_training", {"hidden_act": "gelu"}, BOTH_PAPER),
    Kind("dual_encoder", "dual", {"pooling": "mean"}, BOTH_PAPER),
    Kind("sequence: numbers in their units", "sequence", UNITS, PAPER),
    Kind("sequence: pooling mean", "sequence", {"pooling": "mean", "hidden_act": "silu"}, PAPER),
    Kind("sequence: pooling mean_padded", "sequence", {"pooling": "mean_padded"}, PAPER),
    Kind("sequence: pooling attention", "sequence", {"pooling": "attention"}, PAPER),
    Kind(
        "sequence: norm_first without convolution",
        "sequence",
        {"norm_first": True, "conv_kernel_size": None, "classifier_act": "relu"},
        BOTH_PAPER,
    ),
    Kind("masked_lm: feed_forward gated", "masked_lm", {"feed_forward": "gated"}, BOTH_PAPER),
    Kind("masked_lm: shared layers", "masked_lm", {"num_hidden_groups": 1}, PAPER),
    # Not more: roundings alone move an inverse that has converged by more than the limit, ours and onnxruntime's alike.
    Kind("masked_lm: 8 iterations", "masked_lm", {"pinv_iterations": 8}, PAPER),
    Kind("masked_lm: pinv_init original", "masked_lm", {"pinv_init": "original"}, PAPER),
    Kind("masked_lm: pinv solve", "masked_lm", {"pinv": "solve", "pinv_ridge": 1e-2}, PAPER),
    Kind(
        "masked_lm: both ends and filters per channel",
        "masked_lm",
        {"position_embedding_type": "both_ends", "conv_per_channel": True},
        BOTH_PAPER,
    ),
    Kind(
        "sequence: rotary and pooling first_last",
        "sequence",
        {"position_embedding_type": "rotary", "pooling": "first_last"},
        BOTH_PAPER,
    ),
    Kind(
        "sequence: stem of pictures and pooling mean_max",
        "sequence",
        {
            "position_embedding_type": "axial",
            "image_width": 5,
            "stem_layers": 2,
            "stem_kernel_size": 3,
            "pooling": "mean_max",
        },
        PAPER,
    ),
    Kind("dual_encoder: pooling first_last", "dual", {"pooling": "first_last"}, PAPER),
    Kind("bags", "sequence", VECTORS | STATISTICS, BOTH_PAPER),
    Kind(
        "bags: learned positions",
        "sequence",
        VECTORS | {"vector_positions": "learned", "pooling": "attention"},
        PAPER,
    ),
    Kind("bags: grid", "base", VECTORS | {"vector_positions": "grid"}, PAPER),
)


def write_model(kind: Kind, semantics: str, generator: torch.Generator, folder: Path) -> None:
    """A folder of ours with random weights."""
    config = kind.config(semantics)
    tensors = {}
    for name, shape in shapes(kind, config).items():
        noise = torch.randn(shape, generator=generator)
        is_scale = name.endswith("LayerNorm.weight")
        tensors[name] = 1.0 + 0.2 * noise if is_scale else 0.2 * noise
    save_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def shapes(kind: Kind, config: Mapping[str, Any]) -> Shapes:
    """Name and shape of every parameter."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    found: Shapes = {}

    def linear(name: str, outputs: int, inputs: int = width) -> None:
        found[f"{name}.weight"] = (outputs, inputs)
        found[f"{name}.bias"] = (outputs,)

    def norm(name: str) -> None:
        found[f"{name}.LayerNorm.weight"] = found[f"{name}.LayerNorm.bias"] = (width,)

    embeddings = "nystromformer.embeddings"
    if kind.reads_vectors:
        linear(f"{embeddings}.projection", width, NUM_FEATURES)
        found[f"{embeddings}.cls_token"] = (1, 1, width)
        if config.get("vector_positions") == "learned":
            found[f"{embeddings}.position_embeddings.weight"] = (MAX_LENGTH, width)
    else:
        found[f"{embeddings}.word_embeddings.weight"] = (VOCABULARY, width)
        positions = config.get("position_embedding_type", "absolute")
        if positions in ("absolute", "both_ends"):
            found[f"{embeddings}.position_embeddings.weight"] = (MAX_LENGTH + 2, width)
        if positions == "both_ends":
            found[f"{embeddings}.end_position_embeddings.weight"] = (MAX_LENGTH, width)
        if positions == "axial":
            columns = config["image_width"]
            found[f"{embeddings}.row_position_embeddings.weight"] = (-(-MAX_LENGTH // columns), width)
            found[f"{embeddings}.column_position_embeddings.weight"] = (columns, width)
        found[f"{embeddings}.token_type_embeddings.weight"] = (2, width)
        for index in range(config.get("stem_layers", 0)):
            stem = f"{embeddings}.stem.{index}"
            norm(stem)
            found[f"{stem}.conv.weight"] = (width, width, config["stem_kernel_size"])
            found[f"{stem}.conv.bias"] = (width,)
    norm("nystromformer.encoder" if config.get("norm_first") else embeddings)
    layers = range(config["num_hidden_layers"])
    for index in list(layers)[: config.get("num_hidden_groups") or None]:
        layer = f"nystromformer.encoder.layer.{index}"
        for part in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{part}", width)
        if config["conv_kernel_size"]:
            per_channel = config.get("conv_per_channel", False)
            filters = width if per_channel else config["num_attention_heads"]
            taps = (filters, 1, config["conv_kernel_size"], 1)
            found[f"{layer}.attention.self.conv.weight"] = taps
        linear(f"{layer}.attention.output.dense", width)
        linear(f"{layer}.intermediate.dense", inner)
        if config.get("feed_forward") == "gated":
            linear(f"{layer}.intermediate.gate", inner)
        linear(f"{layer}.output.dense", width, inner)
        norm(f"{layer}.attention.output")
        norm(f"{layer}.output")

    labels = len(config["id2label"])
    if kind.head in ("masked_lm", "pre_training"):
        linear("cls.predictions.transform.dense", width)
        norm("cls.predictions.transform")
        found["cls.predictions.bias"] = (VOCABULARY,)
    if kind.head == "pre_training":
        linear("pooler.dense", width)
        linear("sop_classifier", labels)
    if kind.head in ("sequence", "dual"):
        pooled = 2 * width if config.get("pooling") in ("first_last", "mean_max") else width
        name, inputs = ("pair_classifier", 4 * pooled) if kind.head == "dual" else ("classifier", pooled)
        linear(f"{name}.dense", width, inputs)
        linear(f"{name}.out_proj", labels)
        if config.get("pooling") == "attention":
            for part, outputs in (("value", width), ("gate", width), ("score", 1)):
                linear(f"pooling.attention.{part}", outputs)
    if kind.head == "token":
        linear("classifier", labels)
    if kind.head == "question":
        linear("qa_outputs", 2)
    if kind.head == "multiple_choice":
        linear("pre_classifier", width)
        linear("classifier", 1)
    return found


def batch(
    kind: Kind, length: int, padded: bool, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Four rows, or two questions, of `length` places.

    Where they are padded, the first row keeps one token, the second half of them on the left, the
    third has holes, and the last is full.
    """
    rows = 2 * NUM_CHOICES if kind.has_choices else 4
    mask = torch.ones(rows, length, dtype=torch.long)
    if padded:
        mask[0, 1:] = 0
        mask[1, : length // 2] = 0
        mask[2, 1::3] = 0
    if kind.reads_vectors:
        vectors = torch.randn(rows, length, NUM_FEATURES, generator=generator)
        return {"input_features": vectors * mask[:, :, None], "attention_mask": mask}
    ids = torch.randint(1, VOCABULARY, (rows, length), generator=generator)
    types = torch.randint(0, 2, (rows, length), generator=generator)
    inputs = {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": types * mask}
    if kind.has_choices:
        return {name: tensor.unflatten(0, (-1, NUM_CHOICES)) for name, tensor in inputs.items()}
    return inputs
