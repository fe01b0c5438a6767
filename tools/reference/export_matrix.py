"""Export every head, load the result under several versions of transformers, compare the outputs.

    python export_matrix.py --program target/release/nystromformer --python python --python other/bin/python

A random model of each head and attention is saved by this interpreter's transformers, written anew
by `export`, and loaded by `check_export.py` under each given interpreter: no missing, unexpected or
mismatched key, a tokenizer, and outputs within 2e-5 of those of `predict features`. The `paper`
rows are the same weights under this project's own semantics: there the folder's modeling file
computes (`--trust-remote-code`), and the folder must load without it too.

Where transformers cannot compute the folder that it saved itself either, the table says so. Prints
one Markdown table. Exit status 1 if any other check fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from cases import Case, draw
from fixture_file import save_tensors
from heads import HEADS, Head
from make_hf_checkpoint import WORDS, write_tokenizer
from predictions import CommandError, predict, run

WORKER = Path(__file__).with_name("check_worker.py")
SEQ_LEN = 24
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": SEQ_LEN,
    "num_landmarks": 4,
    "conv_kernel_size": 5,
}
OUR_KEYS = {
    "semantics": "paper",
    "attention": "nystrom",
    "pinv_iterations": 6,
    "pinv_init": "exact",
}


@dataclass(frozen=True)
class Variant:
    """One row of each head."""

    name: str
    segment_means_seq_len: int
    our_keys: bool = False


VARIANTS = (
    Variant("Nyström", SEQ_LEN),
    Variant("full", SIZES["num_landmarks"]),
    Variant("paper", SEQ_LEN, our_keys=True),
)


class Checker:
    """`check_worker.py` under one interpreter."""

    def __init__(self, python: str, scratch: Path) -> None:
        """Start the worker, with a cache of its own for the modeling files that it runs."""
        environment = os.environ | {"HF_MODULES_CACHE": str(scratch), "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(
            [python, WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def check(self, folder: Path, *options: str | Path) -> dict[str, Any]:
        """The facts that `check_export.py` finds; `CommandError` with its message on failure."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(folder), *map(str, options)]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "the worker died"}')
        if "error" in answer:
            raise CommandError(answer["error"])
        return answer["facts"]

    def close(self) -> None:
        """End the worker."""
        self.process.communicate()


def write_source(case: Case, variant: Variant, folder: Path) -> None:
    """The model as this interpreter's transformers saves it, with a tokenizer."""
    case.model.save_pretrained(folder)
    write_tokenizer(folder)
    if variant.our_keys:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | OUR_KEYS, indent=2) + "\n")


def cell(
    checker: Checker, source: Path, export: Path, variant: Variant, inputs: str
) -> tuple[str, str]:
    """What one interpreter says of one export: the text to show, and the failure or nothing."""
    options: list[str | Path] = ["--inputs", export / f"{inputs}.safetensors"]
    options += ["--expect", export / f"{inputs}.expected.safetensors"]
    try:
        if variant.our_keys:
            checker.check(export)
            options.append("--trust-remote-code")
        facts = checker.check(export, *options)
    except CommandError as error:
        try:
            checker.check(source, "--no-tokenizer", *options)
        except CommandError as same:
            if " fails: " in str(same) and str(same) == str(error):
                return "transformers fails", ""
        return "failed", str(error)
    return f"{facts['worst_relative_difference']:.1e}", ""


def rows_of(
    head: Head, variant: Variant, program: Path, checkers: list[Checker], scratch: Path
) -> tuple[list[str], list[str]]:
    """The table's rows and the failures of one head and variant."""
    source = scratch / f"{head.name}-{variant.name}"
    export = scratch / f"{head.name}-{variant.name}-export"
    sizes = SIZES | {"segment_means_seq_len": variant.segment_means_seq_len}
    case = draw(head, SEQ_LEN, **sizes)
    write_source(case, variant, source)
    rows: list[str] = []
    failures: list[str] = []
    for inputs, batch in case.batches.items():
        place = f"{head.name}, {variant.name}, {inputs}"
        try:
            if not export.exists():
                run(program, "export", "--model", source, "--output", export)
            outputs = predict(program, export, batch)
        except CommandError as error:
            cells = [("failed", str(error))] * len(checkers)
        else:
            save_tensors(export / f"{inputs}.safetensors", batch, {})
            save_tensors(export / f"{inputs}.expected.safetensors", outputs, {})
            cells = [cell(checker, source, export, variant, inputs) for checker in checkers]
        failures += dict.fromkeys(f"{place}: {failure}" for _, failure in cells if failure)
        shown = " | ".join(text for text, _ in cells)
        rows.append(f"| `{head.name}` | {variant.name} | {inputs} | {shown} |")
    return rows, failures


def version(python: str) -> str:
    """Version of an interpreter's transformers."""
    code = "import transformers; print(transformers.__version__)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"export_matrix: `{python}` has no transformers")
    return done.stdout.strip()


def main() -> int:
    """Read the arguments, check every head, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True, help="nystromformer, built")
    parser.add_argument(
        "--python", action="append", metavar="PYTHON", help="an interpreter (default: this one)"
    )
    parser.add_argument("--heads", default="", metavar="NAME,…", help="only these (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    pythons = arguments.python or [sys.executable]
    chosen = set(filter(None, arguments.heads.split(","))) or {head.name for head in HEADS}
    unknown = chosen - {head.name for head in HEADS}
    if unknown:
        parser.error(f"no such head: {sorted(unknown)}; there are {[h.name for h in HEADS]}")
    versions = [version(python) for python in pythons]
    print(f"| Head | Semantics | Input | {' | '.join(f'transformers {v}' for v in versions)} |")
    print(f"|---|---|---|{'---|' * len(versions)}", flush=True)
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        checkers = [
            Checker(python, Path(scratch) / f"modules-{place}")
            for place, python in enumerate(pythons)
        ]
        for head in HEADS:
            for variant in VARIANTS if head.name in chosen else ():
                rows, failed = rows_of(head, variant, arguments.program, checkers, Path(scratch))
                print("\n".join(rows), flush=True)
                failures += failed
        for checker in checkers:
            checker.close()
    for failure in failures:
        print(f"export_matrix: {failure}", file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
