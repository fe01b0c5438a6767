"""Texts a second of transformers' `pipeline("text-classification")`, beside `predict classify`.

    python pipeline_speed.py --model DIR --texts reviews.jsonl --order sorted --threads 2

Reads JSON lines with a `text`, classifies them in batches padded to their longest text, and prints
one JSON line. `--order sorted` sorts by length first, which wastes less on padding; `plain` keeps
the order of the file. The first batch is run once before the clock starts; tokenization counts.
`--out FILE` writes the predictions, a JSON line each, in the order of the file.
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import Pipeline, pipeline
from transformers.utils import logging


def read_texts(path: Path, limit: int | None) -> list[str]:
    """The `text` of each line."""
    texts: list[str] = []
    with path.open() as lines:
        for number, line in enumerate(lines, start=1):
            if limit is not None and len(texts) == limit:
                break
            try:
                texts.append(json.loads(line)["text"])
            except (ValueError, TypeError, KeyError) as error:
                raise SystemExit(f"pipeline_speed: {path}:{number}: no `text`: {error}") from error
    if not texts:
        raise SystemExit(f"pipeline_speed: `{path}` holds no text")
    return texts


def load(arguments: argparse.Namespace) -> Pipeline:
    """The pipeline on the CPU, in evaluation mode."""
    return pipeline(
        "text-classification",
        model=str(arguments.model),
        device="cpu",
        trust_remote_code=arguments.trust_remote_code,
    )


def classify(
    classifier: Pipeline, texts: list[str], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """The best label of each text, in the order given."""
    with torch.inference_mode():
        return classifier(
            texts,
            batch_size=arguments.batch_size,
            truncation=True,
            max_length=arguments.max_length,
            padding=arguments.padding,
        )


def main() -> int:
    """Read the arguments, measure, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--texts", type=Path, required=True, metavar="FILE")
    parser.add_argument("--order", choices=("plain", "sorted"), default="sorted")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N texts")
    parser.add_argument("--max-length", type=int, default=512, help="tokens; longer is cut")
    parser.add_argument(
        "--padding",
        choices=("longest", "max_length"),
        default="longest",
        help="transformers' Nyström branch needs max_length",
    )
    parser.add_argument("--trust-remote-code", action="store_true")
    parser.add_argument("--out", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)  # the tokenizer's
    torch.set_num_threads(arguments.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()

    texts = read_texts(arguments.texts, arguments.limit)
    order = list(range(len(texts)))
    if arguments.order == "sorted":
        order.sort(key=lambda place: len(texts[place]), reverse=True)
    started = time.perf_counter()
    classifier = load(arguments)
    load_s = time.perf_counter() - started
    arranged = [texts[place] for place in order]
    classify(classifier, arranged[: arguments.batch_size], arguments)
    started = time.perf_counter()
    answers = classify(classifier, arranged, arguments)
    seconds = time.perf_counter() - started

    if arguments.out is not None:
        in_file_order = sorted(zip(order, answers, strict=True), key=lambda pair: pair[0])
        arguments.out.write_text("".join(json.dumps(a) + "\n" for _, a in in_file_order))
    facts = {
        "peer": f"transformers {transformers.__version__} pipeline",
        "order": arguments.order,
        "texts": len(texts),
        "batch_size": arguments.batch_size,
        "padding": arguments.padding,
        "max_length": arguments.max_length,
        "threads": arguments.threads,
        "load_s": round(load_s, 3),
        "seconds": round(seconds, 3),
        "texts_per_s": round(len(texts) / seconds, 2),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
