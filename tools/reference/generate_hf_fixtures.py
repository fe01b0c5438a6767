"""Write `crates/model/tests/fixtures/hf_*.safetensors`: what transformers 4.56.2 computes.

Each file holds a tiny random `NystromformerForMaskedLM`, one batch, and every intermediate result
of the first layer, all hidden states, logits, loss and the gradient of each parameter. The library
runs in float64, so the stored float32 values carry one rounding and nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch.nn.functional import conv2d
from transformers import NystromformerConfig, NystromformerForMaskedLM

from fixture_file import (
    float32_error,
    random_ids,
    randomise,
    save_model_fixture,
    sparse_labels,
)

PAD_TOKEN_ID = 0
AGREEMENT = 1e-12
CONFIG_KEYS = (
    "architectures",
    "attention_probs_dropout_prob",
    "bos_token_id",
    "conv_kernel_size",
    "eos_token_id",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "inv_coeff_init_option",
    "layer_norm_eps",
    "max_position_embeddings",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "num_landmarks",
    "pad_token_id",
    "segment_means_seq_len",
    "type_vocab_size",
    "vocab_size",
)


@dataclass(frozen=True)
class Case:
    """One fixture: the sizes that differ from the defaults and the length of each row."""

    name: str
    about: str
    lengths: Sequence[int]
    seq_len: int = 24
    num_landmarks: int = 6
    segment_means_seq_len: int = 24
    conv_kernel_size: int | None = 5
    hidden_size: int = 16
    intermediate_size: int = 28
    num_attention_heads: int = 2
    num_hidden_layers: int = 2
    hidden_act: str = "gelu_new"
    rows_alone: bool = False

    def config(self) -> NystromformerConfig:
        """The configuration as a Hugging Face user would write it."""
        return NystromformerConfig(
            architectures=["NystromformerForMaskedLM"],
            vocab_size=40,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
            hidden_act=self.hidden_act,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            max_position_embeddings=self.seq_len + 2,
            type_vocab_size=2,
            segment_means_seq_len=self.segment_means_seq_len,
            num_landmarks=self.num_landmarks,
            conv_kernel_size=self.conv_kernel_size,
            initializer_range=0.3,
            pad_token_id=PAD_TOKEN_ID,
            bos_token_id=2,
            eos_token_id=3,
        )


def small(name: str, activation: str) -> Case:
    """A one-layer case that only differs in its activation."""
    return Case(
        name,
        f"activation {activation}",
        (12, 9),
        seq_len=12,
        segment_means_seq_len=12,
        num_landmarks=3,
        conv_kernel_size=3,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=1,
        hidden_act=activation,
    )


CASES = (
    Case("hf_nystrom", "Nyström branch, no padding", (24, 24)),
    Case("hf_nystrom_padded", "Nyström branch, padded rows", (24, 17, 6, 1)),
    Case(
        "hf_softmax_padded",
        "full softmax because num_landmarks == segment_means_seq_len; any length, padded rows",
        (19, 11, 1),
        seq_len=19,
        segment_means_seq_len=6,
        num_hidden_layers=1,
    ),
    Case(
        "hf_no_convolution",
        "conv_kernel_size null",
        (24, 10),
        conv_kernel_size=None,
        num_hidden_layers=1,
    ),
    small("hf_gelu", "gelu"),
    small("hf_relu", "relu"),
    small("hf_silu", "silu"),
    Case(
        "hf_batch_coupling",
        "`logits_alone` holds each row computed by itself: the original initialisation takes one "
        "maximum over the batch, so the rows of `logits` differ from it",
        (24, 24, 24),
        rows_alone=True,
        num_hidden_layers=1,
    ),
    Case(
        "hf_head_dim_one",
        "head_dim 1, one landmark, a convolution wider than the sequence",
        (9, 4),
        seq_len=9,
        segment_means_seq_len=9,
        num_landmarks=1,
        conv_kernel_size=13,
        hidden_size=6,
        intermediate_size=10,
        num_attention_heads=6,
    ),
)


def iterative_pseudo_inverse(matrix: torch.Tensor) -> torch.Tensor:
    """Six third-order iterations from the transpose over the batch's one largest column sum."""
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    inverse = matrix.mT / matrix.sum(-2).max()
    for _ in range(6):
        product = matrix @ inverse
        bracket = 15 * identity - product @ (7 * identity - product)
        inverse = inverse @ (13 * identity - product @ bracket) / 4
    return inverse


