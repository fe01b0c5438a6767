"""The `paper` semantics in plain float64 NumPy, one batch row and one head at a time.

This is the statement that the Rust model is held to. It is written for reading: a row's padding is
cut away first, and what remains is the algorithm of the paper on that row's own tokens. Nothing is
shared with `paper_torch.py`, which says the same with masks over whole batches.

    import numpy as np
    from paper_semantics import nystrom_attention
    stages = nystrom_attention(query, key, value, mask, num_landmarks=8, conv_weight=None,
                               iterations=6, init="exact")
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.int64]
POSITION_OFFSET = 2


def landmark_segments(mask_row: Mask, num_landmarks: int) -> list[Mask]:
    """Positions that each landmark of one row averages over.

    At most `num_landmarks` segments: a row of `c` valid tokens that has no more tokens than there
    are landmarks gets one segment a token. Otherwise, with `s = c // num_landmarks`, the first
    `(s + 1) * num_landmarks - c` segments hold `s` tokens and the others `s + 1`.
    """
    valid = np.flatnonzero(mask_row)
    count = len(valid)
    if count == 0:
        raise ValueError("a row without a single valid token has no attention")
    if count <= num_landmarks:
        return [valid[j : j + 1] for j in range(count)]
    short = count // num_landmarks
    short_segments = (short + 1) * num_landmarks - count
    segments, start = [], 0
    for j in range(num_landmarks):
        stop = start + (short if j < short_segments else short + 1)
        segments.append(valid[start:stop])
        start = stop
    assert start == count
    return segments


def landmark_patches(mask_row: Mask, picture: tuple[int, int], num_landmarks: int) -> list[Mask]:
    """Positions that each landmark of one row averages over, if the row is a picture.

    `picture` is its height and width; pixel `(i, j)` is the token `i * width + j`, and a row with
    fewer tokens is a picture that lacks its last pixels. Patches are `p` pixels high and `q` wide,
    `num_landmarks` of them cover the picture, and of all such sizes theirs has the shortest longer
    side, and then the smaller height. A patch without a valid pixel has a spare landmark: no positions.
    """
    height, width = picture
    sizes = [
        (max(p, q), p, q)
        for p in range(1, height + 1)
        for q in range(1, width + 1)
        if height % p == 0 and width % q == 0 and (height // p) * (width // q) == num_landmarks
    ]
    _, p, q = min(sizes)
    segments = []
    for top in range(0, height, p):
        for left in range(0, width, q):
            pixels = [i * width + j for i in range(top, top + p) for j in range(left, left + q)]
            pixels = [pixel for pixel in pixels if pixel < len(mask_row) and mask_row[pixel]]
            segments.append(np.array(pixels, dtype=np.int64))
    return segments


def softmax(scores: Array) -> Array:
    """Softmax over the last axis."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def pseudo_inverse(matrix: Array, scale: float, iterations: int) -> Array:
    """Third-order iteration towards the Moore-Penrose inverse, from `matrix.T / scale`."""
    identity = np.eye(len(matrix))
    inverse = matrix.T / scale
    for _ in range(iterations):
        product = matrix @ inverse
        inner = 7 * identity - product
        middle = 15 * identity - product @ inner
        outer = 13 * identity - product @ middle
        inverse = 0.25 * inverse @ outer
    return inverse


def ridge_inverse(matrix: Array, ridge: float) -> Array:
    """`(A^T A + l I)^-1 A^T`, with `l` as `ridge` times the largest column sum."""
    regularised = matrix.T @ matrix + ridge * matrix.sum(axis=0).max() * np.eye(len(matrix))
    return np.linalg.solve(regularised, matrix.T)


def taps_of_head(conv_weight: Array, head: int, heads: int) -> Array:
    """Taps `[k]` that all channels of a head share, or `[k, d]` with a filter for each channel."""
    filters = conv_weight[:, 0, :, 0]
    if len(filters) == heads:
        return filters[head]
    return np.split(filters, heads)[head].T


