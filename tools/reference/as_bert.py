"""Write a checkpoint with exact attention and no convolution as the BERT that it is.

    python as_bert.py CHECKPOINT OUTPUT_DIR

Such a Nyströmformer differs from BERT in names, and in two rows before the first position. The folder
is a `BertForMaskedLM` with its tokenizer; before it is written, its logits are compared with those of
transformers' Nyströmformer at the same weights.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    NystromformerConfig,
    NystromformerForMaskedLM,
)

PREFIX = "nystromformer."
POSITIONS = "embeddings.position_embeddings.weight"
TOLERANCE = 1e-5
SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "pad_token_id",
)


def read(folder: Path) -> tuple[dict[str, object], dict[str, torch.Tensor]]:
    """Configuration and weights, refused if they are no BERT's."""
    config = json.loads((folder / "config.json").read_text())
    if config.get("attention") != "softmax" or config.get("conv_kernel_size") is not None:
        raise ValueError(f"`{folder}` is no BERT: it needs exact attention and no convolution")
    return config, load_file(folder / "model.safetensors")


def as_bert(config: dict[str, object], weights: dict[str, torch.Tensor]) -> BertForMaskedLM:
    """The same model as BERT."""
    sizes = {key: config[key] for key in SIZES}
    model = BertForMaskedLM(BertConfig(**sizes, hidden_dropout_prob=0.0)).eval()
    renamed = {}
    for name, tensor in weights.items():
        if name == PREFIX + POSITIONS:
            tensor = tensor[2:].clone()
        renamed[name.replace(PREFIX, "bert.", 1)] = tensor
    report = model.load_state_dict(renamed, strict=False)
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    if report.unexpected_keys or set(report.missing_keys) - tied:
        raise ValueError(f"names do not fit: {report}")
    return model


def as_nystromformer(
    config: dict[str, object], weights: dict[str, torch.Tensor]
) -> NystromformerForMaskedLM:
    """The same model as transformers' Nyströmformer, by its rule for exact attention."""
    sizes = {key: config[key] for key in SIZES}
    landmarks = config["num_landmarks"]
    settings = NystromformerConfig(
        **sizes, num_landmarks=landmarks, segment_means_seq_len=landmarks, conv_kernel_size=None
    )
    model = NystromformerForMaskedLM(settings).eval()
    model.load_state_dict(weights, strict=False)
    return model


def difference(bert: BertForMaskedLM, nystromformer: NystromformerForMaskedLM) -> float:
    """Largest difference of the logits of random tokens, over the largest logit."""
    generator = torch.Generator().manual_seed(0)
    seq_len = min(128, bert.config.max_position_embeddings)
    ids = torch.randint(0, bert.config.vocab_size, (2, seq_len), generator=generator)
    with torch.no_grad():
        ours, theirs = bert(ids).logits, nystromformer(ids).logits
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def main() -> int:
    """Read the arguments, convert, compare, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    try:
        config, weights = read(arguments.checkpoint)
        bert = as_bert(config, weights)
        found = difference(bert, as_nystromformer(config, weights))
    except (OSError, ValueError, KeyError) as error:
        print(f"as_bert: {error}", file=sys.stderr)
        return 1
    if not found <= TOLERANCE:
        print(f"as_bert: logits differ by {found:.1e}", file=sys.stderr)
        return 1
    bert.save_pretrained(arguments.output)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (arguments.checkpoint / name).is_file():
            shutil.copy(arguments.checkpoint / name, arguments.output / name)
    parameters = sum(parameter.numel() for parameter in bert.parameters())
    print(json.dumps({"folder": str(arguments.output), "parameters": parameters, "difference": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
