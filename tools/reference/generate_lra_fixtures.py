"""Write `crates/model/tests/fixtures/lra/`: the authors' Long Range Arena classifier in float64.

`lra_model.py` states it. Before a case is written, its parts are held against others' work: the
attention against `paper_torch.py`, which says the same with masks over whole batches, and where it
is exact and without convolution the whole encoder against `torch.nn.TransformerEncoder`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import lra_model
import paper_torch
from fixture_file import FLOAT32_LIMIT, float32_error, random_ids, randomise, save_model_fixture

AGREEMENT = 1e-12
PAD_TOKEN_ID = 0
ATTEMPTS = 50
N = 12
FULL = "1" * N


@dataclass(frozen=True)
class Case:
    """One fixture. A row of `rows` is its mask: `1` keep, `0` drop, in column order."""

    name: str
    about: str
    rows: Sequence[str]
    pooling: str
    attention: str = "nystrom"
    conv_kernel_size: int | None = 3
    dual: bool = False
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of ours."""

    def config(self) -> dict[str, Any]:
        """Hugging Face's keys, then ours."""
        architecture = "DualEncoder" if self.dual else "ForSequenceClassification"
        labels = ["different", "same"] if self.dual else ["a", "b", "c"]
        return {
            "architectures": [f"Nystromformer{architecture}"],
            "model_type": "nystromformer",
            "vocab_size": 11,
            "hidden_size": 8,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 12,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "max_position_embeddings": N,
            "type_vocab_size": 1,
            "segment_means_seq_len": N,
            "num_landmarks": 4,
            "conv_kernel_size": self.conv_kernel_size,
            "layer_norm_eps": 1e-5,
            "pad_token_id": PAD_TOKEN_ID,
            "id2label": labels,
            "semantics": "paper",
            "attention": self.attention,
            "pinv_iterations": 6,
            "pinv_init": "exact",
            "norm_first": True,
            "pooling": self.pooling,
            "classifier_hidden_size": 10,
            "classifier_act": "relu",
            **self.keys,
        }


def padded(*counts: int) -> tuple[str, ...]:
    """Rows whose first `count` tokens are valid."""
    return tuple("1" * count + "0" * (N - count) for count in counts)


SOFTMAX: dict[str, Any] = {"attention": "softmax", "conv_kernel_size": None}
CASES = (
    Case("nystrom", "12 tokens, 4 landmarks, no padding", (FULL, FULL, FULL), "mean"),
    Case(
        "nystrom_padded",
        "uneven segments, and fewer tokens than landmarks; the authors' mean",
        padded(12, 7, 3),
        "mean_padded",
    ),
    Case("nystrom_mean", "the mean over valid tokens", padded(12, 10, 5, 1), "mean"),
    Case("nystrom_first", "the first token", padded(12, 9, 4), "first"),
    Case(
        "nystrom_holes",
        "masked columns among valid ones, as where black pixels are taken for padding",
        (FULL, "011101101111", "100100110010"),
        "mean_padded",
    ),
    Case(
        "nystrom_dual",
        "three pairs of sequences, of equal and of different lengths",
        padded(12, 12, 12, 7, 3, 10),
        "mean_padded",
        dual=True,
    ),
    Case("softmax", "exact attention", (FULL, FULL, FULL), "mean", **SOFTMAX),
    Case("softmax_padded", "exact attention", padded(12, 7, 3), "mean_padded", **SOFTMAX),
    Case("softmax_dual", "exact attention", padded(12, 8, 5, 12), "mean", dual=True, **SOFTMAX),
    Case(
        "nystrom_both_ends",
        "positions from both ends, a filter for each channel, the first and the last token",
        (FULL, "111111100000", "001101101100", "100000000000"),
        "first_last",
        keys={"position_embedding_type": "both_ends", "conv_per_channel": True},
    ),
    Case(
        "nystrom_rotary",
        "a stem of two convolutions, rotary positions, the mean and the largest",
        (FULL, "111111100000", "001101101100", "111000000000"),
        "mean_max",
        keys={
            "position_embedding_type": "rotary",
            "stem_layers": 2,
            "stem_kernel_size": 5,
        },
    ),
    Case(
        "nystrom_dual_ends",
        "pairs of which the first and the last tokens are read",
        padded(12, 9, 5, 12),
        "first_last",
        dual=True,
        keys={"position_embedding_type": "both_ends", "stem_layers": 1, "stem_kernel_size": 3},
    ),
)