def convolution(value: Array, mask_row: Mask, taps: Array) -> Array:
    """One head's depthwise convolution along positions `[n, d]`; invalid tokens count as zero."""
    n, reach = len(value), len(taps) // 2
    result = np.zeros_like(value)
    for position in range(n):
        for tap, weight in enumerate(taps):
            source = position + tap - reach
            if 0 <= source < n and mask_row[source]:
                result[position] += weight * value[source]
    return result


def turned(projected: Array) -> Array:
    """Rotary positions of `[batch, heads, n, d]`.

    Channels `i` and `i + d / 2` are the two parts of a complex number, which is turned by the
    token's column times `10000 ** (-2 i / d)`.
    """
    n, half = projected.shape[2], projected.shape[3] // 2
    numbers = projected[..., :half] + 1j * projected[..., half:]
    frequencies = 10000.0 ** (-np.arange(half) / half)
    numbers = numbers * np.exp(1j * np.outer(np.arange(n), frequencies))
    return np.concatenate([numbers.real, numbers.imag], axis=-1)


def scaled(projected: Array) -> Array:
    """Queries or keys times `d ** -0.25`, so that their product is scaled by `d ** -0.5`."""
    return projected * projected.shape[-1] ** -0.25


def nystrom_attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Mask,
    num_landmarks: int,
    conv_weight: Array | None,
    iterations: int,
    init: str,
    ridge: float | None = None,
    window: int = 0,
    picture: tuple[int, int] | None = None,
) -> dict[str, Array]:
    """Nyström attention and each of its stages.

    `query`, `key`, `value` are `[batch, heads, n, d]` and unscaled, `mask` is `[batch, n]` with 1
    for a valid token, `conv_weight` is `[heads, 1, k, 1]` or `[heads * d, 1, k, 1]` with odd `k`. `init` is `exact` (each
    matrix by its own largest column sum times largest row sum) or `original` (one largest column
    sum of the whole batch). With a `ridge` the inverse is solved for instead. With a `window`, one softmax goes over the
    landmarks and over the valid tokens at most half a window away, and `kernel_1` is its part over
    landmarks. With a `picture`, its height and width, landmarks average over patches. Spare landmarks are stored as zero
    rows and columns.
    """
    if init not in ("exact", "original"):
        raise ValueError(f"`{init}` is no initialisation: `exact` or `original`")
    batch, heads, n, head_dim = query.shape
    query, key, m = scaled(query), scaled(key), num_landmarks
    stages = {
        "query": query,
        "key": key,
        "value": value,
        "query_landmarks": np.zeros((batch, heads, m, head_dim)),
        "key_landmarks": np.zeros((batch, heads, m, head_dim)),
        "kernel_1": np.zeros((batch, heads, n, m)),
        "kernel_2": np.zeros((batch, heads, m, m)),
        "kernel_3": np.zeros((batch, heads, m, n)),
        "pinv": np.zeros((batch, heads, m, m)),
        "attention_context": np.zeros((batch, heads, n, head_dim)),
    }
    of_window = np.zeros((batch, heads, n, head_dim))
    if picture is None:
        averaged = [landmark_segments(row, m) for row in mask]
    else:
        averaged = [landmark_patches(row, picture, m) for row in mask]
    used = [np.flatnonzero([len(segment) for segment in segments]) for segments in averaged]
    for b, h in np.ndindex(batch, heads):
        segments, places = [averaged[b][place] for place in used[b]], used[b]
        valid = np.flatnonzero(mask[b])
        query_landmarks = np.stack([query[b, h, segment].mean(axis=0) for segment in segments])
        key_landmarks = np.stack([key[b, h, segment].mean(axis=0) for segment in segments])
        count = len(places)
        stages["query_landmarks"][b, h, places] = query_landmarks
        stages["key_landmarks"][b, h, places] = key_landmarks
        for position in range(n):
            near = valid[np.abs(valid - position) <= window // 2] if window else valid[:0]
            seen = np.concatenate([key_landmarks, key[b, h, near]])
            weights = softmax(query[b, h, position] @ seen.T)
            stages["kernel_1"][b, h, position, places] = weights[:count]
            of_window[b, h, position] = weights[count:] @ value[b, h, near]
        kernel_2, kernel_3 = stages["kernel_2"][b, h], stages["kernel_3"][b, h]
        kernel_2[np.ix_(places, places)] = softmax(query_landmarks @ key_landmarks.T)
        kernel_3[np.ix_(places, valid)] = softmax(query_landmarks @ key[b, h, valid].T)
    shared_scale = float(stages["kernel_2"].sum(axis=-2).max())
    for b, h in np.ndindex(batch, heads):
        places = used[b]
        block = stages["kernel_2"][b, h][np.ix_(places, places)]
        own_scale = float(block.sum(axis=0).max() * block.sum(axis=1).max())
        if ridge is None:
            scale = own_scale if init == "exact" else shared_scale
            inverse = pseudo_inverse(block, scale, iterations)
        else:
            inverse = ridge_inverse(block, ridge)
        stages["pinv"][b, h][np.ix_(places, places)] = inverse
        gathered = stages["kernel_3"][b, h, places] @ value[b, h]
        context = stages["kernel_1"][b, h][:, places] @ (inverse @ gathered) + of_window[b, h]
        if conv_weight is not None:
            taps = taps_of_head(conv_weight, h, heads)
            context = context + convolution(value[b, h], mask[b], taps)
        stages["attention_context"][b, h] = context
    return stages


def softmax_attention(
    query: Array, key: Array, value: Array, mask: Mask, conv_weight: Array | None
) -> dict[str, Array]:
    """Exact attention over valid keys with the same convolution; arguments as above."""
    query, key = scaled(query), scaled(key)
    batch, heads, n, _ = query.shape
    probabilities = np.zeros((batch, heads, n, n))
    context = np.zeros_like(value)
    for b, h in np.ndindex(batch, heads):
        valid = np.flatnonzero(mask[b])
        weights = softmax(query[b, h] @ key[b, h, valid].T)
        probabilities[b, h][:, valid] = weights
        context[b, h] = weights @ value[b, h, valid]
        if conv_weight is not None:
            taps = taps_of_head(conv_weight, h, heads)
            context[b, h] += convolution(value[b, h], mask[b], taps)
    return {
        "query": query,
        "key": key,
        "value": value,
        "attention_probs": probabilities,
        "attention_context": context,
    }


def layer_norm(hidden: Array, weight: Array, bias: Array, epsilon: float) -> Array:
    """Layer normalisation over the last axis."""
    centred = hidden - hidden.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + epsilon) * weight + bias