def first_layer_stages(
    model: NystromformerForMaskedLM, hidden: torch.Tensor, attention_mask: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Restate the first layer's attention step by step from its input `[batch, seq, hidden]`."""
    attention = model.nystromformer.encoder.layer[0].attention.self
    heads, head_dim = attention.num_attention_heads, attention.attention_head_size
    batch, seq_len, _ = hidden.shape

    def split(projection: torch.nn.Module) -> torch.Tensor:
        return projection(hidden).view(batch, seq_len, heads, head_dim).transpose(1, 2)

    query = split(attention.query) / math.sqrt(math.sqrt(head_dim))
    key = split(attention.key) / math.sqrt(math.sqrt(head_dim))
    value = split(attention.value)
    minimum = torch.finfo(hidden.dtype).min
    padding = (1.0 - attention_mask[:, None, None, :].to(hidden.dtype)) * minimum
    stages = {"query": query, "key": key, "value": value}
    if attention.num_landmarks == attention.seq_len:
        stages["attention_probs"] = (query @ key.mT + padding).softmax(-1)
        context = stages["attention_probs"] @ value
    else:
        shape = (batch, heads, attention.num_landmarks, -1, head_dim)
        query_landmarks = query.reshape(shape).mean(-2)
        key_landmarks = key.reshape(shape).mean(-2)
        kernel_1 = (query @ key_landmarks.mT).softmax(-1)
        kernel_2 = (query_landmarks @ key_landmarks.mT).softmax(-1)
        kernel_3 = (query_landmarks @ key.mT + padding).softmax(-1)
        inverse = iterative_pseudo_inverse(kernel_2)
        context = kernel_1 @ (inverse @ (kernel_3 @ value))
        stages |= {
            "query_landmarks": query_landmarks,
            "key_landmarks": key_landmarks,
            "kernel_1": kernel_1,
            "kernel_2": kernel_2,
            "kernel_3": kernel_3,
            "pinv": inverse,
        }
    if attention.conv_kernel_size is not None:
        reach = attention.conv_kernel_size // 2
        context = context + conv2d(value, attention.conv.weight, padding=(reach, 0), groups=heads)
    stages["attention_context"] = context
    return stages


def assert_close(what: str, restated: torch.Tensor, reference: torch.Tensor) -> None:
    """Stop when a restatement leaves the library's value by more than the dtype's rounding."""
    tolerance = AGREEMENT if reference.dtype == torch.float64 else 1e-4
    worst = (restated - reference).abs().max().item()
    if worst > tolerance * max(1.0, reference.abs().max().item()):
        raise AssertionError(f"{what} differs from the library by {worst:.3e}")


def run(
    model: NystromformerForMaskedLM, inputs: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Forward and backward in the model's dtype, with the first layer's stages."""
    model.zero_grad()
    output = model(**inputs, output_hidden_states=True)
    output.loss.backward()
    with torch.no_grad():
        stages = first_layer_stages(model, output.hidden_states[0], inputs["attention_mask"])
        layer = model.nystromformer.encoder.layer[0]
        merged = stages["attention_context"].transpose(1, 2).flatten(2)
        attended = layer.attention.output(merged, output.hidden_states[0])
        stages["layer_output"] = layer.feed_forward_chunk(attended)
    assert_close("the first layer", stages["layer_output"], output.hidden_states[1])
    tensors = {f"stage.{key}": tensor for key, tensor in stages.items()}
    tensors |= {f"hidden_states.{i}": tensor for i, tensor in enumerate(output.hidden_states)}
    tensors |= {"logits": output.logits, "loss": output.loss}
    for name, parameter in model.named_parameters():
        tensors[f"param.{name}"] = parameter
        tensors[f"grad.{name}"] = parameter.grad.clone()
    tensors["grad_dropped_by_padding_idx"] = dropped_padding_gradient(model, inputs)
    return {key: tensor.detach().clone() for key, tensor in tensors.items()}


def dropped_padding_gradient(
    model: NystromformerForMaskedLM, inputs: dict[str, torch.Tensor]
) -> torch.Tensor:
    """The part of the padding token's embedding gradient that `padding_idx` throws away."""
    embedding = model.nystromformer.embeddings.word_embeddings
    with_padding_idx = embedding.weight.grad[PAD_TOKEN_ID].clone()
    model.zero_grad()
    embedding.padding_idx = None
    model(**inputs).loss.backward()
    embedding.padding_idx = PAD_TOKEN_ID
    return embedding.weight.grad[PAD_TOKEN_ID] - with_padding_idx


def logits_alone(model: NystromformerForMaskedLM, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Logits of every row computed in a batch of its own."""
    rows = range(inputs["input_ids"].shape[0])
    with torch.no_grad():
        each = [model(**{key: t[i : i + 1] for key, t in inputs.items()}).logits for i in rows]
    return torch.cat(each)


def generate(case: Case, seed: int) -> None:
    """Build, run and store one case."""
    generator = torch.Generator().manual_seed(seed)
    config = case.config()
    model = NystromformerForMaskedLM(config).eval()
    randomise(model.named_parameters(), generator)
    shape = (len(case.lengths), case.seq_len)
    attention_mask = (torch.arange(case.seq_len) < torch.tensor(case.lengths)[:, None]).long()
    ids = random_ids(shape, config.vocab_size, PAD_TOKEN_ID, generator)
    inputs = {
        "input_ids": torch.where(attention_mask == 1, ids, PAD_TOKEN_ID),
        "attention_mask": attention_mask,
        "token_type_ids": torch.randint(0, 2, shape, generator=generator) * attention_mask,
        "labels": sparse_labels(attention_mask, config.vocab_size, generator),
    }
    rounded = run(model, inputs)
    exact = run(model.double(), inputs)
    facts: dict[str, Any] = {
        "about": case.about,
        "compared_positions": "all",
        "float32_error": float32_error(exact, rounded),
        "libraries": f"torch {torch.__version__.split('+')[0]}, "
        f"transformers {transformers.__version__}",
        "precision": "computed in float64, stored as float32",
        "tied": "cls.predictions.decoder.weight = nystromformer.embeddings.word_embeddings.weight; "
        "cls.predictions.decoder.bias = cls.predictions.bias",
    }
    if case.rows_alone:
        exact["logits_alone"] = logits_alone(model, inputs)
        gap = (exact["logits_alone"] - exact["logits"]).abs().max().item()
        if gap < 1e-3:
            raise AssertionError(f"`{case.name}` shows no coupling: rows differ by {gap:.1e} only")
    written = {key: config.to_dict()[key] for key in CONFIG_KEYS} | {"semantics": "hf"}
    save_model_fixture(case.name, exact | inputs, written, facts)


def main() -> None:
    """Write every case."""
    torch.set_num_threads(1)
    for seed, case in enumerate(CASES):
        generate(case, seed)


if __name__ == "__main__":
    main()
