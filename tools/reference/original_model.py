"""The models of the authors' repository, stated in plain torch under their parameter names.

Three generations of pretraining model exist there, told apart by their configurations:

| Style | Source | Positions | GELU | Names |
|---|---|---|---|---|
| `roberta` | `code/` | from 2 | tanh | `transformer_I`, `ff1`, `ff2` |
| `reorganized_roberta` | `reorganized_code/RoBERT` | from 2 | erf | `encoders.I`, `ff.0`, `ff.2` |
| `bert` | `reorganized_code/BERT` | from 0 | erf | as above, `pooler`, `sen_class` |

The reorganised blocks lie under `model.backbone.backbone.`; with `shared_weight` all layers are
one, `encoder`. The `bert` style reads token types and gives padding position 0. Dropout is left
out, and everything runs in the dtype of the parameters. Written from a description of that code.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

Tensors = dict[str, torch.Tensor]
LAYER_NORM_EPS = 1e-5
PINV_ITERATIONS = 6
MASKED = 1e9


def style_of(config: Mapping[str, Any]) -> str:
    """Which of the three models a configuration's `model` section describes."""
    if "transformer_dim" in config:
        return "roberta"
    return "bert" if "num_classes" in config else "reorganized_roberta"


def width_of(config: Mapping[str, Any]) -> int:
    """Width of the encoder."""
    return config["transformer_dim" if style_of(config) == "roberta" else "dim"]


def attention_of(config: Mapping[str, Any]) -> str:
    """`nystrom` or `softmax`; a `vanila_transformer` (their spelling) has the latter."""
    vanilla = config.get("model_type") == "vanila_transformer"
    return "softmax" if vanilla else config["attn_type"]


def blocks_of(config: Mapping[str, Any]) -> list[str]:
    """Prefix of every layer's parameters, in order; always the same one if layers are shared."""
    layers = range(config["num_layers"])
    if style_of(config) == "roberta":
        return [f"model.transformer_{layer}" for layer in layers]
    if config["shared_weight"]:
        return ["model.backbone.backbone.encoder" for _ in layers]
    return [f"model.backbone.backbone.encoders.{layer}" for layer in layers]