def gelu_new(hidden: Array) -> Array:
    """The tanh approximation of GELU."""
    return 0.5 * hidden * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))


def placed(
    parameters: Mapping[str, Array],
    embeddings: str,
    kind: str,
    config: Mapping[str, Any],
    mask: Mask,
) -> Array:
    """What is added to each token for where it stands, `[batch, n, hidden]`."""
    sums = np.zeros((*mask.shape, config["hidden_size"]))

    def table(name: str) -> Array:
        return parameters[f"{embeddings}.{name}_embeddings.weight"]

    for b, column in np.ndindex(mask.shape):
        if kind in ("absolute", "both_ends"):
            sums[b, column] += table("position")[column + POSITION_OFFSET]
        if kind == "both_ends":
            last = int(np.flatnonzero(mask[b]).max())
            sums[b, column] += table("end_position")[max(last - column, 0)]
        if kind == "axial":
            row, place = divmod(column, config["image_width"])
            sums[b, column] += table("row_position")[row] + table("column_position")[place]
    return sums


def stem_convolution(hidden: Array, mask_row: Mask, weight: Array, bias: Array) -> Array:
    """All channels along positions `[n, hidden]`, by a weight `[out, in, k]`."""
    n, reach = len(hidden), weight.shape[2] // 2
    result = np.tile(bias, (n, 1))
    for position in range(n):
        for tap in range(weight.shape[2]):
            source = position + tap - reach
            if 0 <= source < n and mask_row[source]:
                result[position] += weight[:, :, tap] @ hidden[source]
    return result


