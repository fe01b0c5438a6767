"""Accuracy and speed of a classifier's ONNX graphs on labelled texts, beside each other.

    python onnx_accuracy.py EXPORTED DEV.tsv [--text sentence] [--label label] [--limit N]

EXPORTED is a folder of `export --format onnx --dtype f16 --quantize int8` with a tokenizer; DEV has
a header line, as GLUE's tables have, and labels are classes by number or by name. Texts are sorted
by length and run in batches of 32, padded to the longest. Prints one Markdown row for each graph:
accuracy, texts with another answer than `model.onnx`, texts per second, size.
"""

import argparse
import csv
import json
import time
from pathlib import Path

import numpy
import onnxruntime
from tokenizers import Tokenizer

BATCH = 32
GRAPHS = ("model.onnx", "model_fp16.onnx", "model_quantized.onnx")


def read_rows(path: Path, text: str, label: str, names: dict[str, int]) -> list[tuple[str, int]]:
    """Texts with the number of their class."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        (row[text], names[row[label]] if row[label] in names else int(row[label])) for row in rows
    ]


def batches(
    tokenizer: Tokenizer, texts: list[str], pad_id: int
) -> list[tuple[list[int], dict[str, numpy.ndarray]]]:
    """Which texts stand in each batch, and its tensors."""
    encodings = tokenizer.encode_batch(texts)
    order = sorted(range(len(texts)), key=lambda index: len(encodings[index].ids))
    made = []
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        longest = max(len(encodings[index].ids) for index in chosen)
        ids = numpy.full((len(chosen), longest), pad_id, dtype=numpy.int64)
        mask, types = numpy.zeros_like(ids), numpy.zeros_like(ids)
        for row, index in enumerate(chosen):
            length = len(encodings[index].ids)
            ids[row, :length] = encodings[index].ids
            mask[row, :length] = 1
            types[row, :length] = encodings[index].type_ids
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        made.append((chosen, inputs))
    return made


def main() -> None:
    """Read the arguments, run every graph, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="EXPORTED")
    parser.add_argument("table", type=Path, metavar="DEV.tsv")
    parser.add_argument("--text", default="sentence", help="column of the texts")
    parser.add_argument("--label", default="label", help="column of the classes")
    parser.add_argument("--limit", type=int, help="only so many rows")
    arguments = parser.parse_args()
    config = json.loads((arguments.folder / "config.json").read_text())
    settings = json.loads((arguments.folder / "tokenizer_config.json").read_text())
    tokenizer = Tokenizer.from_file(str(arguments.folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(settings["model_max_length"])
    rows = read_rows(arguments.table, arguments.text, arguments.label, config.get("label2id", {}))
    rows = rows[: arguments.limit]
    labels = numpy.array([label for _, label in rows])
    made = batches(tokenizer, [text for text, _ in rows], config["pad_token_id"])

    print("| graph | accuracy | other answers | texts/s | MB |\n|---|---|---|---|---|", flush=True)
    reference = None
    for name in GRAPHS:
        path = arguments.folder / "onnx" / name
        if not path.exists():
            continue
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        session.run(None, made[0][1])
        answers = numpy.zeros(len(rows), dtype=numpy.int64)
        start = time.perf_counter()
        for chosen, inputs in made:
            answers[chosen] = session.run(["logits"], inputs)[0].argmax(axis=1)
        seconds = time.perf_counter() - start
        reference = answers if reference is None else reference
        accuracy, others = (answers == labels).mean(), (answers != reference).sum()
        size = path.stat().st_size / 1e6
        shown = f"{100 * accuracy:.2f} % | {others} of {len(rows)} | {len(rows) / seconds:.0f} | {size:.1f}"
        print(f"| `{name}` | {shown} |", flush=True)


if __name__ == "__main__":
    main()