def parameter_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every entry of the state dict in its order, the tied decoder included."""
    style, width, embedding = style_of(config), width_of(config), config["embedding_dim"]
    heads, projected = config["num_head"], config["num_head"] * config["head_dim"]
    inner = config["transformer_hidden_dim" if style == "roberta" else "hidden_dim"]
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, rows: int, columns: int) -> None:
        shapes[f"{name}.weight"] = (rows, columns)
        shapes[f"{name}.bias"] = (rows,)

    def norm(name: str, size: int) -> None:
        shapes[f"{name}.weight"] = (size,)
        shapes[f"{name}.bias"] = (size,)

    table = "model.embeddings"
    positions = config["max_seq_len"] + (0 if style == "bert" else 2)
    shapes[f"{table}.word_embeddings.weight"] = (config["vocab_size"], embedding)
    shapes[f"{table}.position_embeddings.weight"] = (positions, embedding)
    shapes[f"{table}.token_type_embeddings.weight"] = (config["num_sen_type"], embedding)
    if embedding != width:
        linear(f"{table}.dense", width, embedding)
    norm(f"{table}.norm", width)
    widening, narrowing = ("ff1", "ff2") if style == "roberta" else ("ff.0", "ff.2")
    for block in dict.fromkeys(blocks_of(config)):
        for part in ("W_q", "W_k", "W_v"):
            linear(f"{block}.mha.{part}", projected, width)
        if attention_of(config) == "nystrom" and "conv_kernel_size" in config:
            taps = (heads, 1, config["conv_kernel_size"], 1)
            shapes[f"{block}.mha.attn.conv.weight"] = taps
        linear(f"{block}.mha.ff", width, projected)
        norm(f"{block}.norm1", width)
        linear(f"{block}.{widening}", inner, width)
        linear(f"{block}.{narrowing}", width, inner)
        norm(f"{block}.norm2", width)
    if style == "bert":
        linear("model.pooler", embedding, width)
    linear("mlm.dense", embedding, width)
    norm("mlm.norm", embedding)
    linear("mlm.mlm_class", config["vocab_size"], embedding)
    if style == "bert":
        linear("sen_class", config["num_classes"], embedding)
    return shapes


def pseudo_inverse(matrix: torch.Tensor) -> torch.Tensor:
    """Third-order iteration, started from the transpose over one scale for the whole batch."""
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    inverse = matrix.mT / (matrix.sum(-2).max() * matrix.sum(-1).max())
    for _ in range(PINV_ITERATIONS):
        product = matrix @ inverse
        inner = 15 * identity - product @ (7 * identity - product)
        inverse = inverse @ (13 * identity - product @ inner) / 4
    return inverse


def nystrom(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    keep: torch.Tensor,
    conv_weight: torch.Tensor | None,
    config: Mapping[str, Any],
) -> torch.Tensor:
    """Nyström attention over `[batch, heads, n, d]`; `keep` is 1 for a valid token, `[batch, n]`.

    Padded queries and keys are zero, so a landmark over a partly padded segment is a sum over its
    valid tokens divided by the length of the whole segment. Exact where there are as many
    landmarks as tokens.
    """
    landmarks = config["num_landmarks"]
    seq_len = config["seq_len" if style_of(config) == "roberta" else "max_seq_len"]
    rows = keep[:, None, :, None]
    hidden_keys = MASKED * (1 - keep[:, None, None, :])
    scale = query.shape[-1] ** -0.25
    query, key = query * rows * scale, key * rows * scale
    if landmarks == seq_len:
        context = (query @ key.mT - hidden_keys).softmax(-1) @ value
    else:
        query_means = query.unflatten(2, (landmarks, -1)).mean(3)
        key_means = key.unflatten(2, (landmarks, -1)).mean(3)
        kernel_1 = (query @ key_means.mT).softmax(-1)
        kernel_2 = (query_means @ key_means.mT).softmax(-1)
        kernel_3 = (query_means @ key.mT - hidden_keys).softmax(-1)
        context = kernel_1 @ pseudo_inverse(kernel_2) @ (kernel_3 @ value)
    if conv_weight is not None:
        reach = conv_weight.shape[2] // 2
        context = context + functional.conv2d(
            value * rows, conv_weight, padding=(reach, 0), groups=conv_weight.shape[0]
        )
    return context


def softmax(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, keep: torch.Tensor
) -> torch.Tensor:
    """Exact attention over valid keys, without a convolution."""
    scores = query @ key.mT * query.shape[-1] ** -0.5
    return (scores - MASKED * (1 - keep[:, None, None, :])).softmax(-1) @ value


def pretraining(
    parameters: Mapping[str, torch.Tensor],
    config: Mapping[str, Any],
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    token_type_ids: torch.Tensor,
) -> Tensors:
    """`mlm_logits` at every position, and for the `bert` style `sen_logits` of each row.

    All inputs are `[batch, n]`. The RoBERTa styles have one token type, and are trained without
    padding; where there is some, the mask goes the way that their question-answering heads use.
    """
    style = style_of(config)
    approximate = "tanh" if style == "roberta" else "none"
    widening, narrowing = ("ff1", "ff2") if style == "roberta" else ("ff.0", "ff.2")

    def linear(hidden: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(hidden, parameters[f"{name}.weight"], parameters[f"{name}.bias"])

    def norm(hidden: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        return functional.layer_norm(hidden, weight.shape, weight, bias, LAYER_NORM_EPS)

    def split(hidden: torch.Tensor) -> torch.Tensor:
        return hidden.unflatten(-1, (config["num_head"], config["head_dim"])).transpose(1, 2)

    table = "model.embeddings"
    positions = torch.arange(input_ids.shape[1]).expand_as(input_ids)
    if style == "bert":
        positions, types = positions * attention_mask, token_type_ids
    else:
        positions, types = positions + 2, torch.zeros_like(input_ids)
    hidden = (
        parameters[f"{table}.word_embeddings.weight"][input_ids]
        + parameters[f"{table}.position_embeddings.weight"][positions]
        + parameters[f"{table}.token_type_embeddings.weight"][types]
    )
    if f"{table}.dense.weight" in parameters:
        hidden = linear(hidden, f"{table}.dense")
    hidden = norm(hidden, f"{table}.norm")
    keep = attention_mask.to(hidden.dtype)
    for block in blocks_of(config):
        query, key, value = (split(linear(hidden, f"{block}.mha.W_{part}")) for part in "qkv")
        if attention_of(config) == "nystrom":
            taps = parameters.get(f"{block}.mha.attn.conv.weight")
            context = nystrom(query, key, value, keep, taps, config)
        else:
            context = softmax(query, key, value, keep)
        attended = linear(context.transpose(1, 2).flatten(2), f"{block}.mha.ff")
        hidden = norm(hidden + attended, f"{block}.norm1")
        widened = functional.gelu(linear(hidden, f"{block}.{widening}"), approximate=approximate)
        hidden = norm(hidden + linear(widened, f"{block}.{narrowing}"), f"{block}.norm2")
    transformed = functional.gelu(linear(hidden, "mlm.dense"), approximate=approximate)
    results = {"mlm_logits": linear(norm(transformed, "mlm.norm"), "mlm.mlm_class")}
    if style == "bert":
        pooled = linear(hidden[:, 0], "model.pooler").tanh()
        results["sen_logits"] = linear(pooled, "sen_class")
    return results
