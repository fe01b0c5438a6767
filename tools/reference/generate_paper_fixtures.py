"""Write `crates/model/tests/fixtures/paper_*.safetensors`: the `paper` semantics in float64.

Forward values come from `paper_semantics.py`, gradients from `paper_torch.py`; the two are written
apart and every case asserts that they agree to 1e-10 on everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import paper_semantics
import paper_torch
from fixture_file import (
    float32_error,
    random_ids,
    randomise,
    save_model_fixture,
    sparse_labels,
)

PAD_TOKEN_ID = 0
AGREEMENT = 1e-10


@dataclass(frozen=True)
class Case:
    """One fixture. A row of `rows` is its mask: `1` keep, `0` drop, in column order.

    `seed` is the case's place in the list unless most draws would be too ill-conditioned.
    """

    name: str
    about: str
    rows: Sequence[str]
    num_landmarks: int
    attention: str = "nystrom"
    conv_kernel_size: int | None = 5
    pinv_iterations: int = 6
    pinv_init: str = "exact"
    pinv_ridge: float | None = None
    """Of `pinv = "solve"`; `None`: the iteration."""
    num_hidden_layers: int = 2
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of ours."""
    seed: int | None = None

    def config(self) -> dict[str, Any]:
        """Hugging Face's keys, then ours."""
        solves = {"pinv": "solve", "pinv_ridge": self.pinv_ridge}
        return {
            "architectures": ["NystromformerForMaskedLM"],
            "model_type": "nystromformer",
            "vocab_size": 40,
            "hidden_size": 16,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": 2,
            "intermediate_size": 28,
            "hidden_act": "gelu_new",
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "max_position_embeddings": len(self.rows[0]) + 2,
            "type_vocab_size": 2,
            "segment_means_seq_len": len(self.rows[0]),
            "num_landmarks": self.num_landmarks,
            "conv_kernel_size": self.conv_kernel_size,
            "inv_coeff_init_option": False,
            "initializer_range": 0.3,
            "layer_norm_eps": 1e-5,
            "pad_token_id": PAD_TOKEN_ID,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "semantics": "paper",
            "attention": self.attention,
            "pinv_iterations": self.pinv_iterations,
            "pinv_init": self.pinv_init,
            **(solves if self.pinv_ridge else {}),
            **self.keys,
        }


def padded(length: int, *counts: int) -> tuple[str, ...]:
    """Rows of `length` columns whose first `count` tokens are valid."""
    return tuple("1" * count + "0" * (length - count) for count in counts)


