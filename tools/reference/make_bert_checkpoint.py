"""Write tiny folders of BERT, RoBERTa and its relatives, and what those models compute, to start Nyströmformers from.

    python make_bert_checkpoint.py      # into crates/interop/tests/fixtures/

Exact attention without convolution is BERT's attention, so a Nyströmformer with `attention =
"softmax"`, no convolution (or one of zeros), `hidden_act = "gelu"` and BERT's `layer_norm_eps` must
give BERT's own logits. The same is checked here with transformers' Nyströmformer on unpadded rows.

| Folder | Class | Stored as |
|---|---|---|
| `bert` | `BertForMaskedLM` | `model.safetensors`, with a WordPiece tokenizer |
| `bert_pretraining` | `BertForPreTraining` | `model.safetensors`, names of 2018: `gamma`, `beta` |
| `roberta` | `RobertaForMaskedLM` | `pytorch_model.bin` |
| `xlm_roberta` | `XLMRobertaForMaskedLM` | `pytorch_model.bin` |
| `camembert` | `CamembertForMaskedLM` | `pytorch_model.bin` |
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    CamembertConfig,
    CamembertForMaskedLM,
    NystromformerConfig,
    NystromformerForMaskedLM,
    PretrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from fixture_file import INTEROP_FIXTURES, random_ids, randomise, save_tensors
from make_hf_checkpoint import WORDS, write_tokenizer

SEED = 17
SEQ_LEN = 16
LENGTHS = {"unpadded": (SEQ_LEN, SEQ_LEN), "padded": (SEQ_LEN, 9)}
AGREEMENT = 1e-11
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "attn_implementation": "eager",
}


def write_current(model: PreTrainedModel, folder: Path) -> None:
    """As `save_pretrained` writes it today."""
    model.save_pretrained(folder)
    write_tokenizer(folder)


def write_of_2018(model: PreTrainedModel, folder: Path) -> None:
    """Layer norms called `gamma` and `beta`, the tied decoder and `position_ids` included."""
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor.clone()
        for name, tensor in model.state_dict().items()
    }
    state["bert.embeddings.position_ids"] = torch.arange(SEQ_LEN)[None]
    model.config.save_pretrained(folder)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def write_bin(model: PreTrainedModel, folder: Path) -> None:
    """A pickled state dict."""
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


@dataclass(frozen=True)
class Source:
    """A class to save. `first_position` is the row of the position table for the first token."""

    folder: str
    model: type[PreTrainedModel]
    config: PretrainedConfig
    first_position: int
    write: Callable[[PreTrainedModel, Path], None]


BERT = BertConfig(**SIZES, max_position_embeddings=SEQ_LEN, type_vocab_size=2, pad_token_id=0)
ROBERTA_SIZES = SIZES | {
    "max_position_embeddings": SEQ_LEN + 2,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
ROBERTA = RobertaConfig(**ROBERTA_SIZES)
XLM_ROBERTA = XLMRobertaConfig(**ROBERTA_SIZES)
CAMEMBERT = CamembertConfig(**ROBERTA_SIZES)
SOURCES = (
    Source("bert", BertForMaskedLM, BERT, 0, write_current),
    Source("bert_pretraining", BertForPreTraining, BERT, 0, write_of_2018),
    Source("roberta", RobertaForMaskedLM, ROBERTA, 2, write_bin),
    Source("xlm_roberta", XLMRobertaForMaskedLM, XLM_ROBERTA, 2, write_bin),
    Source("camembert", CamembertForMaskedLM, CAMEMBERT, 2, write_bin),
)
# RoBERTa's head under BERT's names.
ROBERTA_HEAD = (
    ("roberta.", "bert."),
    ("lm_head.dense.", "cls.predictions.transform.dense."),
    ("lm_head.layer_norm.", "cls.predictions.transform.LayerNorm."),
    ("lm_head.", "cls.predictions."),
)


def as_nystromformer(model: PreTrainedModel, source: Source) -> NystromformerForMaskedLM:
    """The same function in transformers' Nyströmformer."""
    config = source.config
    twin = NystromformerForMaskedLM(
        NystromformerConfig(
            **{name: getattr(config, name) for name in SIZES if name != "attn_implementation"},
            hidden_act=config.hidden_act,
            layer_norm_eps=config.layer_norm_eps,
            type_vocab_size=config.type_vocab_size,
            max_position_embeddings=SEQ_LEN,
            pad_token_id=config.pad_token_id,
            num_landmarks=4,
            segment_means_seq_len=4,
            conv_kernel_size=None,
        )
    )
    state: dict[str, torch.Tensor] = {}
    for name, tensor in model.state_dict().items():
        moves = (
            ours + name.removeprefix(theirs)
            for theirs, ours in ROBERTA_HEAD
            if name.startswith(theirs)
        )
        renamed = next(moves, name)
        if "pooler" in name or "seq_relationship" in name:
            continue
        if "position_embeddings" in name and source.first_position == 0:
            # Nyströmformer's first token has row 2: two rows that nothing reads go before.
            tensor = torch.cat([torch.zeros(2, tensor.shape[1]), tensor])
        state[renamed.replace("bert.", "nystromformer.", 1)] = tensor
    twin.load_state_dict(state)
    return twin.double().eval()


def draw_inputs(source: Source, kind: str, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Two rows of the given kind."""
    config = source.config
    mask = (torch.arange(SEQ_LEN) < torch.tensor(LENGTHS[kind])[:, None]).long()
    ids = random_ids(tuple(mask.shape), config.vocab_size, config.pad_token_id, generator)
    types = torch.randint(0, config.type_vocab_size, mask.shape, generator=generator)
    return {
        "input_ids": torch.where(mask == 1, ids, config.pad_token_id),
        "attention_mask": mask,
        "token_type_ids": types * mask,
    }


def results(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Hidden states and logits of `model`, and the sentence logits where it has them."""
    with torch.no_grad():
        output: Any = model(**batch, output_hidden_states=True)
    named = {f"hidden_states.{layer}": state for layer, state in enumerate(output.hidden_states)}
    if "prediction_logits" in output:
        named["seq_relationship_logits"] = output.seq_relationship_logits
        return named | {"logits": output.prediction_logits}
    return named | {"logits": output.logits}


def make(source: Source) -> None:
    """Write one folder."""
    generator = torch.Generator().manual_seed(SEED)
    model = source.model(copy.deepcopy(source.config)).eval()
    model.config.architectures = [source.model.__name__]
    randomise(model.named_parameters(), generator)
    twin = as_nystromformer(model, source)
    folder = INTEROP_FIXTURES / source.folder
    folder.mkdir(parents=True, exist_ok=True)
    source.write(model, folder)
    model.double()
    stored: dict[str, torch.Tensor] = {}
    for kind in LENGTHS:
        batch = draw_inputs(source, kind, generator)
        computed = results(model, batch)
        if kind == "unpadded":
            with torch.no_grad():
                worst = (twin(**batch).logits - computed["logits"]).abs().max().item()
            if not worst < AGREEMENT:
                raise AssertionError(f"`{source.folder}`: the twin differs by {worst:.1e}")
        named = batch | {name: tensor.float() for name, tensor in computed.items()}
        stored |= {f"{kind}.{name}": tensor for name, tensor in named.items()}
    save_tensors(folder / "expected.safetensors", stored, {"class": source.model.__name__})
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{source.folder:20} {size / 1024:6.1f} KiB")


def main() -> None:
    """Write every folder."""
    torch.set_num_threads(1)
    for source in SOURCES:
        make(source)


if __name__ == "__main__":
    main()
