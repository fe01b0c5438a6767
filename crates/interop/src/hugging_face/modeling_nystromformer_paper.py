"""Nyströmformer with the `paper` semantics, for transformers.

This file lies beside weights that were trained under those semantics. It takes the layers and heads
of transformers' own Nyströmformer and replaces what attention does with padding and with lengths:

- padding takes no part: not in the landmarks, not as keys, not in the convolution;
- segments are laid over each row's own tokens, the shorter ones first, so any length works;
- a row with fewer tokens than landmarks uses as many landmarks as it has tokens;
- a prediction depends neither on the other rows of the batch nor on how far its row was padded
  (unless `pinv_init` is `original`).

    AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)

Without `trust_remote_code=True` the same folder loads as transformers' class, which computes
something else for padded rows and accepts one length only.

Keys of `config.json` that are read here, beside transformers' own: `attention` (`nystrom` or
`softmax`), `pinv` (`iterative` or `solve`), `pinv_iterations`, `pinv_init` (`exact`: each matrix by
its own norm; `original`: one norm for the whole batch), and `pinv_ridge` of a solve; `local_window`
(tokens that are seen exactly beside the landmarks, in one softmax); `landmarks` (`segment_means`, or
`patches` of a picture with `image_width`); `conv_per_channel` (a filter for each channel); `position_embedding_type` (`absolute`, `both_ends`,
`rotary`, or `axial` with `image_width`); `stem_layers` and `stem_kernel_size` (residual convolutions
behind the embeddings); and of a sequence classifier `pooling` (`first`, `first_last`, `mean_max`).
A folder with one of these loads with this file alone. Runs under transformers 4.56 and 5.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import NystromformerConfig
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.nystromformer import modeling_nystromformer as theirs

# A context, and the attention weights if they were asked for.
Attended = tuple[torch.Tensor, torch.Tensor | None]


def averaging_weights(valid: torch.Tensor, num_landmarks: int) -> torch.Tensor:
    """Weights `[batch, landmarks, n]` that average each row's valid tokens into landmarks.

    `valid` is `[batch, n]`. A row of `c` tokens and `m` landmarks has segments of `s = c // m`
    tokens, the last `c - s * m` of them one token longer. Where `c < m`, each token has a landmark
    of its own, and the rows of the spare landmarks are zero.
    """
    landmarks = min(num_landmarks, valid.shape[1])
    count = valid.sum(-1, keepdim=True)
    rank = valid.cumsum(-1) - 1
    short = (count // landmarks).clamp(min=1)
    num_short = ((short + 1) * landmarks - count).clamp(max=landmarks)
    border = num_short * short  # tokens that lie in short segments
    beyond = num_short + (rank - border).clamp(min=0) // (short + 1)
    segment = torch.where(rank < border, rank // short, beyond)
    return means_over(segment, valid, landmarks)


def means_over(part: torch.Tensor, valid: torch.Tensor, landmarks: int) -> torch.Tensor:
    """Weights `[batch, landmarks, n]` that average the valid tokens of each part.

    `part` says of which one each token is, `[batch, n]` or `[1, n]`; one without tokens is zero.
    """
    index = torch.arange(landmarks, device=valid.device)[:, None]
    member = (part[:, None, :] == index) & valid[:, None, :]
    return member / member.sum(-1, keepdim=True).clamp(min=1)


def patch_size(pixels: int, image_width: int, num_landmarks: int) -> tuple[int, int]:
    """Height and width of the patches of a picture.

    `num_landmarks` of one size cover it; they are those nearest to squares, of two alike the wider.
    """
    size, rows = pixels // num_landmarks, pixels // image_width
    shapes = [(height, size // height) for height in range(1, size + 1) if size % height == 0]
    shapes = [(h, w) for h, w in shapes if rows % h == 0 and image_width % w == 0]
    if not shapes or size * num_landmarks != pixels or rows * image_width != pixels:
        raise ValueError(
            f"no `{num_landmarks}` patches cover a picture of `{pixels}` pixels in rows of "
            f"`{image_width}`"
        )
    return min(shapes, key=max)


def pseudo_inverse(kernel: torch.Tensor, iterations: int, init: str) -> torch.Tensor:
    """Third-order iteration towards the Moore-Penrose inverse of `[batch, heads, m, m]`.

    Zero rows and columns stay zero. The start is the transpose over the largest column sum, of each
    matrix or of the batch; row sums are one.
    """
    sums = kernel.sum(-2)
    scale = sums.max() if init == "original" else sums.amax(-1)[..., None, None]
    inverse = kernel.mT / scale.clamp(min=torch.finfo(kernel.dtype).tiny)
    identity = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    for _ in range(iterations):
        product = kernel @ inverse
        polynomial = 15 * identity - product @ (7 * identity - product)
        inverse = 0.25 * inverse @ (13 * identity - product @ polynomial)
    return inverse


def ridge_inverse(kernel: torch.Tensor, ridge: float) -> torch.Tensor:
    """`(A^T A + l I)^-1 A^T` of `[batch, heads, m, m]`; `l` is `ridge` times the largest column sum.

    Zero rows and columns stay zero.
    """
    scale = kernel.sum(-2).amax(-1).clamp(min=1e-12)
    diagonal = (ridge * scale)[..., None].expand(kernel.shape[:-1])
    return torch.linalg.solve(kernel.mT @ kernel + torch.diag_embed(diagonal), kernel.mT)


def bias_of(keep: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Scores to add, `[batch, 1, 1, keys]`: zero for a key to keep, else very negative."""
    drop = ~keep[:, None, None, :]
    return drop.to(dtype) * torch.finfo(dtype).min


