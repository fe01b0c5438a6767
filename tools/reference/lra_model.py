"""The authors' Long Range Arena classifier in torch, one sequence at a time.

A sequence is the list of its own tokens with the column that each stands in: padding is cut away
before anything is computed, so nothing here knows of masks, and a row cannot depend on its
neighbours or on its padding. Columns matter to position embeddings and to the convolution only.

    hidden = word + position + token type                      no norm after it
    hidden = hidden + dense(attention(norm(hidden)))           pre-LN, in every layer
    hidden = hidden + dense(gelu(dense(norm(hidden))))
    states = norm(hidden)                                      once, after the last layer
    logits = out_proj(relu(dense(pooled states)))

Of this project's own there are, each off where `config` does not name it: a convolution filter for
each channel, positions from both ends or rotary, and a stem of residual convolutions behind the
embeddings.

For a pair of sequences `a` and `b` the classifier reads `[a, b, a * b, a - b]` of the two pooled
states. Parameters have the names of a checkpoint of this project.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Parameters = Mapping[str, Tensor]
Config = Mapping[str, Any]

POSITION_OFFSET = 2
ENCODER = "nystromformer.encoder"
EMBEDDINGS = "nystromformer.embeddings"


def linear(parameters: Parameters, name: str, hidden: Tensor) -> Tensor:
    """`hidden` times the matrix `name`, and its bias."""
    return hidden @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]


def norm(parameters: Parameters, config: Config, name: str, hidden: Tensor) -> Tensor:
    """Layer normalisation."""
    centred = hidden - hidden.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    normal = centred / (variance + config["layer_norm_eps"]).sqrt()
    return normal * parameters[f"{name}.LayerNorm.weight"] + parameters[f"{name}.LayerNorm.bias"]


def gelu(hidden: Tensor) -> Tensor:
    """`x` times the normal distribution function of `x`, exactly."""
    return hidden * (1 + torch.erf(hidden / 2**0.5)) / 2


def segment_lengths(tokens: int, landmarks: int) -> list[int]:
    """Lengths of the segments that landmarks average over, which differ by one at most.

    The short ones come first. With too few tokens for all landmarks, each token is one.
    """
    if tokens <= landmarks:
        return [1] * tokens
    short, longer = divmod(tokens, landmarks)
    return [short] * (landmarks - longer) + [short + 1] * longer


def pseudo_inverse(matrix: Tensor, iterations: int) -> Tensor:
    """The third-order iteration, from the transpose over its own largest row and column sums."""
    inverse = matrix.T / (matrix.sum(0).max() * matrix.sum(1).max())
    identity = torch.eye(len(matrix), dtype=matrix.dtype)
    for _ in range(iterations):
        product = matrix @ inverse
        inner = 15 * identity - product @ (7 * identity - product)
        inverse = inverse @ (13 * identity - product @ inner) / 4
    return inverse


def nystrom(query: Tensor, key: Tensor, value: Tensor, config: Config) -> Tensor:
    """Nyström attention of one head over `[tokens, head_dim]`."""
    scale = query.shape[-1] ** -0.25
    query, key = query * scale, key * scale
    segments = segment_lengths(len(query), config["num_landmarks"])
    query_landmarks = torch.stack([segment.mean(0) for segment in query.split(segments)])
    key_landmarks = torch.stack([segment.mean(0) for segment in key.split(segments)])
    kernel_1 = (query @ key_landmarks.T).softmax(-1)
    kernel_2 = (query_landmarks @ key_landmarks.T).softmax(-1)
    kernel_3 = (query_landmarks @ key.T).softmax(-1)
    inverse = pseudo_inverse(kernel_2, config["pinv_iterations"])
    return kernel_1 @ inverse @ (kernel_3 @ value)


def softmax(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Exact attention of one head over `[tokens, head_dim]`."""
    return (query @ key.T / query.shape[-1] ** 0.5).softmax(-1) @ value


def turn(hidden: Tensor, columns: Sequence[int]) -> Tensor:
    """Rotary positions of one head over `[tokens, head_dim]`: pairs of channels turned token by token."""
    half = hidden.shape[-1] // 2
    rows = []
    for row, column in zip(hidden, columns, strict=True):
        turned = [row[0]] * (2 * half)
        for pair in range(half):
            angle = torch.tensor(column * 10000.0 ** (-pair / half), dtype=torch.float64)
            cosine, sine = angle.cos().to(row.dtype), angle.sin().to(row.dtype)
            turned[pair] = row[pair] * cosine - row[pair + half] * sine
            turned[pair + half] = row[pair] * sine + row[pair + half] * cosine
        rows.append(torch.stack(turned))
    return torch.stack(rows)


def convolve_all(hidden: Tensor, weight: Tensor, bias: Tensor, columns: Sequence[int]) -> Tensor:
    """All channels along the columns, by a weight `[out, in, k]`."""
    reach = weight.shape[2] // 2
    place = {column: index for index, column in enumerate(columns)}
    rows = []
    for column in columns:
        row = bias
        for tap in range(weight.shape[2]):
            source = column + tap - reach
            if source in place:
                row = row + weight[:, :, tap] @ hidden[place[source]]
        rows.append(row)
    return torch.stack(rows)


def convolve(value: Tensor, taps: Tensor, columns: Sequence[int]) -> Tensor:
    """One head's filter along the columns; where no token stands, the value is zero.

    `taps` is `[k]`, or `[k, head_dim]` with a filter for each channel.
    """
    reach = len(taps) // 2
    place = {column: index for index, column in enumerate(columns)}
    rows = []
    for column in columns:
        row = torch.zeros_like(value[0])
        for tap, weight in enumerate(taps):
            source = column + tap - reach
            if source in place:
                row = row + weight * value[place[source]]
        rows.append(row)
    return torch.stack(rows)