CASES = (
    Case("paper_divisible", "24 tokens, 6 landmarks", padded(24, 24, 24), 6),
    Case(
        "paper_uneven", "23 tokens, 5 landmarks: two segments of 4, three of 5", padded(23, 23), 5
    ),
    Case(
        "paper_ragged",
        "rows longer than, equal to and shorter than the landmarks, down to one token",
        padded(18, 18, 13, 5, 4, 1),
        5,
        num_hidden_layers=1,
    ),
    Case(
        "paper_holes",
        "invalid tokens on the left, in the middle, alternating",
        ("000011111111111111", "111100111111001111", "101010101010101010", "010000000000000010"),
        4,
        num_hidden_layers=1,
    ),
    Case(
        "paper_no_convolution",
        "conv_kernel_size null, padded rows",
        padded(17, 17, 11),
        4,
        conv_kernel_size=None,
        num_hidden_layers=1,
    ),
    Case(
        "paper_softmax",
        "exact attention with the convolution; padding and holes",
        ("1" * 18, "111111111110000000", "000111001111111011"),
        6,
        attention="softmax",
        num_hidden_layers=1,
    ),
    Case(
        "paper_pinv_12",
        "twelve iterations, where the inverse has converged",
        padded(20, 20, 15),
        4,
        pinv_iterations=12,
        num_hidden_layers=1,
        seed=99,
    ),
    Case(
        "paper_original_init",
        "one scale for the batch's pseudo-inverses, ragged rows",
        padded(17, 17, 9, 3),
        5,
        pinv_init="original",
        num_hidden_layers=1,
    ),
    Case(
        "paper_solve",
        "the inverse by a solve; rows longer and shorter than the landmarks",
        padded(18, 18, 13, 5, 3),
        5,
        pinv_ridge=1e-2,
        num_hidden_layers=1,
    ),
    Case(
        "paper_both_ends",
        "positions from both ends, and a filter for each channel; padding at the ends and holes",
        ("1" * 18, "111111111110000000", "000111001111111011", "010000000000000000"),
        4,
        num_hidden_layers=1,
        keys={"position_embedding_type": "both_ends", "conv_per_channel": True},
    ),
    Case(
        "paper_rotary",
        "queries and keys turned by their columns before landmarks are made; padding and holes",
        ("1" * 18, "111111111110000000", "000111001111111011"),
        4,
        keys={"position_embedding_type": "rotary"},
    ),
    Case(
        "paper_stem",
        "two residual convolutions behind the embeddings, and positions of a picture's pixels",
        ("1" * 18, "111111111110000000", "000111001111111011"),
        4,
        num_hidden_layers=1,
        keys={
            "position_embedding_type": "axial",
            "image_width": 5,
            "stem_layers": 2,
            "stem_kernel_size": 3,
        },
        seed=100,
    ),
    Case(
        "paper_rotary_softmax",
        "exact attention with rotary positions and a filter for each channel",
        padded(13, 13, 6),
        4,
        attention="softmax",
        num_hidden_layers=1,
        keys={"position_embedding_type": "rotary", "conv_per_channel": True},
    ),
    Case(
        "paper_window",
        "a window of 6 beside 3 landmarks; padding and holes wider than the window",
        ("1" * 20, "11111111111110000000", "00011000000001111011", "01000000000000000000"),
        3,
        keys={"local_window": 6},
    ),
    Case(
        "paper_patches",
        "landmarks of 2 x 2 pixels of pictures of 4 x 6, and positions of their pixels",
        padded(24, 24, 24),
        6,
        keys={
            "landmarks": "patches",
            "position_embedding_type": "axial",
            "image_width": 6,
            "max_position_embeddings": 24,
        },
    ),
    Case(
        "paper_patches_missing",
        "the same of pictures without their last pixels, with padding and holes, and patches of nothing else",
        ("1" * 22, "1" * 13 + "0" * 9, "1100111100111111011111", "0000000010000000000000"),
        6,
        num_hidden_layers=1,
        keys={"landmarks": "patches", "image_width": 6, "max_position_embeddings": 24},
    ),
)


