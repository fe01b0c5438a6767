"""The `paper` semantics in torch, over whole batches with masks, for its gradients.

Written apart from `paper_semantics.py`: landmarks come from one averaging matrix, spare landmarks
are zero rows and columns that the pseudo-inverse iteration keeps at zero.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

Tensors = dict[str, torch.Tensor]


def averaging_matrix(mask: torch.Tensor, num_landmarks: int, dtype: torch.dtype) -> torch.Tensor:
    """`[batch, landmarks, n]`: each landmark's weights on its tokens, all zero for a spare one."""
    count = mask.sum(-1, keepdim=True)
    rank = mask.cumsum(-1) - 1
    short = count // num_landmarks
    short_segments = (short + 1) * num_landmarks - count
    in_short = short * short_segments
    uneven = torch.where(
        rank < in_short,
        rank // short.clamp(min=1),
        short_segments + (rank - in_short) // (short + 1),
    )
    landmark = torch.where(count <= num_landmarks, rank, uneven)
    return averages(landmark, mask, num_landmarks, dtype)


def averages(
    landmark: torch.Tensor, mask: torch.Tensor, num_landmarks: int, dtype: torch.dtype
) -> torch.Tensor:
    """The averaging matrix, if `landmark` is that of each token."""
    member = (landmark[:, None, :] == torch.arange(num_landmarks)[:, None]) & (mask == 1)[:, None]
    return member.to(dtype) / member.sum(-1, keepdim=True).clamp(min=1)