def attention(
    parameters: Parameters, config: Config, name: str, hidden: Tensor, columns: Sequence[int]
) -> Tensor:
    """All heads side by side, before the output projection."""
    heads = config["num_attention_heads"]
    split = [
        linear(parameters, f"{name}.{part}", hidden).chunk(heads, dim=-1)
        for part in ("query", "key", "value")
    ]
    taps = parameters.get(f"{name}.conv.weight")
    contexts = []
    for head, (query, key, value) in enumerate(zip(*split, strict=True)):
        if config.get("position_embedding_type") == "rotary":
            query, key = turn(query, columns), turn(key, columns)
        if config["attention"] == "softmax":
            context = softmax(query, key, value)
        else:
            context = nystrom(query, key, value, config)
        if taps is not None:
            filters = taps[:, 0, :, 0]
            own = filters[head] if len(filters) == heads else filters.chunk(heads)[head].T
            context = context + convolve(value, own, columns)
        contexts.append(context)
    return torch.cat(contexts, dim=-1)


def encode(
    parameters: Parameters, config: Config, tokens: Tensor, columns: Sequence[int]
) -> list[Tensor]:
    """Hidden states `[tokens, hidden]`: the embeddings, and each layer's.

    The last one is normalised.
    """
    kind = config.get("position_embedding_type", "absolute")
    hidden = parameters[f"{EMBEDDINGS}.word_embeddings.weight"][tokens]
    if kind != "rotary":
        positions = torch.tensor(columns) + POSITION_OFFSET
        hidden = hidden + parameters[f"{EMBEDDINGS}.position_embeddings.weight"][positions]
    hidden = hidden + parameters[f"{EMBEDDINGS}.token_type_embeddings.weight"][0]
    if kind == "both_ends":
        from_end = columns[-1] - torch.tensor(columns)
        hidden = hidden + parameters[f"{EMBEDDINGS}.end_position_embeddings.weight"][from_end]
    for index in range(config.get("stem_layers", 0)):
        stem = f"{EMBEDDINGS}.stem.{index}"
        weight, bias = parameters[f"{stem}.conv.weight"], parameters[f"{stem}.conv.bias"]
        read = norm(parameters, config, stem, hidden)
        hidden = hidden + gelu(convolve_all(read, weight, bias, columns))
    states = [hidden]
    for index in range(config["num_hidden_layers"]):
        layer = f"{ENCODER}.layer.{index}"
        read = norm(parameters, config, f"{layer}.attention.output", hidden)
        context = attention(parameters, config, f"{layer}.attention.self", read, columns)
        hidden = hidden + linear(parameters, f"{layer}.attention.output.dense", context)
        read = norm(parameters, config, f"{layer}.output", hidden)
        widened = gelu(linear(parameters, f"{layer}.intermediate.dense", read))
        hidden = hidden + linear(parameters, f"{layer}.output.dense", widened)
        states.append(hidden)
    states[-1] = norm(parameters, config, ENCODER, hidden)
    return states


def pool(states: Tensor, pooling: str, padded_length: int) -> Tensor:
    """One vector of a sequence's states.

    `mean_padded` is the authors' mean: states of padding are zero, yet padding is counted.
    """
    match pooling:
        case "first":
            return states[0]
        case "mean":
            return states.mean(0)
        case "mean_padded":
            return states.sum(0) / padded_length
        case "first_last":
            return torch.cat([states[0], states[-1]])
        case "mean_max":
            return torch.cat([states.mean(0), states.amax(0)])
    raise ValueError(f"`{pooling}` is no pooling")


def classify(parameters: Parameters, head: str, features: Tensor) -> Tensor:
    """Scores of every class."""
    hidden = linear(parameters, f"{head}.dense", features).relu()
    return linear(parameters, f"{head}.out_proj", hidden)


def compute(
    parameters: Parameters,
    config: Config,
    input_ids: Tensor,
    attention_mask: Tensor,
    labels: Tensor,
) -> dict[str, Tensor]:
    """`hidden_states.*`, `pooled`, `logits` and `loss` of a batch.

    A dual encoder's rows `2i` and `2i + 1` are pair `i`. States at masked columns are zero.
    """
    rows, length = input_ids.shape
    layers = config["num_hidden_layers"]
    results: dict[str, list[Tensor]] = {f"hidden_states.{layer}": [] for layer in range(layers + 1)}
    pooled = []
    for row, mask in zip(input_ids, attention_mask, strict=True):
        columns = mask.nonzero().flatten().tolist()
        states = encode(parameters, config, row[columns], columns)
        for layer, state in enumerate(states):
            padded = torch.zeros(length, state.shape[-1], dtype=state.dtype)
            results[f"hidden_states.{layer}"].append(
                padded.index_put((torch.tensor(columns),), state)
            )
        pooled.append(pool(states[-1], config["pooling"], length))
    if config["architectures"] == ["NystromformerDualEncoder"]:
        pairs = [(pooled[row], pooled[row + 1]) for row in range(0, rows, 2)]
        features = torch.stack([torch.cat([a, b, a * b, a - b]) for a, b in pairs])
        logits = classify(parameters, "pair_classifier", features)
    else:
        logits = classify(parameters, "classifier", torch.stack(pooled))
    stacked = {name: torch.stack(states) for name, states in results.items()}
    loss = functional.cross_entropy(logits, labels)
    return stacked | {"pooled": torch.stack(pooled), "logits": logits, "loss": loss}
