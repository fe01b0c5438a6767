"""Prove that transformers can load a folder, and that it computes what is expected there.

    python check_export.py DIR
    python check_export.py DIR --write-inputs in.safetensors
    python check_export.py DIR --inputs in.safetensors --expect out.safetensors

Loads DIR with `AutoTokenizer` and with the `AutoModelFor…` class that belongs to `architectures` in
its `config.json`; any missing, unexpected or mismatched key is a failure. Outputs are compared when
`--expect FILE` is given or DIR holds `expected_logits.safetensors`; the inputs come from `--inputs
FILE` or from the same file. With `--trust-remote-code` the folder's own modeling file computes.
Prints one JSON line of facts. Exit status 1 and one line on stderr on failure.

Runs under transformers 4.56 and 5. In version 5 (5.23 at least) the Nyström branch of transformers
fails on padded inputs: its attention mask has a row for each token, but the kernel that it is added
to has one for each landmark.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
)
from transformers.utils import logging

from fixture_file import random_ids, save_tensors

TOLERANCE = 2e-5
EXPECTED_NAME = "expected_logits.safetensors"
INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")
NUM_CHOICES = 3
# What loads each architecture, and what it computes.
ARCHITECTURES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "NystromformerModel": (AutoModel, ("last_hidden_state",)),
    "NystromformerForMaskedLM": (AutoModelForMaskedLM, ("logits",)),
    "NystromformerForSequenceClassification": (AutoModelForSequenceClassification, ("logits",)),
    "NystromformerForMultipleChoice": (AutoModelForMultipleChoice, ("logits",)),
    "NystromformerForTokenClassification": (AutoModelForTokenClassification, ("logits",)),
    "NystromformerForQuestionAnswering": (
        AutoModelForQuestionAnswering,
        ("start_logits", "end_logits"),
    ),
}


class CheckError(Exception):
    """The folder is not what it claims to be; the message says how."""


def read_architecture(folder: Path) -> str:
    """The one entry of `architectures` in `config.json`."""
    path = folder / "config.json"
    try:
        names = json.loads(path.read_text()).get("architectures")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckError(f"`{path}` is no readable configuration: {error}") from error
    if not isinstance(names, list) or len(names) != 1 or names[0] not in ARCHITECTURES:
        raise CheckError(f"`{path}`: architectures is `{names}`, not one of {list(ARCHITECTURES)}")
    return names[0]


def load_model(folder: Path, architecture: str, trust_remote_code: bool) -> PreTrainedModel:
    """Load the model, insisting that its keys are exactly the folder's."""
    loader, _ = ARCHITECTURES[architecture]
    try:
        model, report = loader.from_pretrained(
            folder,
            output_loading_info=True,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
        )
    except Exception as error:  # whatever stops the load is what this script is here to find
        raise CheckError(f"`{folder}` does not load as `{architecture}`: {error}") from error
    problems = {kind: sorted(map(str, keys)) for kind, keys in report.items() if keys}
    if problems:
        raise CheckError(f"`{folder}` loads with {json.dumps(problems)}")
    if trust_remote_code and type(model).__module__.startswith("transformers.models."):
        raise CheckError(f"`{folder}` has no modeling file of its own: `auto_map` names none")
    return model.eval()