def masked_lm(
    parameters: Mapping[str, Array],
    config: Mapping[str, Any],
    input_ids: Mask,
    attention_mask: Mask,
    token_type_ids: Mask,
    labels: Mask,
) -> dict[str, Array]:
    """The whole model under Hugging Face's parameter names.

    Returns `stage.*` of the first layer, `hidden_states.*`, `logits` and the mean cross-entropy
    `loss` over positions whose label is not -100. Rows at invalid positions carry no meaning.
    """

    def linear(hidden: Array, name: str) -> Array:
        return hidden @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]

    def norm(hidden: Array, name: str) -> Array:
        weight, bias = parameters[f"{name}.LayerNorm.weight"], parameters[f"{name}.LayerNorm.bias"]
        return layer_norm(hidden, weight, bias, config["layer_norm_eps"])

    def heads_of(hidden: Array) -> Array:
        batch, n, width = hidden.shape
        heads = config["num_attention_heads"]
        return np.moveaxis(hidden.reshape(batch, n, heads, width // heads), 2, 1)

    embeddings = "nystromformer.embeddings"
    words = parameters[f"{embeddings}.word_embeddings.weight"]
    n = input_ids.shape[1]
    hidden = words[input_ids]
    hidden = hidden + parameters[f"{embeddings}.token_type_embeddings.weight"][token_type_ids]
    kind = config.get("position_embedding_type", "absolute")
    hidden = hidden + placed(parameters, embeddings, kind, config, attention_mask)
    hidden = norm(hidden, embeddings)
    for index in range(config.get("stem_layers", 0)):
        stem = f"{embeddings}.stem.{index}"
        weight, bias = parameters[f"{stem}.conv.weight"], parameters[f"{stem}.conv.bias"]
        read = norm(hidden, stem)
        convolved = [
            stem_convolution(*row, weight, bias) for row in zip(read, attention_mask, strict=True)
        ]
        hidden = hidden + gelu_new(np.stack(convolved))
    results = {"hidden_states.0": hidden}
    picture = None
    if config.get("landmarks") == "patches":
        width = config["image_width"]
        picture = (config["max_position_embeddings"] // width, width)
    for index in range(config["num_hidden_layers"]):
        layer = f"nystromformer.encoder.layer.{index}"
        attention = f"{layer}.attention.self"
        query, key, value = (
            heads_of(linear(hidden, f"{attention}.{part}")) for part in ("query", "key", "value")
        )
        if kind == "rotary":
            query, key = turned(query), turned(key)
        taps = parameters.get(f"{attention}.conv.weight")
        if config["attention"] == "softmax":
            stages = softmax_attention(query, key, value, attention_mask, taps)
        else:
            stages = nystrom_attention(
                query,
                key,
                value,
                attention_mask,
                config["num_landmarks"],
                taps,
                config["pinv_iterations"],
                config["pinv_init"],
                config["pinv_ridge"] if config.get("pinv") == "solve" else None,
                config.get("local_window", 0),
                picture,
            )
        merged = np.moveaxis(stages["attention_context"], 1, 2).reshape(hidden.shape)
        output = f"{layer}.attention.output"
        attended = norm(hidden + linear(merged, f"{output}.dense"), output)
        inner = gelu_new(linear(attended, f"{layer}.intermediate.dense"))
        output = f"{layer}.output"
        hidden = norm(attended + linear(inner, f"{output}.dense"), output)
        if index == 0:
            results |= {f"stage.{name}": stage for name, stage in stages.items()}
            results["stage.layer_output"] = hidden
        results[f"hidden_states.{index + 1}"] = hidden
    head = "cls.predictions"
    transformed = gelu_new(linear(hidden, f"{head}.transform.dense"))
    transformed = norm(transformed, f"{head}.transform")
    logits = transformed @ words.T + parameters[f"{head}.bias"]
    results["logits"] = logits
    chosen = np.argwhere(labels != -100)
    losses = [-np.log(softmax(logits[b, i]))[labels[b, i]] for b, i in chosen]
    results["loss"] = np.asarray(np.mean(losses))
    return results
