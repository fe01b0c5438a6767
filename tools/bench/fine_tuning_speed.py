"""Wall time of one epoch of fine-tuning on SST-2 beside transformers' Trainer.

    pip install accelerate==1.12.0   # which Trainer needs, beside tools/reference/requirements.txt
    python3 tools/bench/fine_tuning_speed.py --train SST-2/train.tsv --rows 6400 --rounds 3

A random model of the size is made, with a WordPiece tokenizer trained on the sentences; all start from its
folder. It computes exact attention, as the published ones do (`ours`, `trainer`); `ours-paper` computes Nyström
attention under the `paper` semantics, for which transformers has no equal. Batches of 32 in a random order,
padded to their longest row, or of sentences of about the same length (`--group-by-length`, of Trainer and of
`ours-paper`); AdamW at 5e-5, a linear schedule, clipping at 1, the model's dropout; no evaluation.

Trainer is timed from the raw sentences to its last step, after imports and the loading of the model; ours from
the start of its process to its end, the final checkpoint included. The peers take turns. A JSON line for each,
with the median over the rounds.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare import default_program
from pipeline_speed import MAX_LENGTH, SIZES, make_model
from torch_step import KEEP_FREED_MEMORY, restart_with_allocator_settings

HEADER = "sentence\tlabel\n"
BATCH_SIZE = 32
LEARNING_RATE = 5e-5
PEERS = ("ours", "ours-paper", "trainer")

Line = dict[str, float]


def read_rows(path: Path, count: int | None) -> list[str]:
    """The first `count` lines of an SST-2 file behind its header; `None`: all."""
    with path.open(encoding="utf-8", newline="\n") as file:
        if file.readline() != HEADER:
            raise SystemExit(f"`{path}` does not begin with the header `sentence TAB label`")
        rows = [line for line, _ in zip(file, range(count or sys.maxsize), strict=False)]
    if count is not None and len(rows) < count:
        raise SystemExit(f"`{path}` holds `{len(rows)}` rows: ask for fewer than {count}")
    return rows


def write_data(rows: list[str], folder: Path) -> None:
    """SST-2's two files; the second is read but, without evaluations, not used."""
    place = folder / "SST-2"
    place.mkdir()
    (place / "train.tsv").write_text(HEADER + "".join(rows), encoding="utf-8")
    (place / "dev.tsv").write_text(HEADER + "".join(rows[:BATCH_SIZE]), encoding="utf-8")


def train_ours(peer: str, folder: Path, run: Path, arguments: argparse.Namespace) -> Line:
    """One process of ours."""
    model = folder / "model"
    settings = {
        "data.seq_len": MAX_LENGTH,
        "task.path": folder,
        "task.group_by_length": str(arguments.group_by_length and peer == "ours-paper").lower(),
        "model.init_from": model,
        "optimizer.learning_rate": LEARNING_RATE,
        "optimizer.weight_decay": 0,
        "optimizer.epsilon": 1e-8,
        "schedule.kind": "linear",
        "trainer.batch_size": BATCH_SIZE,
        "trainer.micro_batch_size": BATCH_SIZE,
        "trainer.max_steps": 0,
        "trainer.max_epochs": 1,
        "trainer.eval_every": 0,
        "trainer.max_grad_norm": 1,
    }
    if peer == "ours-paper":
        settings["model.semantics"] = "paper"
    config = folder / "sst2.toml"
    config.write_text('[task]\nname = "sst2"\n')
    command = [str(arguments.program), "train", str(config), "--run-dir", str(run)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    environment = {key: value for key, value in os.environ.items() if key not in KEEP_FREED_MEMORY}
    environment["RAYON_NUM_THREADS"] = str(arguments.threads)
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{peer} failed: {done.stderr}")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["split"] == "train"]
    summary = json.loads((run / "summary.json").read_text())
    return {
        "seconds": seconds,
        "steps": len(losses),
        "mean_loss": statistics.mean(losses),
        "peak_rss_mib": summary["peak_rss_bytes"] >> 20,
    }


def train_with_trainer(folder: Path, arguments: argparse.Namespace) -> Line:
    """The same by transformers, in this process."""
    import torch
    from transformers import (
        BertTokenizerFast,
        DataCollatorWithPadding,
        NystromformerForSequenceClassification,
        Trainer,
        TrainingArguments,
    )
    from transformers.utils import logging

    logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    model = NystromformerForSequenceClassification.from_pretrained(folder / "model")
    tokenizer = BertTokenizerFast.from_pretrained(folder / "model")
    start = time.perf_counter()
    examples = []
    rows = (folder / "SST-2/train.tsv").read_text(encoding="utf-8").split("\n")[1:-1]
    sentences, labels = zip(*(row.rsplit("\t", 1) for row in rows), strict=True)
    for ids, label in zip(tokenizer(list(sentences), truncation=True)["input_ids"], labels, strict=True):
        examples.append({"input_ids": ids, "labels": int(label)})
    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=output,
                use_cpu=True,
                num_train_epochs=1,
                per_device_train_batch_size=BATCH_SIZE,
                learning_rate=LEARNING_RATE,
                group_by_length=arguments.group_by_length,
                save_strategy="no",
                eval_strategy="no",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=examples,
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        result = trainer.train()
    return {
        "seconds": time.perf_counter() - start,
        "steps": result.global_step,
        "mean_loss": result.training_loss,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def train_in_a_process(folder: Path, arguments: argparse.Namespace) -> Line:
    """`train_with_trainer` with a memory of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--trainer-in", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def parse() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, required=True, help="SST-2's train.tsv")
    parser.add_argument("--rows", type=int, help="its first rows; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--vocab-size", type=int, default=30000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--group-by-length", action="store_true")
    parser.add_argument("--program", type=Path, default=default_program())
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--trainer-in", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Take turns, print the medians."""
    arguments = parse()
    restart_with_allocator_settings()
    if arguments.trainer_in:
        print(json.dumps(train_with_trainer(arguments.trainer_in, arguments)))
        return
    rows = read_rows(arguments.train, arguments.rows)
    measured: dict[str, list[Line]] = {peer: [] for peer in arguments.peers}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_data(rows, folder)
        (folder / "model").mkdir()
        sentences = [row.rsplit("\t", 1)[0] for row in rows]
        make_model(arguments.size, arguments.vocab_size, sentences, folder / "model")
        for number in range(arguments.rounds):
            for peer in arguments.peers:
                if peer == "trainer":
                    line = train_in_a_process(folder, arguments)
                else:
                    line = train_ours(peer, folder, folder / f"{peer}-{number}", arguments)
                measured[peer].append(line)
                print(f"{peer}: {line['seconds']:.1f} s", file=sys.stderr, flush=True)
    for peer, lines in measured.items():
        medians = {key: statistics.median(line[key] for line in lines) for key in lines[0]}
        facts = {"peer": peer, "size": arguments.size, "rows": len(rows), "threads": arguments.threads}
        print(json.dumps(facts | {key: round(value, 4) for key, value in medians.items()}), flush=True)


if __name__ == "__main__":
    main()