def parameter_shapes(case: Case) -> dict[str, tuple[int, ...]]:
    """Every parameter, under the names of our checkpoints."""
    config = case.config()
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs)
        shapes[f"{name}.bias"] = (outputs,)

    def norm(name: str) -> None:
        shapes[f"{name}.LayerNorm.weight"] = (hidden,)
        shapes[f"{name}.LayerNorm.bias"] = (hidden,)

    positions = config["max_position_embeddings"] + lra_model.POSITION_OFFSET
    kind = config.get("position_embedding_type")
    tables = {"word": config["vocab_size"], "position": positions, "token_type": 1}
    if kind == "rotary":
        del tables["position"]
    if kind == "both_ends":
        tables["end_position"] = config["max_position_embeddings"]
    for table, rows in tables.items():
        shapes[f"{lra_model.EMBEDDINGS}.{table}_embeddings.weight"] = (rows, hidden)
    for index in range(config.get("stem_layers", 0)):
        stem = f"{lra_model.EMBEDDINGS}.stem.{index}"
        shapes[f"{stem}.conv.weight"] = (hidden, hidden, config["stem_kernel_size"])
        shapes[f"{stem}.conv.bias"] = (hidden,)
        norm(stem)
    for index in range(config["num_hidden_layers"]):
        layer = f"{lra_model.ENCODER}.layer.{index}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{layer}.attention.{part}", hidden, hidden)
        if case.conv_kernel_size is not None:
            per_channel = config.get("conv_per_channel", False)
            filters = hidden if per_channel else config["num_attention_heads"]
            taps = (filters, 1, case.conv_kernel_size, 1)
            shapes[f"{layer}.attention.self.conv.weight"] = taps
        norm(f"{layer}.attention.output")
        linear(f"{layer}.intermediate.dense", inner, hidden)
        linear(f"{layer}.output.dense", hidden, inner)
        norm(f"{layer}.output")
    norm(lra_model.ENCODER)
    pooled = 2 * hidden if case.pooling in ("first_last", "mean_max") else hidden
    head, features = ("pair_classifier", 4 * pooled) if case.dual else ("classifier", pooled)
    linear(f"{head}.dense", config["classifier_hidden_size"], features)
    linear(f"{head}.out_proj", len(config["id2label"]), config["classifier_hidden_size"])
    return shapes


def run(
    parameters: dict[str, Tensor], case: Case, inputs: dict[str, Tensor], dtype: torch.dtype
) -> dict[str, Tensor]:
    """Forward and backward in `dtype`, laid out as a fixture."""
    leaves = {
        name: tensor.detach().to(dtype, copy=True).requires_grad_()
        for name, tensor in parameters.items()
    }
    results = lra_model.compute(leaves, case.config(), **inputs)
    results["loss"].backward()
    tensors = {name: tensor.detach() for name, tensor in results.items()}
    for name, leaf in leaves.items():
        assert leaf.grad is not None, f"`{name}` is not used"
        tensors[f"param.{name}"] = leaf.detach()
        tensors[f"grad.{name}"] = leaf.grad
    return tensors


def largest_difference(left: Tensor, right: Tensor, mask: Tensor) -> float:
    """Over valid tokens."""
    return ((left - right) * mask[..., None]).abs().max().item()


def check_attention(case: Case, generator: torch.Generator) -> None:
    """Holds the attention of one layer, alone, against `paper_torch`."""
    config = case.config()
    mask = torch.tensor([[int(keep) for keep in row] for row in case.rows])
    shapes = parameter_shapes(case)
    parameters = {name: torch.zeros(shape).double() for name, shape in shapes.items()}
    randomise(parameters.items(), generator)
    layer = f"{lra_model.ENCODER}.layer.0.attention.self"
    hidden = torch.randn(len(mask), N, config["hidden_size"], generator=generator).double()
    query, key, value = (
        lra_model.linear(parameters, f"{layer}.{part}", hidden)
        .unflatten(-1, (config["num_attention_heads"], -1))
        .transpose(1, 2)
        for part in ("query", "key", "value")
    )
    if config.get("position_embedding_type") == "rotary":
        turns = paper_torch.rotations(N, query.shape[-1], query.dtype)
        query, key = (torch.einsum("nij,bhnj->bhni", turns, x) for x in (query, key))
    taps = parameters.get(f"{layer}.conv.weight")
    batched = paper_torch.attention(query, key, value, mask, taps, config)["attention_context"]
    merged = batched.transpose(1, 2).flatten(2)
    for row, keep in enumerate(mask):
        columns = keep.nonzero().flatten().tolist()
        alone = lra_model.attention(parameters, config, layer, hidden[row, columns], columns)
        worst = (alone - merged[row, columns]).abs().max().item()
        if not worst <= AGREEMENT:
            raise AssertionError(f"`{case.name}`: attention of row {row} differs by {worst:.1e}")


