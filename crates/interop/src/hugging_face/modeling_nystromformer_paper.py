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
its own norm; `original`: one norm for the whole batch), and `pinv_ridge` of a solve. Runs under
transformers 4.56 and 5.
"""

import torch
from torch.nn import functional
from transformers import NystromformerConfig
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
    index = torch.arange(landmarks, device=valid.device)[:, None]
    member = (segment[:, None, :] == index) & valid[:, None, :]
    return member / member.sum(-1, keepdim=True).clamp(min=1)


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


class PaperSelfAttention(theirs.NystromformerSelfAttention):
    """Self-attention over valid tokens; its parameters are those of the class it replaces."""

    def __init__(self, config: NystromformerConfig) -> None:
        super().__init__(config)
        self.exact = config.attention == "softmax"
        self.pinv_iterations = config.pinv_iterations
        self.pinv_init = config.pinv_init
        # Folders that were exported before there was a choice have none of these.
        self.pinv_ridge = config.pinv_ridge if getattr(config, "pinv", None) == "solve" else None

    def attend(
        self, hidden_states: torch.Tensor, valid: torch.Tensor, output_attentions: bool
    ) -> Attended:
        """Context `[batch, n, hidden]`, and the attention weights if asked for.

        `valid` is `[batch, n]`. The weights are `[batch, heads, n, n]`, or `[batch, heads, n,
        landmarks]` for Nyström attention: those over the landmarks' summaries.
        """
        query, key, value = (
            projection(hidden_states).unflatten(-1, (self.num_attention_heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        dtype = value.dtype
        if dtype in (torch.float16, torch.bfloat16):  # the iteration needs more digits
            query, key, value = query.float(), key.float(), value.float()
        attend = self.attend_exactly if self.exact else self.attend_to_landmarks
        context, weights = attend(query, key, value, valid, output_attentions)
        if self.conv_kernel_size is not None:
            visible = value * valid[:, None, :, None]
            context = context + self.conv(visible.to(dtype)).to(context.dtype)
        return context.to(dtype).transpose(1, 2).flatten(2), weights

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
        averaging = averaging_weights(valid, self.num_landmarks).to(query.dtype)[:, None]
        used = averaging.sum(-1) > 0  # [batch, 1, landmarks]
        landmark_bias = bias_of(used[:, 0], query.dtype)
        query_landmarks, key_landmarks = averaging @ query, averaging @ key
        kernel = self.softmax_scores(query_landmarks, key_landmarks, landmark_bias)
        inverse = self.invert(kernel * used[..., None])
        key_bias = bias_of(valid, query.dtype)
        summary = functional.scaled_dot_product_attention(query_landmarks, key, value, key_bias)
        if not output_attentions:
            summary = inverse @ summary
            context = functional.scaled_dot_product_attention(
                query, key_landmarks, summary, landmark_bias
            )
            return context, None
        weights = self.softmax_scores(query, key_landmarks, landmark_bias) @ inverse
        return weights @ summary, weights

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

        hidden = self.embeddings(
            input_ids=input_ids,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
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


class NystromformerForSequenceClassification(
    OnThisEncoder, theirs.NystromformerForSequenceClassification
):
    """Classifies, scores or labels a text."""

    _auto_class = "AutoModelForSequenceClassification"


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
