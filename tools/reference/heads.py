"""Every Nyströmformer class of transformers, with random inputs and labels for each.

The generators and the acceptance matrices walk over `HEADS`: one entry per class and kind of loss.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import (
    NystromformerConfig,
    NystromformerForMaskedLM,
    NystromformerForMultipleChoice,
    NystromformerForQuestionAnswering,
    NystromformerForSequenceClassification,
    NystromformerForTokenClassification,
    NystromformerModel,
    PreTrainedModel,
)

from fixture_file import random_ids, randomise, sparse_labels

Tensors = dict[str, torch.Tensor]
LabelMaker = Callable[[NystromformerConfig, torch.Tensor, torch.Generator], Tensors]

PAD_TOKEN_ID = 0
IGNORED = -100
NUM_CHOICES = 3
INPUT_NAMES = ("input_ids", "input_features", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class Head:
    """One class with one kind of loss.

    `outputs` are the tensors it computes, `options` what it adds to the configuration.
    """

    name: str
    model: type[PreTrainedModel]
    outputs: tuple[str, ...]
    labels: LabelMaker
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_choices(self) -> bool:
        """Whether inputs are `[batch, choices, seq_len]` instead of `[batch, seq_len]`."""
        return self.model is NystromformerForMultipleChoice

    def build(self, generator: torch.Generator, **sizes: Any) -> PreTrainedModel:
        """A model without dropout, every parameter drawn by `randomise`."""
        settings = {
            "architectures": [self.model.__name__],
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "initializer_range": 0.3,
            "pad_token_id": PAD_TOKEN_ID,
            "bos_token_id": 2,
            "eos_token_id": 3,
        }
        config = NystromformerConfig(**(settings | dict(self.options) | sizes))
        model = self.model(config).eval()
        randomise(model.named_parameters(), generator)
        return model

    def inputs(
        self,
        config: NystromformerConfig,
        lengths: list[int],
        seq_len: int,
        generator: torch.Generator,
    ) -> Tensors:
        """A random batch; row `i` has `lengths[i]` valid tokens, one row for each choice."""
        mask = (torch.arange(seq_len) < torch.tensor(lengths)[:, None]).long()
        shape = (len(lengths), seq_len)
        ids = random_ids(shape, config.vocab_size, PAD_TOKEN_ID, generator)
        types = torch.randint(0, config.type_vocab_size, shape, generator=generator)
        batch = {
            "input_ids": torch.where(mask == 1, ids, PAD_TOKEN_ID),
            "attention_mask": mask,
            "token_type_ids": types * mask,
        }
        if self.has_choices:
            batch = {name: tensor.unflatten(0, (-1, NUM_CHOICES)) for name, tensor in batch.items()}
        return batch


def no_labels(_: NystromformerConfig, __: torch.Tensor, ___: torch.Generator) -> Tensors:
    """The bare model has no loss."""
    return {}


def masked_tokens(
    config: NystromformerConfig, mask: torch.Tensor, generator: torch.Generator
) -> Tensors:
    """A token for about a fifth of the valid positions."""
    return {"labels": sparse_labels(mask, config.vocab_size, generator)}


def one_number(_: NystromformerConfig, mask: torch.Tensor, generator: torch.Generator) -> Tensors:
    """A real number for each row."""
    return {"labels": torch.randn(len(mask), generator=generator)}


def one_class(
    config: NystromformerConfig, mask: torch.Tensor, generator: torch.Generator
) -> Tensors:
    """A class for each row; for multiple choice, the right choice."""
    classes = mask.shape[1] if mask.dim() == 3 else config.num_labels
    return {"labels": torch.randint(0, classes, (len(mask),), generator=generator)}


def many_classes(
    config: NystromformerConfig, mask: torch.Tensor, generator: torch.Generator
) -> Tensors:
    """Zero or one for each row and class."""
    shape = (len(mask), config.num_labels)
    return {"labels": torch.randint(0, 2, shape, generator=generator).float()}


def token_classes(
    config: NystromformerConfig, mask: torch.Tensor, generator: torch.Generator
) -> Tensors:
    """A class for each valid token but about a quarter, which are ignored as padding is."""
    classes = torch.randint(0, config.num_labels, mask.shape, generator=generator)
    counted = (mask == 1) & (torch.rand(mask.shape, generator=generator) < 0.75)
    counted[..., 0] = True
    return {"labels": torch.where(counted, classes, IGNORED)}


def answer_span(_: NystromformerConfig, mask: torch.Tensor, generator: torch.Generator) -> Tensors:
    """First and last token of each row's answer; the last row's end lies outside: ignored."""
    length = mask.sum(-1)
    start = (torch.rand(len(mask), generator=generator) * length).long()
    end = start + (torch.rand(len(mask), generator=generator) * (length - start)).long()
    end[-1] = mask.shape[-1] + 3
    return {"start_positions": start, "end_positions": end}


def named(*labels: str) -> dict[str, Any]:
    """The label maps of a configuration."""
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }


SENTIMENTS = named("negative", "neutral", "positive")
LOGITS = ("logits",)
HEADS = (
    Head("base_model", NystromformerModel, ("last_hidden_state",), no_labels),
    Head("masked_lm", NystromformerForMaskedLM, LOGITS, masked_tokens),
    Head(
        "sequence_regression",
        NystromformerForSequenceClassification,
        LOGITS,
        one_number,
        named("score") | {"problem_type": "regression"},
    ),
    Head(
        "sequence_single_label",
        NystromformerForSequenceClassification,
        LOGITS,
        one_class,
        SENTIMENTS | {"problem_type": "single_label_classification"},
    ),
    Head(
        "sequence_multi_label",
        NystromformerForSequenceClassification,
        LOGITS,
        many_classes,
        named("toxic", "insult", "threat", "spam") | {"problem_type": "multi_label_classification"},
    ),
    Head("multiple_choice", NystromformerForMultipleChoice, LOGITS, one_class),
    Head(
        "token_classification",
        NystromformerForTokenClassification,
        LOGITS,
        token_classes,
        named("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
    ),
    Head(
        "question_answering",
        NystromformerForQuestionAnswering,
        ("start_logits", "end_logits"),
        answer_span,
    ),
)


def compute(model: PreTrainedModel, head: Head, batch: Mapping[str, torch.Tensor]) -> Tensors:
    """Outputs, and the loss where `batch` holds labels, in the model's dtype and without gradient.

    Labels that are numbers are brought to the model's dtype.
    """
    arguments = {
        name: tensor.to(model.dtype) if tensor.is_floating_point() else tensor
        for name, tensor in batch.items()
    }
    with torch.no_grad():
        output = model(**arguments)
    names = [*head.outputs, "loss"] if batch.keys() - set(INPUT_NAMES) else list(head.outputs)
    return {name: getattr(output, name) for name in names}