def windows(x: torch.Tensor, reach: int) -> torch.Tensor:
    """Each block of `reach` rows of `[..., n, d]` between both neighbours.

    `[..., blocks, 3 * reach, d]`; the last block is filled up with zeros, as are the neighbours
    beyond the ends.
    """
    blocks = -(-x.shape[-2] // reach)
    behind = (blocks + 1) * reach - x.shape[-2]
    return functional.pad(x, (0, 0, reach, behind)).unfold(-2, 3 * reach, reach).mT


def turned(x: torch.Tensor) -> torch.Tensor:
    """Rotary positions: pairs of channels of `[batch, heads, n, d]`, turned by their column."""
    length, width = x.shape[-2:]
    places = torch.arange(length, device=x.device, dtype=torch.float64)
    pairs = torch.arange(width // 2, device=x.device, dtype=torch.float64)
    angles = places[:, None] * 10000.0 ** (-pairs / (width // 2))
    cosines, sines = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], -1)


def pooled(states: torch.Tensor, valid: torch.Tensor, pooling: str) -> torch.Tensor:
    """What a classifier reads of states `[batch, n, hidden]`: `[batch, 2 * hidden]`."""
    columns = torch.arange(valid.shape[1], device=valid.device)
    if pooling == "first_last":
        rows = torch.arange(len(valid), device=valid.device)
        first = torch.where(valid, columns, len(columns)).amin(-1).clamp(max=len(columns) - 1)
        last = torch.where(valid, columns, 0).amax(-1)
        return torch.cat([states[rows, first], states[rows, last]], -1)
    if pooling != "mean_max":
        raise ValueError(f"`pooling` is `{pooling}`, which this file does not compute")
    keep = valid[..., None]
    mean = (states * keep).sum(1) / keep.sum(1).clamp(min=1)
    largest = states.masked_fill(~keep, torch.finfo(states.dtype).min).amax(1) * keep.any(1)
    return torch.cat([mean, largest], -1)


class StemLayer(nn.Module):
    """A residual convolution along the sequence; padding is read as zeros."""

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__()
        width, taps = config.hidden_size, getattr(config, "stem_kernel_size", 7)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.conv = nn.Conv1d(width, width, taps, padding=taps // 2)
        self.activation = ACT2FN[config.hidden_act]
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """`hidden` is `[batch, n, hidden]`."""
        read = self.LayerNorm(hidden) * valid[..., None]
        convolved = self.conv(read.mT).mT
        return hidden + self.dropout(self.activation(convolved))


class PaperEmbeddings(theirs.NystromformerEmbeddings):
    """Embeddings with positions of every kind, and the stem behind them."""

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.positions = getattr(config, "position_embedding_type", "absolute")
        width, longest = config.hidden_size, config.max_position_embeddings
        if self.positions in ("rotary", "axial"):
            del self.position_embeddings
        if self.positions == "both_ends":
            self.end_position_embeddings = nn.Embedding(longest, width)
        if self.positions == "axial":
            self.image_width = config.image_width
            self.row_position_embeddings = nn.Embedding(-(-longest // self.image_width), width)
            self.column_position_embeddings = nn.Embedding(self.image_width, width)
        self.stem = nn.ModuleList(
            StemLayer(config) for _ in range(getattr(config, "stem_layers", 0))
        )

    @staticmethod
    def are_needed(config: NystromformerConfig) -> bool:
        """Whether transformers' own embeddings compute something else."""
        positions = getattr(config, "position_embedding_type", "absolute")
        return positions != "absolute" or getattr(config, "stem_layers", 0) > 0

    def forward(
        self,
        input_ids: torch.Tensor | None,
        token_type_ids: torch.Tensor | None,
        position_ids: torch.Tensor | None,
        inputs_embeds: torch.Tensor | None,
        valid: torch.Tensor,
    ) -> torch.Tensor:
        """Hidden states `[batch, n, hidden]`; `valid` is `[batch, n]`."""
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(valid, dtype=torch.long)
        hidden = words + self.token_type_embeddings(token_type_ids)
        columns = torch.arange(valid.shape[1], device=valid.device)
        if self.positions in ("absolute", "both_ends"):
            places = columns + 2 if position_ids is None else position_ids
            hidden = hidden + self.position_embeddings(places)
        if self.positions == "both_ends":
            last = torch.where(valid, columns, 0).amax(-1, keepdim=True)
            hidden = hidden + self.end_position_embeddings((last - columns).clamp(min=0))
        if self.positions == "axial":
            hidden = hidden + self.row_position_embeddings(columns // self.image_width)
            hidden = hidden + self.column_position_embeddings(columns % self.image_width)
        hidden = self.dropout(self.LayerNorm(hidden))
        for layer in self.stem:
            hidden = layer(hidden, valid)
        return hidden


class PaperSelfAttention(theirs.NystromformerSelfAttention):
    """Self-attention over valid tokens; its parameters are those of the class it replaces."""

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.exact = config.attention == "softmax"
        self.pinv_iterations = config.pinv_iterations
        self.pinv_init = config.pinv_init
        # Folders that were exported before there was a choice have none of these.
        self.pinv_ridge = config.pinv_ridge if getattr(config, "pinv", None) == "solve" else None
        self.local_window = getattr(config, "local_window", 0)
        landmarks = getattr(config, "landmarks", "segment_means")
        if not self.exact and landmarks not in ("segment_means", "patches"):
            raise ValueError(f"`landmarks` is `{landmarks}`, which this file does not compute")
        self.patch, self.image_width = None, getattr(config, "image_width", 0)
        if not self.exact and landmarks == "patches":
            pixels = config.max_position_embeddings
            self.patch = patch_size(pixels, self.image_width, config.num_landmarks)
        self.rotary = getattr(config, "position_embedding_type", None) == "rotary"
        self.conv_per_channel = getattr(config, "conv_per_channel", False)
        if self.conv_per_channel:
            width, taps = config.hidden_size, config.conv_kernel_size
            self.conv = nn.Conv2d(
                width, width, (taps, 1), padding=(taps // 2, 0), bias=False, groups=width
            )

    def attend(
        self, hidden_states: torch.Tensor, valid: torch.Tensor, output_attentions: bool
    ) -> Attended:
        """Context `[batch, n, hidden]`, and the attention weights if asked for.

        `valid` is `[batch, n]`. The weights are `[batch, heads, n, n]`, or `[batch, heads, n,
        landmarks]` for Nyström attention: those over the landmarks' summaries, without what a token
        takes of its window.
        """
        query, key, value = (
            projection(hidden_states).unflatten(-1, (self.num_attention_heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        if self.rotary:
            query, key = turned(query), turned(key)
        dtype = value.dtype
        if dtype in (torch.float16, torch.bfloat16):  # the iteration needs more digits
            query, key, value = query.float(), key.float(), value.float()
        attend = self.attend_exactly if self.exact else self.attend_to_landmarks
        context, weights = attend(query, key, value, valid, output_attentions)
        if self.conv_kernel_size is not None:
            visible = value * valid[:, None, :, None]
            context = context + self.convolve(visible.to(dtype)).to(context.dtype)
        return context.to(dtype).transpose(1, 2).flatten(2), weights

    def convolve(self, value: torch.Tensor) -> torch.Tensor:
        """The convolution of `[batch, heads, n, d]`, a filter for each head or for each channel."""
        if not self.conv_per_channel:
            return self.conv(value)
        channels = value.mT.flatten(1, 2)[..., None]  # [batch, hidden, n, 1]
        return self.conv(channels)[..., 0].unflatten(1, (self.num_attention_heads, -1)).mT

    def attend_exactly(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        valid: torch.Tensor,
        output_attentions: bool,
    ) -> Attended:
        """Softmax attention over valid keys."""
        bias = bias_of(valid, query.dtype)
        if not output_attentions:
            dropout = self.dropout.p if self.training else 0.0
            return functional.scaled_dot_product_attention(query, key, value, bias, dropout), None
        weights = self.dropout(self.softmax_scores(query, key, bias))
        return weights @ value, weights

    def attend_to_landmarks(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        valid: torch.Tensor,
        output_attentions: bool,
    ) -> Attended:
        """Nyström attention; kernels 1 and 3 are held only if the weights are asked for."""
        averaging = self.averaging_weights(valid).to(query.dtype)[:, None]
        used = averaging.sum(-1) > 0  # [batch, 1, landmarks]
        landmark_bias = bias_of(used[:, 0], query.dtype)
        query_landmarks, key_landmarks = averaging @ query, averaging @ key
        kernel = self.softmax_scores(query_landmarks, key_landmarks, landmark_bias)
        inverse = self.invert(kernel * used[..., None])
        key_bias = bias_of(valid, query.dtype)
        summary = functional.scaled_dot_product_attention(query_landmarks, key, value, key_bias)
        if not (output_attentions or self.local_window):
            summary = inverse @ summary
            context = functional.scaled_dot_product_attention(
                query, key_landmarks, summary, landmark_bias
            )
            return context, None
        if self.local_window:
            weights, near = self.attend_beside_window(
                query, key, value, valid, key_landmarks, landmark_bias
            )
        else:
            weights, near = self.softmax_scores(query, key_landmarks, landmark_bias), 0.0
        weights = weights @ inverse
        return weights @ summary + near, weights if output_attentions else None

    def averaging_weights(self, valid: torch.Tensor) -> torch.Tensor:
        """Weights `[batch, landmarks, n]` of the landmarks' tokens.

        Columns are pixels, row by row; a patch averages over those of its pixels that are valid.
        """
        if self.patch is None:
            return averaging_weights(valid, self.num_landmarks)
        height, width = self.patch
        columns = torch.arange(valid.shape[1], device=valid.device)
        row, place = columns // self.image_width, columns % self.image_width
        patch = row // height * (self.image_width // width) + place // width
        return means_over(patch[None], valid, self.num_landmarks)

    def attend_beside_window(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        valid: torch.Tensor,
        key_landmarks: torch.Tensor,
        landmark_bias: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One softmax over landmarks and the tokens near by.

        The probabilities of landmarks `[batch, heads, n, landmarks]`, and what each token takes of
        its window, `[batch, heads, n, d]`. Distances are counted in columns.
        """
        reach, n = self.local_window // 2, query.shape[-2]
        filling = (0, 0, 0, -n % reach)
        scale = self.attention_head_size**-0.5
        blocks = functional.pad(query * scale, filling).unflatten(-2, (-1, reach))
        near = blocks @ windows(key, reach).mT  # [batch, heads, blocks, reach, 3 * reach]
        columns = torch.arange(3 * reach, device=query.device)
        distance = columns - reach - columns[:reach, None]
        seen = windows(valid[:, None, :, None].to(query.dtype), reach).mT > 0
        seen = seen & (distance.abs() <= reach)
        near = near.masked_fill(~seen, torch.finfo(near.dtype).min)
        far = query @ key_landmarks.mT * scale + landmark_bias
        far = functional.pad(far, filling).unflatten(-2, (-1, reach))
        probabilities = torch.cat([far, near], -1).softmax(-1)
        weights, near = probabilities.split([far.shape[-1], 3 * reach], -1)
        context = near @ windows(value, reach)
        return weights.flatten(2, 3)[:, :, :n], context.flatten(2, 3)[:, :, :n]

    def invert(self, kernel: torch.Tensor) -> torch.Tensor:
        """The pseudo-inverse of the landmarks' kernel."""
        if self.pinv_ridge is not None:
            return ridge_inverse(kernel, self.pinv_ridge)
        return pseudo_inverse(kernel, self.pinv_iterations, self.pinv_init)

    def softmax_scores(
        self, query: torch.Tensor, key: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Probabilities of `query` over `key`."""
        return (query @ key.mT * self.attention_head_size**-0.5 + bias).softmax(-1)


class NystromformerModel(theirs.NystromformerModel):
    """transformers' encoder with `PaperSelfAttention` in every layer."""

    _auto_class = "AutoModel"
    supports_gradient_checkpointing = False  # the layers are called part by part

    def __init__(self, config: NystromformerConfig) -> None:
        semantics = getattr(config, "semantics", None)
        if semantics != "paper":
            raise ValueError(
                f"`semantics` is `{semantics}` in config.json, but this file computes `paper`: "
                "load the folder without trust_remote_code"
            )
        super().__init__(config)
        if PaperEmbeddings.are_needed(config):
            self.embeddings = PaperEmbeddings(config)
        for layer in self.encoder.layer:
            layer.attention.self = PaperSelfAttention(config)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **unused: object,
    ) -> BaseModelOutput | tuple:
        """As in transformers; `attention_mask` is `[batch, n]`, padding anywhere in a row."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        shape = (input_ids if input_ids is not None else inputs_embeds).shape[:2]
        if shape[1] > self.config.max_position_embeddings:
            raise ValueError(
                f"a row of `{shape[1]}` tokens, but the model has positions for "
                f"`{self.config.max_position_embeddings}`: truncate the input"
            )
        if attention_mask is None:
            attention_mask = torch.ones(shape, device=self.device)
        if attention_mask.shape != shape:
            raise ValueError(
                f"attention_mask is `{list(attention_mask.shape)}`, not `{list(shape)}`"
            )
        valid = attention_mask > 0

        is_ours = isinstance(self.embeddings, PaperEmbeddings)
        hidden = self.embeddings(
            input_ids=input_ids,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            **({"valid": valid} if is_ours else {}),
        )
        if output_attentions is None:
            output_attentions = self.config.output_attentions
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        if return_dict is None:
            return_dict = self.config.return_dict
        hidden_states, attentions = [hidden], []
        for layer in self.encoder.layer:
            context, weights = layer.attention.self.attend(hidden, valid, output_attentions)
            hidden = layer.feed_forward_chunk(layer.attention.output(context, hidden))
            hidden_states.append(hidden)
            attentions.append(weights)

        output = BaseModelOutput(
            last_hidden_state=hidden,
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
        return output if return_dict else output.to_tuple()


class OnThisEncoder:
    """Puts one of transformers' heads on the encoder above."""

    supports_gradient_checkpointing = False

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.nystromformer = NystromformerModel(config)
        self.post_init()


class NystromformerForMaskedLM(OnThisEncoder, theirs.NystromformerForMaskedLM):
    """Predicts masked tokens."""

    _auto_class = "AutoModelForMaskedLM"


class PooledHead(theirs.NystromformerClassificationHead):
    """transformers' head over what is pooled of the sequence, twice as wide as a state."""

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.pooling = config.pooling
        self.dense = nn.Linear(2 * config.hidden_size, config.hidden_size)
        self.valid: torch.Tensor | None = None  # of the batch at hand, `[batch, n]`

    def forward(self, features: torch.Tensor, **unused: object) -> torch.Tensor:
        """transformers' head reads the first of `[batch, n, hidden]`: it is given one."""
        valid = self.valid
        if valid is None:
            valid = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        return super().forward(pooled(features, valid, self.pooling)[:, None])


class NystromformerForSequenceClassification(
    OnThisEncoder, theirs.NystromformerForSequenceClassification
):
    """Classifies, scores or labels a text."""

    _auto_class = "AutoModelForSequenceClassification"

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        if getattr(config, "pooling", "first") != "first":
            self.classifier = PooledHead(config)
            self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **others: object,
    ) -> object:
        """As in transformers."""
        if isinstance(self.classifier, PooledHead):
            self.classifier.valid = None if attention_mask is None else attention_mask > 0
        return super().forward(input_ids, attention_mask, **others)


class NystromformerForMultipleChoice(OnThisEncoder, theirs.NystromformerForMultipleChoice):
    """Chooses among texts."""

    _auto_class = "AutoModelForMultipleChoice"


class NystromformerForTokenClassification(
    OnThisEncoder, theirs.NystromformerForTokenClassification
):
    """Classifies every token."""

    _auto_class = "AutoModelForTokenClassification"


class NystromformerForQuestionAnswering(OnThisEncoder, theirs.NystromformerForQuestionAnswering):
    """Finds the answer in a context."""

    _auto_class = "AutoModelForQuestionAnswering"
