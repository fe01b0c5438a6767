"""Compare `predict features` with transformers for every head, attention, padding and file form.

    python head_matrix.py --program target/release/nystromformer [--out table.json] [--heads masked_lm,base_model]

Random models of width 64 with large weights (`initializer_range = 0.3`) are saved in a scratch
folder as one safetensors file, in shards, and as `pytorch_model.bin`; transformers computes the
expected outputs in float64. Models whose outputs float32 rounding moves by more than 4e-6 in
transformers itself are passed over, and counted. Prints one Markdown table of the worst
differences, relative to each output's largest value. Exit status 1 if any exceeds 2e-5 or a run
fails.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from cases import Case, draw
from heads import HEADS
from predictions import CommandError, predict, worst_difference

TOLERANCE = 2e-5
SEQ_LEN = 48
SHARD_BYTES = 100_000
SIZES = {
    "vocab_size": 200,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": SEQ_LEN,
    "num_landmarks": 6,
    "conv_kernel_size": 9,
}
# transformers attends exactly where both lengths are equal.
ATTENTIONS = {"Nyström": SEQ_LEN, "full": SIZES["num_landmarks"]}


@dataclass(frozen=True)
class Cell:
    """One comparison. `float32` is what rounding alone costs transformers itself.

    `seed` drew the model; those before it were passed over.
    """

    head: str
    attention: str
    inputs: str
    form: str
    seed: int
    difference: float
    float32: float
    failure: str | None = None


def write_safetensors(model: PreTrainedModel, folder: Path) -> None:
    """One file, as `save_pretrained` writes it today."""
    model.save_pretrained(folder)


def write_sharded(model: PreTrainedModel, folder: Path) -> None:
    """Several files and an index."""
    model.save_pretrained(folder, max_shard_size=SHARD_BYTES)
    if len(list(folder.glob("model-*.safetensors"))) < 2:
        raise AssertionError("the model fits into one shard: lower SHARD_BYTES")


def write_bin(model: PreTrainedModel, folder: Path) -> None:
    """A pickled state dict, as published before safetensors."""
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


FORMS: dict[str, Callable[[PreTrainedModel, Path], None]] = {
    "safetensors": write_safetensors,
    "sharded": write_sharded,
    "pytorch_model.bin": write_bin,
}


def compare(case: Case, attention: str, program: Path, scratch: Path) -> Iterator[Cell]:
    """Every form and padding of one model."""
    for form, write in FORMS.items():
        folder = scratch / f"{case.head.name}-{attention}-{form}"
        write(case.model, folder)
        for inputs, batch in case.batches.items():
            expected = {name: case.expected[inputs][name] for name in case.head.outputs}
            difference, failure = float("inf"), None
            try:
                difference = worst_difference(expected, predict(program, folder, batch))
            except CommandError as error:
                failure = str(error)
            facts = (case.head.name, attention, inputs, form, case.seed, difference)
            yield Cell(*facts, case.float32_error[inputs], failure)


def table(cells: list[Cell]) -> str:
    """Markdown, one row for each head, attention and padding."""
    lines = [
        f"| Head | Attention | Input | {' | '.join(FORMS)} | transformers in float32 |",
        f"|---|---|---|{'---|' * len(FORMS)}---|",
    ]
    by_place = {(cell.head, cell.attention, cell.inputs, cell.form): cell for cell in cells}
    for head, attention, inputs in dict.fromkeys(place[:3] for place in by_place):
        row = [by_place[head, attention, inputs, form] for form in FORMS]
        shown = ["failed" if cell.failure else f"{cell.difference:.1e}" for cell in row]
        shown.append(f"{row[0].float32:.1e}")
        lines.append(f"| `{head}` | {attention} | {inputs} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main() -> int:
    """Read the arguments, compare, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True, help="nystromformer, built")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the cells as JSON")
    parser.add_argument("--heads", default="", metavar="NAME,…", help="only these (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    chosen = set(filter(None, arguments.heads.split(","))) or {head.name for head in HEADS}
    unknown = chosen - {head.name for head in HEADS}
    if unknown:
        parser.error(f"no such head: {sorted(unknown)}; there are {[h.name for h in HEADS]}")
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory() as scratch:
        for head in HEADS:
            for attention in ATTENTIONS if head.name in chosen else ():
                sizes = SIZES | {"segment_means_seq_len": ATTENTIONS[attention]}
                case = draw(head, SEQ_LEN, **sizes)
                cells += compare(case, attention, arguments.program, Path(scratch))
    print(table(cells))
    worst = max(cells, key=lambda cell: cell.difference)
    print(
        f"\nWorst of {len(cells)}: {worst.difference:.1e} "
        f"(`{worst.head}`, {worst.attention}, {worst.inputs}, {worst.form}); "
        f"allowed: {TOLERANCE:.0e}. Passed over: "
        f"{sum({(cell.head, cell.attention): cell.seed for cell in cells}.values())} draws."
    )
    if arguments.out is not None:
        arguments.out.write_text(json.dumps([asdict(cell) for cell in cells], indent=1) + "\n")
    # A head that fails tends to fail everywhere: its first failure says it.
    first_failures = {cell.head: cell for cell in reversed(cells) if cell.failure is not None}
    for cell in first_failures.values():
        where = f"{cell.head}, {cell.attention}, {cell.inputs}, {cell.form}"
        print(f"head_matrix: {where}: {cell.failure}", file=sys.stderr)
    return int(not worst.difference <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