def parameter_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every parameter of `NystromformerForMaskedLM` but the tied ones."""
    hidden, inner, vocab = (
        config[key] for key in ("hidden_size", "intermediate_size", "vocab_size")
    )
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, rows: int, columns: int) -> None:
        shapes[f"{name}.weight"] = (rows, columns)
        shapes[f"{name}.bias"] = (rows,)

    def norm(name: str) -> None:
        shapes[f"{name}.LayerNorm.weight"] = (hidden,)
        shapes[f"{name}.LayerNorm.bias"] = (hidden,)

    embeddings = "nystromformer.embeddings"
    shapes[f"{embeddings}.word_embeddings.weight"] = (vocab, hidden)
    kind, longest = config.get("position_embedding_type", "absolute"), config["max_position_embeddings"]
    if kind in ("absolute", "both_ends"):
        positions = longest + paper_semantics.POSITION_OFFSET
        shapes[f"{embeddings}.position_embeddings.weight"] = (positions, hidden)
    if kind == "both_ends":
        shapes[f"{embeddings}.end_position_embeddings.weight"] = (longest, hidden)
    if kind == "axial":
        width = config["image_width"]
        shapes[f"{embeddings}.row_position_embeddings.weight"] = (-(-longest // width), hidden)
        shapes[f"{embeddings}.column_position_embeddings.weight"] = (width, hidden)
    shapes[f"{embeddings}.token_type_embeddings.weight"] = (config["type_vocab_size"], hidden)
    norm(embeddings)
    for index in range(config.get("stem_layers", 0)):
        stem = f"{embeddings}.stem.{index}"
        shapes[f"{stem}.conv.weight"] = (hidden, hidden, config["stem_kernel_size"])
        shapes[f"{stem}.conv.bias"] = (hidden,)
        norm(stem)
    for index in range(config["num_hidden_layers"]):
        layer = f"nystromformer.encoder.layer.{index}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{layer}.attention.{part}", hidden, hidden)
        if config["conv_kernel_size"] is not None:
            per_channel = config.get("conv_per_channel", False)
            filters = hidden if per_channel else config["num_attention_heads"]
            taps = (filters, 1, config["conv_kernel_size"], 1)
            shapes[f"{layer}.attention.self.conv.weight"] = taps
        norm(f"{layer}.attention.output")
        linear(f"{layer}.intermediate.dense", inner, hidden)
        linear(f"{layer}.output.dense", hidden, inner)
        norm(f"{layer}.output")
    linear("cls.predictions.transform.dense", hidden, hidden)
    norm("cls.predictions.transform")
    shapes["cls.predictions.bias"] = (vocab,)
    return shapes


def run(
    parameters: dict[str, torch.Tensor],
    config: dict[str, Any],
    inputs: dict[str, torch.Tensor],
    dtype: torch.dtype,
) -> dict[str, torch.Tensor]:
    """Forward and backward by `paper_torch` in `dtype`, laid out as a fixture."""
    leaves = {
        name: tensor.detach().to(dtype, copy=True).requires_grad_()
        for name, tensor in parameters.items()
    }
    results = paper_torch.masked_lm(leaves, config, inputs)
    results["loss"].backward()
    tensors = {name: tensor.detach().clone() for name, tensor in results.items()}
    for name, leaf in leaves.items():
        tensors[f"param.{name}"] = leaf.detach()
        tensors[f"grad.{name}"] = leaf.grad
    return tensors


def state_in_numpy(
    parameters: dict[str, torch.Tensor], config: dict[str, Any], inputs: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The forward pass by `paper_semantics`."""
    arrays = {name: tensor.double().numpy() for name, tensor in parameters.items()}
    batch = {name: tensor.numpy() for name, tensor in inputs.items()}
    results = paper_semantics.masked_lm(arrays, config, **batch)
    return {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in results.items()}


def generate(case: Case, seed: int) -> None:
    """Draw, compute twice, compare and store one case."""
    generator = torch.Generator().manual_seed(seed)
    config = case.config()
    shapes = parameter_shapes(config)
    parameters = {name: torch.zeros(shape) for name, shape in shapes.items()}
    randomise(parameters.items(), generator)
    attention_mask = torch.tensor([[int(keep) for keep in row] for row in case.rows])
    shape = tuple(attention_mask.shape)
    ids = random_ids(shape, config["vocab_size"], PAD_TOKEN_ID, generator)
    inputs = {
        "input_ids": torch.where(attention_mask == 1, ids, PAD_TOKEN_ID),
        "attention_mask": attention_mask,
        "token_type_ids": torch.randint(0, 2, shape, generator=generator),
        "labels": sparse_labels(attention_mask, config["vocab_size"], generator),
    }
    exact = run(parameters, config, inputs, torch.float64)
    stated = state_in_numpy(parameters, config, inputs)
    forward = {name for name in exact if not name.startswith(("param.", "grad."))}
    if forward != stated.keys():
        raise AssertionError(f"`{case.name}`: {forward ^ stated.keys()} is computed only once")
    for name, value in stated.items():
        worst = (exact[name] - value).abs().max().item()
        if not worst <= AGREEMENT:
            raise AssertionError(f"`{case.name}`: `{name}` differs by {worst:.3e}")
    rounded = run(parameters, config, inputs, torch.float32)
    facts = {
        "about": case.about,
        "compared_positions": "valid",
        "float32_error": float32_error(exact, rounded),
        "libraries": f"numpy {np.__version__}, torch {torch.__version__.split('+')[0]}",
        "precision": "computed in float64, stored as float32",
        "spare_landmarks": "zero rows and columns in stage.*",
        "tied": "cls.predictions.decoder.weight = nystromformer.embeddings.word_embeddings.weight; "
        "cls.predictions.decoder.bias = cls.predictions.bias",
    }
    save_model_fixture(case.name, exact | stated | inputs, config, facts)


def main() -> None:
    """Write every case."""
    torch.set_num_threads(1)
    for place, case in enumerate(CASES):
        generate(case, place if case.seed is None else case.seed)


if __name__ == "__main__":
    main()
