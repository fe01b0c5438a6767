"""Texts per second of `predict classify` beside transformers' text-classification pipeline.

    python3 tools/bench/pipeline_speed.py --texts FOLDER --size small --count 1000

A random model of the size is made, with a WordPiece tokenizer trained on the texts (`.txt` files
below FOLDER). transformers' pipeline gets the texts sorted by their number of tokens, the fastest of
`--batch-sizes` and `--threads` threads, and is timed from the first text to the last answer; ours
gets them unsorted and is timed with the start of its process. torch's allocator is told to keep freed
memory, as in torch_step.py. One JSON line for each.
"""

import argparse
import itertools
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import (
    BertTokenizerFast,
    NystromformerConfig,
    NystromformerForSequenceClassification,
    pipeline,
)
from transformers.utils import logging

from compare import default_program
from torch_step import KEEP_FREED_MEMORY, restart_with_allocator_settings

MAX_LENGTH = 510
SIZES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
    "small": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
}


def read_texts(folder: Path, count: int) -> list[str]:
    """The first `count` texts below `folder` in the order of their names, each as one line."""
    files = itertools.islice(sorted(folder.rglob("*.txt")), count)
    texts = [" ".join(file.read_text().split()) for file in files]
    if len(texts) < count:
        raise SystemExit(f"`{folder}` holds `{len(texts)}` texts: ask for fewer than {count}")
    return texts


def make_model(size: str, vocab_size: int, texts: list[str], folder: Path) -> None:
    """A random model that computes full attention, as the published ones do, and its tokenizer."""
    trained = BertWordPieceTokenizer()
    trained.train_from_iterator(texts, vocab_size=vocab_size, show_progress=False)
    # Vocabularies are padded to the size asked for, so that the embedding has it.
    words = sorted(trained.get_vocab(), key=trained.get_vocab().__getitem__)
    words += [f"[unused{index}]" for index in range(vocab_size - len(words))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=MAX_LENGTH)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = NystromformerConfig(
        vocab_size=len(tokenizer),
        intermediate_size=4 * SIZES[size]["hidden_size"],
        max_position_embeddings=MAX_LENGTH,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        **SIZES[size],
    )
    NystromformerForSequenceClassification(config).save_pretrained(folder)


def time_transformers(folder: Path, texts: list[str], batch_size: int) -> float:
    """Seconds of one pass, after a warm-up on a few texts."""
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    model = NystromformerForSequenceClassification.from_pretrained(folder).eval()
    lengths = [len(ids) for ids in tokenizer(texts, truncation=True)["input_ids"]]
    ordered = [text for _, text in sorted(zip(lengths, texts, strict=True), reverse=True)]
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
    classify(ordered[-2 * batch_size :], batch_size=batch_size, truncation=True)
    start = time.perf_counter()
    answers = classify(ordered, batch_size=batch_size, truncation=True)
    seconds = time.perf_counter() - start
    assert len(answers) == len(texts)
    return seconds


def time_ours(
    program: Path, folder: Path, texts: list[str], batch_size: int, threads: int
) -> float:
    """Seconds of one process from its start to its end."""
    command = [program, "predict", "classify", "--model", folder, "--batch-size", str(batch_size)]
    environment = {key: value for key, value in os.environ.items() if key not in KEEP_FREED_MEMORY}
    environment["RAYON_NUM_THREADS"] = str(threads)
    start = time.perf_counter()
    done = subprocess.run(
        command, input="\n".join(texts), capture_output=True, text=True, check=True, env=environment
    )
    seconds = time.perf_counter() - start
    assert len(done.stdout.splitlines()) == len(texts)
    return seconds


def report(peer: str, arguments: argparse.Namespace, seconds: dict[int, float], count: int) -> None:
    """The fastest batch size, as a JSON line."""
    best = min(seconds, key=seconds.__getitem__)
    line: dict[str, Any] = {
        "peer": peer,
        "size": arguments.size,
        "texts": count,
        "batch_size": best,
        "seconds": round(seconds[best], 3),
        "texts_per_s": round(count / seconds[best], 2),
        "threads": arguments.threads,
    }
    print(json.dumps(line), flush=True)


def main() -> None:
    """Time both on the same texts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=Path, required=True, help="a folder with .txt files")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--vocab-size", type=int, default=30000)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--program", type=Path, default=default_program())
    parser.add_argument("--peers", nargs="+", default=["ours", "ours-paper", "transformers"])
    parser.add_argument("--keep", type=Path, help="make the model here and leave it")
    arguments = parser.parse_args()
    restart_with_allocator_settings()
    logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    texts = read_texts(arguments.texts, arguments.count)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "model.safetensors").exists():
            make_model(arguments.size, arguments.vocab_size, texts, folder)
        config = json.loads((folder / "config.json").read_text())
        for peer in arguments.peers:
            seconds = {}
            # Nyström attention that takes texts as they come: transformers has none.
            told = {"semantics": "paper", "pinv_init": "exact"} if peer == "ours-paper" else {}
            (folder / "config.json").write_text(json.dumps(config | told))
            for batch_size in arguments.batch_sizes:
                if peer == "transformers":
                    seconds[batch_size] = time_transformers(folder, texts, batch_size)
                else:
                    seconds[batch_size] = time_ours(
                        arguments.program, folder, texts, batch_size, arguments.threads
                    )
            report(peer, arguments, seconds, len(texts))
        (folder / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main()
