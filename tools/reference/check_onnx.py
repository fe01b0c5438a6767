"""Run our ONNX graphs with onnxruntime and compare them with `predict features`, for every head.

    python check_onnx.py --program target/release/nystromformer [--kinds masked_lm,bags] [--out cells.json]

A random model of each head and semantics is exported in every precision. Each file passes ONNX's
own checker with strict shape inference; each is run on padded and unpadded batches of five lengths
(one token, fewer than landmarks, no multiple of them, an odd number, as many as there are
positions). Prints one Markdown table of the worst differences, relative to each output's largest
value. Exit status 1 if 32-bit graphs differ by more than 2e-5, the others by more than their own
limit, or if a graph takes a length that its semantics do not have.

Needs `requirements-onnx.txt` beside `requirements.txt`.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx
import onnxruntime
import torch

from onnx_models import KINDS, LENGTHS, MAX_LENGTH, Kind, batch, write_model
from predictions import CommandError, predict, run, worst_difference

SEED = 7
# What each file may differ by. Random weights are harder on roundings than trained ones.
LIMITS = {"model": 2e-5, "model_fp16": 1e-2, "model_quantized": 0.5}
# What all but one in a hundred may: the inverse of a few batches makes much of roundings, of 16 bits as of 8.
LIMITS_OF_MOST = LIMITS | {"model_quantized": 0.2}
INVALID = (
    onnxruntime.capi.onnxruntime_pybind11_state.Fail,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument,
)


@dataclass(frozen=True)
class Cell:
    """One comparison."""

    kind: str
    semantics: str
    file: str
    inputs: str
    length: int
    difference: float


def session_of(path: Path) -> onnxruntime.InferenceSession:
    """The graph, checked and loaded."""
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # refusals are wanted here, and seen
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def answers(
    session: onnxruntime.InferenceSession, inputs: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """What a graph computes, by its own names."""
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {name: tensor.numpy() for name, tensor in inputs.items()})
    return {name: torch.from_numpy(value) for name, value in zip(names, values, strict=True)}


def compare(kind: Kind, semantics: str, program: Path, scratch: Path) -> Iterator[Cell]:
    """Every file, padding and length of one model."""
    generator = torch.Generator().manual_seed(SEED)
    source, output = scratch / "source", scratch / "exported"
    write_model(kind, semantics, generator, source)
    run(
        program,
        "export",
        *("--format", "onnx", "--dtype", "f16", "--quantize", "int8"),
        *("--model", source, "--output", output),
    )
    sessions = {name: session_of(output / "onnx" / f"{name}.onnx") for name in LIMITS}
    fixed = semantics == "hf, Nyström"
    for length in (MAX_LENGTH,) if fixed else LENGTHS:
        for inputs in ("unpadded", "padded"):
            given = batch(kind, length, inputs == "padded", generator)
            expected = predict(program, source, given)
            for name, session in sessions.items():
                difference = worst_difference(expected, answers(session, given))
                yield Cell(kind.name, semantics, name, inputs, length, difference)
    # A length that the model has not.
    beyond = batch(kind, MAX_LENGTH - 1 if fixed else MAX_LENGTH + 1, False, generator)
    if fixed or not kind.reads_vectors or kind.keys.get("vector_positions") == "learned":
        try:
            answers(sessions["model"], beyond)
        except INVALID:
            return
        yield Cell(kind.name, semantics, "model", "too long", MAX_LENGTH + 1, float("inf"))


def table(cells: list[Cell]) -> str:
    """Markdown, one row for each head and semantics."""
    columns = [(name, inputs) for name in LIMITS for inputs in ("unpadded", "padded")]
    lines = [
        f"| Head | Semantics | {' | '.join(f'{name}, {inputs}' for name, inputs in columns)} |",
        f"|---|---|{'---|' * len(columns)}",
    ]
    for kind, semantics in dict.fromkeys((cell.kind, cell.semantics) for cell in cells):
        shown = []
        for column in columns:
            of = [c for c in cells if (c.kind, c.semantics, c.file, c.inputs) == (kind, semantics, *column)]
            shown.append(f"{max((cell.difference for cell in of), default=float('inf')):.1e}")
        lines.append(f"| {kind} | {semantics} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main() -> int:
    """Read the arguments, compare, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True, help="nystromformer, built")
    parser.add_argument("--kinds", default="", metavar="NAME,…", help="only these (default: all)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the cells as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = set(filter(None, arguments.kinds.split(","))) or {kind.name for kind in KINDS}
    unknown = chosen - {kind.name for kind in KINDS}
    if unknown:
        parser.error(f"no such kind: {sorted(unknown)}; there are {[k.name for k in KINDS]}")
    cells: list[Cell] = []
    failures: list[str] = []
    for kind in KINDS:
        for semantics in kind.semantics if kind.name in chosen else ():
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    cells += compare(kind, semantics, arguments.program, Path(scratch))
                except (CommandError, onnx.checker.ValidationError, *INVALID) as error:
                    failures.append(f"{kind.name}, {semantics}: {' '.join(str(error).split())}")
    print(table(cells))
    versions = f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}"
    for name, limit in LIMITS.items():
        of = [cell for cell in cells if cell.file == name]
        worst = max(of, key=lambda cell: cell.difference, default=None)
        if worst is None:
            continue
        place = f"{worst.kind}, {worst.semantics}, {worst.inputs}, {worst.length} tokens"
        print(f"\n{name}: worst of {len(of)} is {worst.difference:.1e} ({place}); allowed {limit:.0e}")
        if not worst.difference <= limit:
            failures.append(f"{name}: {place}: {worst.difference:.1e}")
        beyond = sum(not cell.difference <= LIMITS_OF_MOST[name] for cell in of)
        if beyond * 100 > len(of):
            failures.append(f"{name}: {beyond} of {len(of)} are beyond {LIMITS_OF_MOST[name]:.0e}")
    print(f"\n{versions}")
    if arguments.out is not None:
        arguments.out.write_text(json.dumps([asdict(cell) for cell in cells], indent=1) + "\n")
    for failure in failures:
        print(f"check_onnx: {failure}", file=sys.stderr)
    return int(bool(failures) or not cells)


if __name__ == "__main__":
    sys.exit(main())