def averaging_patches(
    mask: torch.Tensor, config: Mapping[str, Any], dtype: torch.dtype
) -> torch.Tensor:
    """The averaging matrix of patches of a picture: the squarest that cover it, else the wider.

    Pixels are numbered, cut into patches by reshaping, and each told the patch that it lies in.
    """
    width, num_landmarks = config["image_width"], config["num_landmarks"]
    height = config["max_position_embeddings"] // width
    across = [
        across
        for across in range(1, num_landmarks + 1)
        if num_landmarks % across == 0
        and width % across == 0
        and height % (num_landmarks // across) == 0
    ]
    sides = {c: (height * c // num_landmarks, width // c) for c in across}
    columns = min(across, key=lambda c: (max(sides[c]), sides[c][0]))
    (high, wide), bands = sides[columns], num_landmarks // columns
    pixels = torch.arange(height * width).view(bands, high, columns, wide).transpose(1, 2)
    landmark = torch.empty(height * width, dtype=torch.long)
    landmark[pixels.flatten()] = torch.arange(num_landmarks).repeat_interleave(high * wide)
    return averages(landmark[None, : mask.shape[1]], mask, num_landmarks, dtype)


def masked_softmax(scores: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Softmax over the last axis among the entries to keep; the others are exactly zero."""
    return scores.masked_fill(~keep, -torch.inf).softmax(-1)


def pseudo_inverse(matrix: torch.Tensor, init: str, iterations: int) -> torch.Tensor:
    """Third-order iteration; zero rows and columns of `matrix` stay zero in its inverse."""
    columns, rows = matrix.sum(-2), matrix.sum(-1)
    if init == "exact":
        scale = (columns.amax(-1) * rows.amax(-1))[..., None, None]
    else:
        scale = columns.max()
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    inverse = matrix.mT / scale
    for _ in range(iterations):
        step = matrix @ inverse
        polynomial = 15 * identity - step @ (7 * identity - step)
        inverse = inverse @ (13 * identity - step @ polynomial) / 4
    return inverse


def ridge_inverse(matrix: torch.Tensor, ridge: float) -> torch.Tensor:
    """`A^T (A A^T + l I)^-1`, which equals `(A^T A + l I)^-1 A^T`."""
    scale = matrix.sum(-2).amax(-1)[..., None, None]
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    return torch.linalg.solve(matrix @ matrix.mT + ridge * scale * identity, matrix).mT


def rotations(n: int, width: int, dtype: torch.dtype) -> torch.Tensor:
    """`[n, width, width]`: the matrix that turns a head's channels at each column."""
    half = width // 2
    matrices = torch.zeros(n, width, width, dtype=torch.float64)
    for pair in range(half):
        angles = torch.arange(n).double() * 10000.0 ** (-pair / half)
        matrices[:, pair, pair] = matrices[:, pair + half, pair + half] = angles.cos()
        matrices[:, pair + half, pair] = angles.sin()
        matrices[:, pair, pair + half] = -angles.sin()
    return matrices.to(dtype)


def convolve(value: torch.Tensor, conv_weight: torch.Tensor) -> torch.Tensor:
    """The depthwise convolution of `[batch, heads, n, d]`, a filter a head or a channel."""
    reach = conv_weight.shape[2] // 2
    if len(conv_weight) == value.shape[1]:
        return functional.conv2d(
            value, conv_weight, padding=(reach, 0), groups=conv_weight.shape[0]
        )
    channels = value.mT.flatten(1, 2)
    convolved = functional.conv1d(
        channels, conv_weight[..., 0], padding=reach, groups=conv_weight.shape[0]
    )
    return convolved.unflatten(1, (value.shape[1], -1)).mT


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    conv_weight: torch.Tensor | None,
    config: Mapping[str, Any],
) -> Tensors:
    """Attention of either kind over `[batch, heads, n, d]`, with its stages."""
    root = math.sqrt(math.sqrt(query.shape[-1]))
    query, key = query / root, key / root
    stages = {"query": query, "key": key, "value": value}
    keep = (mask == 1)[:, None, None, :]
    if config["attention"] == "softmax":
        stages["attention_probs"] = masked_softmax(query @ key.mT, keep)
        context = stages["attention_probs"] @ value
    else:
        if config.get("landmarks") == "patches":
            average = averaging_patches(mask, config, query.dtype)[:, None]
        else:
            average = averaging_matrix(mask, config["num_landmarks"], query.dtype)[:, None]
        used = average.sum(-1) > 0
        query_landmarks, key_landmarks = average @ query, average @ key
        columns = torch.arange(query.shape[-2])
        near = (columns[:, None] - columns).abs() <= config.get("local_window", 0) // 2
        near = near & keep & bool(config.get("local_window", 0))
        both = masked_softmax(
            torch.cat([query @ key_landmarks.mT, query @ key.mT], -1),
            torch.cat([used[:, :, None, :].expand(-1, -1, len(columns), -1), near], -1),
        )
        kernel_1, of_window = both.split([config["num_landmarks"], len(columns)], -1)
        kernel_2 = masked_softmax(query_landmarks @ key_landmarks.mT, used[:, :, None, :])
        kernel_2 = kernel_2 * used[..., None]
        kernel_3 = masked_softmax(query_landmarks @ key.mT, keep) * used[..., None]
        if config.get("pinv") == "solve":
            inverse = ridge_inverse(kernel_2, config["pinv_ridge"])
        else:
            inverse = pseudo_inverse(kernel_2, config["pinv_init"], config["pinv_iterations"])
        context = kernel_1 @ (inverse @ (kernel_3 @ value)) + of_window @ value
        stages |= {
            "query_landmarks": query_landmarks,
            "key_landmarks": key_landmarks,
            "kernel_1": kernel_1,
            "kernel_2": kernel_2,
            "kernel_3": kernel_3,
            "pinv": inverse,
        }
    if conv_weight is not None:
        context = context + convolve(value * mask[:, None, :, None], conv_weight)
    stages["attention_context"] = context
    return stages


def masked_lm(parameters: Tensors, config: Mapping[str, Any], inputs: Tensors) -> Tensors:
    """The whole model under Hugging Face's parameter names: stages, hidden states, logits, loss."""

    def linear(hidden: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(hidden, parameters[f"{name}.weight"], parameters[f"{name}.bias"])

    def norm(hidden: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = parameters[f"{name}.LayerNorm.weight"], parameters[f"{name}.LayerNorm.bias"]
        return functional.layer_norm(hidden, weight.shape, weight, bias, config["layer_norm_eps"])

    def activate(hidden: torch.Tensor) -> torch.Tensor:
        return functional.gelu(hidden, approximate="tanh")

    def split(hidden: torch.Tensor) -> torch.Tensor:
        return hidden.unflatten(-1, (config["num_attention_heads"], -1)).transpose(1, 2)

    prefix = "nystromformer.embeddings"
    word = parameters[f"{prefix}.word_embeddings.weight"]
    token_type = parameters[f"{prefix}.token_type_embeddings.weight"]
    n = inputs["input_ids"].shape[1]
    kind = config.get("position_embedding_type", "absolute")
    summed = word[inputs["input_ids"]] + token_type[inputs["token_type_ids"]]
    columns = torch.arange(n)
    if kind in ("absolute", "both_ends"):
        summed = summed + parameters[f"{prefix}.position_embeddings.weight"][2 : n + 2]
    if kind == "both_ends":
        last = (inputs["attention_mask"] * columns).amax(-1, keepdim=True)
        from_end = (last - columns).clamp(min=0)
        summed = summed + parameters[f"{prefix}.end_position_embeddings.weight"][from_end]
    if kind == "axial":
        width = config["image_width"]
        rows = parameters[f"{prefix}.row_position_embeddings.weight"].repeat_interleave(width, 0)
        pixels = parameters[f"{prefix}.column_position_embeddings.weight"].repeat(-(-n // width), 1)
        summed = summed + rows[:n] + pixels[:n]
    hidden = norm(summed, prefix)
    for index in range(config.get("stem_layers", 0)):
        stem = f"{prefix}.stem.{index}"
        weight, bias = parameters[f"{stem}.conv.weight"], parameters[f"{stem}.conv.bias"]
        read = norm(hidden, stem) * inputs["attention_mask"][..., None]
        convolved = functional.conv1d(read.mT, weight, bias, padding=weight.shape[2] // 2).mT
        hidden = hidden + activate(convolved)
    results = {"hidden_states.0": hidden}
    for index in range(config["num_hidden_layers"]):
        prefix = f"nystromformer.encoder.layer.{index}"
        query, key, value = (
            split(linear(hidden, f"{prefix}.attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        if kind == "rotary":
            turns = rotations(n, query.shape[-1], query.dtype)
            query, key = (torch.einsum("nij,bhnj->bhni", turns, x) for x in (query, key))
        conv_weight = parameters.get(f"{prefix}.attention.self.conv.weight")
        mask = inputs["attention_mask"]
        stages = attention(query, key, value, mask, conv_weight, config)
        merged = stages["attention_context"].transpose(1, 2).flatten(2)
        projected = linear(merged, f"{prefix}.attention.output.dense")
        hidden = norm(hidden + projected, f"{prefix}.attention.output")
        widened = activate(linear(hidden, f"{prefix}.intermediate.dense"))
        hidden = norm(hidden + linear(widened, f"{prefix}.output.dense"), f"{prefix}.output")
        results[f"hidden_states.{index + 1}"] = hidden
        if index == 0:
            results |= {f"stage.{name}": stage for name, stage in stages.items()}
            results["stage.layer_output"] = hidden
    prefix = "cls.predictions.transform"
    transformed = norm(activate(linear(hidden, f"{prefix}.dense")), prefix)
    logits = functional.linear(transformed, word, parameters["cls.predictions.bias"])
    loss = functional.cross_entropy(logits.flatten(0, 1), inputs["labels"].flatten())
    return results | {"logits": logits, "loss": loss}
