"""Write a tiny random Nyströmformer folder in one of the forms that Hugging Face folders come in.

    python make_hf_checkpoint.py --form sharded OUTPUT_DIR
    python make_hf_checkpoint.py --fixtures      # every form, into crates/interop/tests/fixtures/

Beside the weights lies `expected_logits.safetensors`: `input_ids`, `attention_mask`, and the
`logits` (for the bare model the `last_hidden_state`) that transformers computes in float64.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import BertTokenizerFast, NystromformerConfig, NystromformerForMaskedLM

from fixture_file import INTEROP_FIXTURES, random_ids, randomise, save_tensors

SEED = 5
SHARD_BYTES = 3000
PREFIX = "nystromformer."
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "the", "a", "is", "of", "capital")
WORDS += ("paris", "france", "cat", "dog", "sat", "on", "mat", "##s", "##ed")


def tiny_model() -> NystromformerForMaskedLM:
    """One layer of width 8 with every parameter random."""
    config = NystromformerConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=12,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=10,
        segment_means_seq_len=8,
        num_landmarks=2,
        conv_kernel_size=3,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    model = NystromformerForMaskedLM(config).eval()
    randomise(model.named_parameters(), torch.Generator().manual_seed(SEED))
    return model


def write_tokenizer(folder: Path) -> None:
    """A WordPiece tokenizer over `WORDS`."""
    with tempfile.TemporaryDirectory() as scratch:
        vocabulary = Path(scratch) / "vocab.txt"
        vocabulary.write_text("\n".join(WORDS) + "\n")
        tokenizer = BertTokenizerFast(vocab_file=str(vocabulary), model_max_length=8)
    tokenizer.save_pretrained(folder)


def write_safetensors(model: NystromformerForMaskedLM, folder: Path) -> None:
    """What `save_pretrained` writes today, tokenizer included: tied weights stored once."""
    model.save_pretrained(folder)
    write_tokenizer(folder)


def write_sharded(model: NystromformerForMaskedLM, folder: Path) -> None:
    """Several safetensors files and an index."""
    model.save_pretrained(folder, max_shard_size=SHARD_BYTES)


def write_bin(model: NystromformerForMaskedLM, folder: Path) -> None:
    """`pytorch_model.bin` as published in 2022: tied decoder and `position_ids` included."""
    model.config.save_pretrained(folder)
    state = model.state_dict()
    state[f"{PREFIX}embeddings.position_ids"] = stale_position_ids(model)
    torch.save(state, folder / "pytorch_model.bin")


def write_bare(model: NystromformerForMaskedLM, folder: Path) -> None:
    """The encoder alone: keys without prefix, no head."""
    model.nystromformer.save_pretrained(folder)


def write_bare_with_head(model: NystromformerForMaskedLM, folder: Path) -> None:
    """A masked language model whose encoder keys lost their prefix; transformers refuses it."""
    state = untied_state(model, keep_decoder=False)
    write_state(model, folder, {key.removeprefix(PREFIX): t for key, t in state.items()})


def write_tied_decoder(model: NystromformerForMaskedLM, folder: Path) -> None:
    """The tied decoder stored as a tensor of its own."""
    write_state(model, folder, untied_state(model, keep_decoder=True))


def write_position_ids(model: NystromformerForMaskedLM, folder: Path) -> None:
    """A stale `position_ids` buffer among the weights."""
    state = untied_state(model, keep_decoder=False)
    state[f"{PREFIX}embeddings.position_ids"] = stale_position_ids(model)
    write_state(model, folder, state)


def untied_state(model: NystromformerForMaskedLM, keep_decoder: bool) -> dict[str, torch.Tensor]:
    """The state dict with no storage shared, with or without the tied decoder's names."""
    return {
        key: tensor.clone()
        for key, tensor in model.state_dict().items()
        if keep_decoder or not key.startswith("cls.predictions.decoder.")
    }


def stale_position_ids(model: NystromformerForMaskedLM) -> torch.Tensor:
    """The buffer that old releases saved: 2, 3, 4, … in one row."""
    return torch.arange(model.config.max_position_embeddings)[None] + 2


def write_state(
    model: NystromformerForMaskedLM, folder: Path, state: dict[str, torch.Tensor]
) -> None:
    """A single safetensors file holding exactly `state`."""
    model.config.save_pretrained(folder)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


FORMS: dict[str, Callable[[NystromformerForMaskedLM, Path], None]] = {
    "safetensors": write_safetensors,
    "sharded": write_sharded,
    "bin": write_bin,
    "bare": write_bare,
    "bare-with-head": write_bare_with_head,
    "tied-decoder": write_tied_decoder,
    "position-ids": write_position_ids,
}


def write_expected(model: NystromformerForMaskedLM, folder: Path, form: str) -> None:
    """What transformers computes for one full and one padded row."""
    config = model.config
    generator = torch.Generator().manual_seed(SEED)
    seq_len = config.segment_means_seq_len
    attention_mask = (torch.arange(seq_len) < torch.tensor([[seq_len], [seq_len - 3]])).long()
    ids = random_ids((2, seq_len), config.vocab_size, config.pad_token_id, generator)
    inputs = {
        "input_ids": torch.where(attention_mask == 1, ids, config.pad_token_id),
        "attention_mask": attention_mask,
    }
    exact = model.double()
    with torch.no_grad():
        if form == "bare":
            output = {"last_hidden_state": exact.nystromformer(**inputs).last_hidden_state}
        else:
            output = {"logits": exact(**inputs).logits}
    tensors = inputs | {key: tensor.float() for key, tensor in output.items()}
    save_tensors(folder / "expected_logits.safetensors", tensors, {"form": form})


def make(form: str, folder: Path) -> None:
    """Write the folder of one form."""
    folder.mkdir(parents=True, exist_ok=True)
    model = tiny_model()
    model.config.architectures = ["NystromformerForMaskedLM"]
    FORMS[form](model, folder)
    write_expected(model, folder, form)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(json.dumps({"form": form, "folder": folder.name, "bytes": size}))


def main() -> None:
    """Read the arguments and write one folder or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="where to write")
    parser.add_argument("--form", choices=sorted(FORMS), default="safetensors")
    parser.add_argument("--fixtures", action="store_true", help="every form, for the Rust tests")
    arguments = parser.parse_args()
    if arguments.fixtures:
        for form in FORMS:
            make(form, INTEROP_FIXTURES / form.replace("-", "_"))
    elif arguments.folder is None:
        parser.error("name a folder, or pass --fixtures")
    else:
        make(arguments.form, arguments.folder)


if __name__ == "__main__":
    main()
