"""Fine-tune a folder on SST-2 with PyTorch and transformers, to be compared with a run of ours.

    cargo run --release --bin nystromformer -- export --model CHECKPOINT --output DIR
    python glue_steps.py DIR SST-2/train.tsv --trust-remote-code --compare RUN/metrics.jsonl \
        --batch-size 32 --learning-rate 3e-5 --schedule linear --warmup-steps 10

DIR holds a `NystromformerForSequenceClassification` with its `tokenizer.json`: the weights that our
run started from. Batches are taken in the order of the file, each padded to its longest row, and
nothing is dropped, so losses differ by rounding alone. Defaults are those of our `[optimizer]`; the
schedule runs over `--schedule-steps`, by default as many as `--steps`.

With `--trust-remote-code` the folder's own modeling file computes, which a model trained with the
`paper` semantics needs. Without it transformers' class does, the `hf` semantics: any length where
`num_landmarks` is `segment_means_seq_len` (exact attention), and elsewhere rows of
`segment_means_seq_len` tokens, to which every batch is padded then.

Prints a JSON line for each step, with the keys of our `metrics.jsonl`, and one with the wall time
of all. With `--compare`, a last line has the largest differences relative to our run: of the loss,
of the norm of the gradient, of the learning rate. Exit status 1 if the loss's is over
`--tolerance`.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from transformers import PreTrainedModel, get_scheduler
from transformers.utils import logging

from check_export import CheckError, load_model, read_architecture

ARCHITECTURE = "NystromformerForSequenceClassification"
COLUMNS = "sentence\tlabel"
COMPARED = ("loss", "grad_norm", "learning_rate")
Record = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """A sentence as token ids, and its class."""

    input_ids: list[int]
    token_type_ids: list[int]
    label: int


def read_sentences(path: Path, count: int) -> list[tuple[str, int]]:
    """The first `count` sentences of an SST-2 file, as they stand there, with their classes."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            header = file.readline().rstrip("\r\n")
            lines = [line.rstrip("\r\n") for line, _ in zip(file, range(count), strict=False)]
    except (OSError, UnicodeDecodeError) as error:
        raise CheckError(f"cannot read `{path}`: {error}") from error
    if header != COLUMNS:
        raise CheckError(f"`{path}`:1: the header is `{header}`, not `{COLUMNS}`")
    sentences = []
    for number, line in enumerate(lines, start=2):
        sentence, separator, label = line.rpartition("\t")
        if not separator or label not in ("0", "1"):
            raise CheckError(f"`{path}`:{number}: no sentence, tab and label 0 or 1 in `{line}`")
        sentences.append((sentence, int(label)))
    if len(sentences) < count:
        raise CheckError(
            f"`{path}` has {len(sentences)} examples, but {count} are wanted: take fewer --steps"
        )
    return sentences