def check_encoder(case: Case, exact: dict[str, Tensor], mask: Tensor) -> None:
    """Holds the states of exact attention against PyTorch's own pre-LN encoder."""
    config = case.config()
    layer = nn.TransformerEncoderLayer(
        config["hidden_size"],
        config["num_attention_heads"],
        config["intermediate_size"],
        dropout=0.0,
        activation="gelu",
        layer_norm_eps=config["layer_norm_eps"],
        batch_first=True,
        norm_first=True,
    )
    final = nn.LayerNorm(config["hidden_size"], config["layer_norm_eps"])
    layers = config["num_hidden_layers"]
    encoder = nn.TransformerEncoder(layer, layers, final, enable_nested_tensor=False).double()
    renamed = {
        "self_attn.out_proj.": "attention.output.dense.",
        "linear1.": "intermediate.dense.",
        "linear2.": "output.dense.",
        "norm1.": "attention.output.LayerNorm.",
        "norm2.": "output.LayerNorm.",
    }
    state = {}
    for kind in ("weight", "bias"):
        state[f"norm.{kind}"] = exact[f"param.{lra_model.ENCODER}.LayerNorm.{kind}"]
        for index in range(layers):
            ours, theirs = f"param.{lra_model.ENCODER}.layer.{index}", f"layers.{index}"
            parts = [exact[f"{ours}.attention.self.{p}.{kind}"] for p in ("query", "key", "value")]
            state[f"{theirs}.self_attn.in_proj_{kind}"] = torch.cat(parts)
            for their, our in renamed.items():
                state[f"{theirs}.{their}{kind}"] = exact[f"{ours}.{our}{kind}"]
    encoder.load_state_dict(state)
    embedded = exact["hidden_states.0"]
    with torch.no_grad():
        states = encoder(embedded, src_key_padding_mask=mask == 0)
    worst = largest_difference(states, exact[f"hidden_states.{layers}"], mask)
    if not worst <= AGREEMENT:
        raise AssertionError(f"`{case.name}`: PyTorch's encoder differs by {worst:.1e}")


def draw(case: Case, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and inputs."""
    generator = torch.Generator().manual_seed(seed)
    parameters = {name: torch.zeros(shape) for name, shape in parameter_shapes(case).items()}
    randomise(parameters.items(), generator)
    mask = torch.tensor([[int(keep) for keep in row] for row in case.rows])
    config = case.config()
    ids = random_ids(tuple(mask.shape), config["vocab_size"], PAD_TOKEN_ID, generator)
    answers = len(mask) // 2 if case.dual else len(mask)
    labels = (torch.arange(answers) + seed) % len(config["id2label"])
    inputs = {
        "input_ids": torch.where(mask == 1, ids, PAD_TOKEN_ID),
        "attention_mask": mask,
        "labels": labels,
    }
    return parameters, inputs


def generate(case: Case, first_seed: int) -> None:
    """Store one case: the first seed whose results float32 rounding does not move too far."""
    check_attention(case, torch.Generator().manual_seed(first_seed))
    for seed in range(first_seed, first_seed + ATTEMPTS):
        parameters, inputs = draw(case, seed)
        exact = run(parameters, case, inputs, torch.float64)
        try:
            error = float32_error(exact, run(parameters, case, inputs, torch.float32))
        except ValueError:
            continue
        break
    else:
        raise ValueError(f"`{case.name}`: rounding moves every seed by more than {FLOAT32_LIMIT}")
    if case.attention == "softmax":
        check_encoder(case, exact, inputs["attention_mask"])
    facts = {
        "about": case.about,
        "compared_positions": "valid",
        "float32_error": error,
        "libraries": f"torch {torch.__version__.split('+')[0]}",
        "precision": "computed in float64, stored as float32",
        "seed": seed,
    }
    shape = inputs["input_ids"].shape
    stored = inputs | {
        "lengths": inputs["attention_mask"].sum(-1),
        "token_type_ids": torch.zeros(shape, dtype=torch.int64),
    }
    save_model_fixture(f"lra/{case.name}", exact | stored, case.config(), facts)


def main() -> None:
    """Write every case."""
    torch.set_num_threads(1)
    for place, case in enumerate(CASES):
        generate(case, place * ATTEMPTS)


if __name__ == "__main__":
    main()