def load_tokenizer(folder: Path, vocab_size: int, fills_masks: bool) -> dict[str, Any]:
    """Load the tokenizer and check that its ids fit the embedding table."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        message = f"`{folder}` has no loadable tokenizer: {error} (skip with --no-tokenizer)"
        raise CheckError(message) from error
    highest = max(tokenizer.get_vocab().values())
    if highest >= vocab_size:
        raise CheckError(f"token id `{highest}` has no embedding: vocab_size is `{vocab_size}`")
    if tokenizer.pad_token_id is None or (fills_masks and tokenizer.mask_token_id is None):
        raise CheckError("the tokenizer lacks a mask or a padding token")
    return {
        "tokenizer": type(tokenizer).__name__,
        "tokenizer_size": len(tokenizer),
        "mask_token": tokenizer.mask_token,
        "pad_token": tokenizer.pad_token,
    }


def write_inputs(
    model: PreTrainedModel, path: Path, architecture: str, unpadded: bool, seed: int
) -> None:
    """Two random rows, of the one length that transformers' Nyström branch accepts."""
    config = model.config
    seq_len = config.segment_means_seq_len
    if config.num_landmarks == seq_len:  # exact attention: any length
        seq_len = config.max_position_embeddings
    rows = 2 * NUM_CHOICES if architecture.endswith("MultipleChoice") else 2
    shortest = seq_len if unpadded else max(1, seq_len * 2 // 3)
    lengths = torch.linspace(seq_len, shortest, rows).long()[:, None]
    attention_mask = (torch.arange(seq_len) < lengths).long()
    generator = torch.Generator().manual_seed(seed)
    shape = (rows, seq_len)
    ids = random_ids(shape, config.vocab_size, config.pad_token_id, generator)
    types = torch.randint(0, config.type_vocab_size, shape, generator=generator)
    inputs = {
        "input_ids": torch.where(attention_mask == 1, ids, config.pad_token_id),
        "attention_mask": attention_mask,
        "token_type_ids": types * attention_mask,
    }
    if rows > 2:
        inputs = {name: tensor.unflatten(0, (2, NUM_CHOICES)) for name, tensor in inputs.items()}
    save_tensors(path, inputs, {})


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckError(f"`{path}` is no readable safetensors file: {error}") from error


def compare(
    model: PreTrainedModel, outputs: tuple[str, ...], expected_path: Path, inputs_path: Path
) -> dict[str, Any]:
    """Worst difference of any output, relative to its largest value, with what is compared."""
    expected = load_tensors(expected_path)
    given = load_tensors(inputs_path)
    if "input_ids" not in given:
        raise CheckError(f"`{inputs_path}` holds no `input_ids`: name the inputs with --inputs")
    try:
        with torch.no_grad():
            computed = model(**{name: given[name] for name in INPUT_NAMES if name in given})
    except RuntimeError as error:
        raise CheckError(f"transformers {transformers.__version__} fails: {error}") from error
    worst, shapes = 0.0, {}
    for name in outputs:
        if name not in expected:
            raise CheckError(f"`{expected_path}` holds no `{name}` but {sorted(expected)}")
        value, wanted = computed[name], expected[name]
        if value.shape != wanted.shape:
            raise CheckError(
                f"`{name}` is {list(value.shape)} here, {list(wanted.shape)} in `{expected_path}`"
            )
        difference = (value.double() - wanted.double()).abs().max().item()
        scale = value.abs().max().item()
        if not difference <= TOLERANCE * scale:
            raise CheckError(
                f"`{name}` differs by `{difference:.3e}` on a scale of `{scale:.3e}`; "
                f"`{TOLERANCE * scale:.3e}` is allowed"
            )
        worst, shapes[name] = max(worst, difference / scale), list(value.shape)
    return {"worst_relative_difference": worst, "compared": shapes}


def check(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run every requested check and gather the facts."""
    folder: Path = arguments.folder
    if not folder.is_dir():
        raise CheckError(f"`{folder}` is no folder")
    architecture = read_architecture(folder)
    model = load_model(folder, architecture, arguments.trust_remote_code)
    config = model.config
    facts: dict[str, Any] = {
        "folder": str(folder),
        "transformers": transformers.__version__,
        "model": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "segment_means_seq_len": config.segment_means_seq_len,
        "num_landmarks": config.num_landmarks,
    }
    if not arguments.no_tokenizer:
        fills_masks = architecture.endswith("MaskedLM")
        facts |= load_tokenizer(folder, config.vocab_size, fills_masks)
    if arguments.write_inputs is not None:
        where, unpadded = arguments.write_inputs, arguments.unpadded
        write_inputs(model, where, architecture, unpadded, arguments.seed)
        facts["inputs"] = str(arguments.write_inputs)
    expected: Path | None = arguments.expect
    if expected is None and (folder / EXPECTED_NAME).is_file():
        expected = folder / EXPECTED_NAME
    if expected is not None:
        _, outputs = ARCHITECTURES[architecture]
        facts |= compare(model, outputs, expected, arguments.inputs or expected)
    return facts


def command_line() -> argparse.ArgumentParser:
    """The arguments of this script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--expect", type=Path, metavar="FILE", help="outputs to compare with")
    parser.add_argument("--inputs", type=Path, metavar="FILE", help="inputs behind them")
    parser.add_argument("--write-inputs", type=Path, metavar="FILE", help="write random inputs")
    parser.add_argument("--unpadded", action="store_true", help="with --write-inputs: full rows")
    parser.add_argument("--seed", type=int, default=0, help="with --write-inputs")
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="use the folder's own modeling file"
    )
    parser.add_argument("--no-tokenizer", action="store_true", help="the folder holds none")
    return parser


def main() -> int:
    """Read the arguments, check, report."""
    arguments = command_line().parse_args()
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