def encode(folder: Path, sentences: Sequence[tuple[str, int]], max_length: int) -> list[Example]:
    """Sentences as the folder's `tokenizer.json` spells them, cut to `max_length` tokens."""
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the package raises nothing more specific
        raise CheckError(f"`{folder}/tokenizer.json` cannot be read: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    encodings = tokenizer.encode_batch([sentence for sentence, _ in sentences])
    labelled = zip(encodings, sentences, strict=True)
    return [Example(encoding.ids, encoding.type_ids, label) for encoding, (_, label) in labelled]


def collate(examples: Sequence[Example], length: int | None, pad_id: int) -> dict[str, Tensor]:
    """A batch, padded on the right to `length` or to its longest row."""
    length = length or max(len(example.input_ids) for example in examples)

    def stack(rows: list[list[int]], filler: int) -> Tensor:
        return torch.tensor([row + [filler] * (length - len(row)) for row in rows])

    return {
        "input_ids": stack([example.input_ids for example in examples], pad_id),
        "attention_mask": stack([[1] * len(example.input_ids) for example in examples], 0),
        "token_type_ids": stack([example.token_type_ids for example in examples], 0),
        "labels": torch.tensor([example.label for example in examples]),
    }


def fixed_length(model: PreTrainedModel) -> int | None:
    """The one length of row that transformers' own class accepts, if the model restricts it."""
    config = model.config
    is_theirs = type(model).__module__.startswith("transformers.models.")
    if is_theirs and config.num_landmarks != config.segment_means_seq_len:
        return config.segment_means_seq_len
    return None


def parameter_groups(model: PreTrainedModel, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every parameter once; with `--no-decay-on-bias-and-norm`, those two do not decay."""
    decayed, exempt = [], []
    for name, parameter in model.named_parameters():
        plain = name.endswith("bias") or "LayerNorm" in name
        (exempt if plain and options.no_decay_on_bias_and_norm else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": exempt, "weight_decay": 0.0},
    ]


def make_schedule(optimizer: AdamW, options: argparse.Namespace) -> LRScheduler:
    """The learning rate's schedule, PyTorch's or transformers'."""
    steps = options.schedule_steps or options.steps
    if options.schedule == "one_cycle":
        return OneCycleLR(
            optimizer,
            options.learning_rate,
            total_steps=steps,
            pct_start=options.pct_start,
            anneal_strategy="linear",
        )
    kind = "constant_with_warmup" if options.schedule == "constant" else options.schedule
    return get_scheduler(kind, optimizer, options.warmup_steps, steps)


def train(
    model: PreTrainedModel, examples: Sequence[Example], options: argparse.Namespace
) -> Iterator[Record]:
    """Takes the steps; one record each, of the loss before the update that it causes."""
    optimizer = AdamW(
        parameter_groups(model, options),
        lr=options.learning_rate,
        betas=(options.beta_1, options.beta_2),
        eps=options.epsilon,
    )
    schedule = make_schedule(optimizer, options)
    length = fixed_length(model)
    start = time.perf_counter()
    for step in range(options.steps):
        began = time.perf_counter()
        chosen = examples[step * options.batch_size : (step + 1) * options.batch_size]
        loss = model(**collate(chosen, length, model.config.pad_token_id)).loss
        optimizer.zero_grad()
        loss.backward()
        norm = clip_grad_norm_(model.parameters(), options.max_grad_norm or math.inf)
        rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()
        now = time.perf_counter()
        yield {
            "split": "train",
            "step": step + 1,
            "loss": loss.item(),
            "learning_rate": rate,
            "grad_norm": norm.item(),
            "tokens_per_second": sum(len(example.input_ids) for example in chosen) / (now - began),
            "elapsed_s": now - start,
        }


def read_run(path: Path) -> dict[int, Record]:
    """The training steps of our log, by their numbers."""
    try:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        return {record["step"]: record for record in records if record["split"] == "train"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckError(f"`{path}` is no readable `metrics.jsonl`: {error}") from error


def compare(theirs: Sequence[Record], ours: dict[int, Record], path: Path) -> Record:
    """The largest difference of each number relative to our run's, and the step it is at."""
    missing = [record["step"] for record in theirs if record["step"] not in ours]
    if missing:
        raise CheckError(f"`{path}` has no step {missing[0]}: compare fewer --steps")
    largest: Record = {"compared_steps": len(theirs)}
    for key in COMPARED:
        worst, at = 0.0, 0
        for record in theirs:
            value, reference = record[key], ours[record["step"]][key]
            # A loss that is not finite is `null` in our log.
            difference = math.inf if reference is None else abs(value - reference)
            relative = difference / abs(reference) if difference and reference else difference
            if not relative <= worst:
                worst, at = relative, record["step"]
        largest[key] = {"largest_relative_difference": worst, "at_step": at}
    last = theirs[-1]["step"]
    largest["elapsed_s"] = {"torch": theirs[-1]["elapsed_s"], "ours": ours[last]["elapsed_s"]}
    return largest


def run(options: argparse.Namespace) -> bool:
    """Train, report, compare; whether the losses agree."""
    architecture = read_architecture(options.folder)
    if architecture != ARCHITECTURE:
        raise CheckError(f"`{options.folder}` is a `{architecture}`, not a `{ARCHITECTURE}`")
    ours = read_run(options.compare) if options.compare else None
    # In evaluation mode nothing is dropped, and nothing else is different.
    model = load_model(options.folder, architecture, options.trust_remote_code)
    model = model.to(getattr(torch, options.dtype))
    length = options.max_length or fixed_length(model) or model.config.max_position_embeddings
    sentences = read_sentences(options.file, options.steps * options.batch_size)
    examples = encode(options.folder, sentences, length)
    records = []
    for record in train(model, examples, options):
        records.append(record)
        print(json.dumps(record), flush=True)
    facts = {
        "model": f"{type(model).__module__.split('.')[0]}.{type(model).__name__}",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "steps": options.steps,
        "batch_size": options.batch_size,
        "wall_s": records[-1]["elapsed_s"],
        "tokens": sum(len(example.input_ids) for example in examples),
        "dtype": options.dtype,
        "threads": torch.get_num_threads(),
        "libraries": f"torch {torch.__version__}, transformers {transformers.__version__}",
    }
    print(json.dumps(facts), flush=True)
    if ours is None:
        return True
    comparison = compare(records, ours, options.compare)
    print(json.dumps(comparison))
    return comparison["loss"]["largest_relative_difference"] <= options.tolerance


def command_line() -> argparse.ArgumentParser:
    """The arguments of this script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="the model to start from, with its tokenizer")
    add("file", type=Path, metavar="TSV", help="SST-2's train.tsv")
    add("--steps", type=int, default=100)
    add("--batch-size", type=int, default=32)
    add("--max-length", type=int, default=0, help="tokens of a row; default: all positions")
    add("--learning-rate", type=float, default=1e-4, help="at the schedule's peak")
    add("--weight-decay", type=float, default=0.01)
    add("--no-decay-on-bias-and-norm", action="store_true", help="default: all weights decay")
    add("--beta-1", type=float, default=0.9, help="`one_cycle` moves it, from 0.95 to 0.85")
    add("--beta-2", type=float, default=0.999)
    add("--epsilon", type=float, default=1e-6)
    add("--max-grad-norm", type=float, default=0.0, help="0: gradients are not clipped")
    add("--schedule", choices=("linear", "cosine", "constant", "one_cycle"), default="linear")
    add("--schedule-steps", type=int, default=0, help="default: --steps")
    add("--warmup-steps", type=int, default=0, help="of any schedule but `one_cycle`")
    add("--pct-start", type=float, default=0.01, help="of `one_cycle`")
    add("--dtype", choices=("float32", "float64"), default="float32")
    add("--threads", type=int, default=0, help="default: torch's choice")
    add("--trust-remote-code", action="store_true", help="use the folder's own modeling file")
    add("--compare", type=Path, metavar="JSONL", help="our run's metrics.jsonl")
    add("--tolerance", type=float, default=1e-3, help="relative, of the loss")
    return parser


def main() -> int:
    """Read the arguments, train, report."""
    options = command_line().parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        agrees = run(options)
    except CheckError as error:
        print(f"glue_steps: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
