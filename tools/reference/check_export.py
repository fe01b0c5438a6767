"""Prove that transformers can load a folder, and that it computes what is expected there.

    python check_export.py DIR
    python check_export.py DIR --write-inputs in.safetensors
    python check_export.py DIR --inputs in.safetensors --expect out.safetensors

Loads DIR with `AutoModelForMaskedLM` and `AutoTokenizer`; any missing, unexpected or mismatched key
is a failure. Logits are compared when `--expect FILE` is given or DIR holds
`expected_logits.safetensors`; the inputs come from `--inputs FILE` or from the same file.
Prints one JSON line of facts. Exit status 1 and one line on stderr on failure.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from fixture_file import random_ids, save_tensors

TOLERANCE = 2e-5
EXPECTED_NAME = "expected_logits.safetensors"
INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")


class CheckError(Exception):
    """The folder is not what it claims to be; the message says how."""


def load_model(folder: Path) -> PreTrainedModel:
    """Load the model, insisting that its keys are exactly the folder's."""
    try:
        model, report = AutoModelForMaskedLM.from_pretrained(
            folder, output_loading_info=True, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise CheckError(f"`{folder}` does not load as a masked language model: {error}") from error
    problems = {kind: sorted(map(str, keys)) for kind, keys in report.items() if keys}
    if problems:
        raise CheckError(f"`{folder}` loads with {json.dumps(problems)}")
    return model.eval()


def load_tokenizer(folder: Path, vocab_size: int) -> dict[str, Any]:
    """Load the tokenizer and check that its ids fit the embedding table."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        message = f"`{folder}` has no loadable tokenizer: {error} (skip with --no-tokenizer)"
        raise CheckError(message) from error
    highest = max(tokenizer.get_vocab().values())
    if highest >= vocab_size:
        raise CheckError(f"token id `{highest}` has no embedding: vocab_size is `{vocab_size}`")
    if tokenizer.mask_token_id is None or tokenizer.pad_token_id is None:
        raise CheckError("the tokenizer lacks a mask or a padding token")
    return {
        "tokenizer": type(tokenizer).__name__,
        "tokenizer_size": len(tokenizer),
        "mask_token": tokenizer.mask_token,
        "pad_token": tokenizer.pad_token,
    }


def write_inputs(model: PreTrainedModel, path: Path, unpadded: bool, seed: int) -> None:
    """Random rows of the one length that transformers' Nyström branch accepts."""
    config = model.config
    seq_len = config.segment_means_seq_len
    lengths = torch.tensor([[seq_len], [seq_len if unpadded else max(1, seq_len * 2 // 3)]])
    attention_mask = (torch.arange(seq_len) < lengths).long()
    generator = torch.Generator().manual_seed(seed)
    ids = random_ids((2, seq_len), config.vocab_size, config.pad_token_id, generator)
    input_ids = torch.where(attention_mask == 1, ids, config.pad_token_id)
    save_tensors(path, {"input_ids": input_ids, "attention_mask": attention_mask}, {})


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckError(f"`{path}` is no readable safetensors file: {error}") from error


def compare(model: PreTrainedModel, expected_path: Path, inputs_path: Path) -> dict[str, Any]:
    """Worst logit difference, relative to the largest logit, with what is compared."""
    expected = load_tensors(expected_path)
    given = load_tensors(inputs_path)
    if "logits" not in expected:
        raise CheckError(f"`{expected_path}` holds no `logits` but {sorted(expected)}")
    if "input_ids" not in given:
        raise CheckError(f"`{inputs_path}` holds no `input_ids`: name the inputs with --inputs")
    inputs = {name: given[name] for name in INPUT_NAMES if name in given}
    with torch.no_grad():
        logits = model(**inputs).logits
    wanted = expected["logits"]
    if logits.shape != wanted.shape:
        raise CheckError(
            f"logits are {list(logits.shape)} here, {list(wanted.shape)} in `{expected_path}`"
        )
    worst = (logits.double() - wanted.double()).abs().max().item()
    scale = logits.abs().max().item()
    if not worst <= TOLERANCE * scale:
        raise CheckError(
            f"logits differ by `{worst:.3e}` on a scale of `{scale:.3e}`; "
            f"`{TOLERANCE * scale:.3e}` is allowed"
        )
    return {"worst_difference": worst, "logits_scale": scale, "compared": list(logits.shape)}


def check(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run every requested check and gather the facts."""
    folder: Path = arguments.folder
    if not folder.is_dir():
        raise CheckError(f"`{folder}` is no folder")
    model = load_model(folder)
    config = model.config
    facts: dict[str, Any] = {
        "folder": str(folder),
        "model": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "segment_means_seq_len": config.segment_means_seq_len,
        "num_landmarks": config.num_landmarks,
    }
    if not arguments.no_tokenizer:
        facts |= load_tokenizer(folder, config.vocab_size)
    if arguments.write_inputs is not None:
        write_inputs(model, arguments.write_inputs, arguments.unpadded, arguments.seed)
        facts["inputs"] = str(arguments.write_inputs)
    expected: Path | None = arguments.expect
    if expected is None and (folder / EXPECTED_NAME).is_file():
        expected = folder / EXPECTED_NAME
    if expected is not None:
        facts |= compare(model, expected, arguments.inputs or expected)
    return facts


def main() -> int:
    """Read the arguments, check, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--expect", type=Path, metavar="FILE", help="logits to compare with")
    parser.add_argument("--inputs", type=Path, metavar="FILE", help="inputs behind those logits")
    parser.add_argument("--write-inputs", type=Path, metavar="FILE", help="write random inputs")
    parser.add_argument("--unpadded", action="store_true", help="with --write-inputs: full rows")
    parser.add_argument("--seed", type=int, default=0, help="with --write-inputs")
    parser.add_argument("--no-tokenizer", action="store_true", help="the folder holds none")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        facts = check(arguments)
    except CheckError as error:
        print(f"check_export: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
