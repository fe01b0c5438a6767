"""Fine-tune a folder on questions with PyTorch and transformers, to stand beside a run of ours.

    python qa_fine_tuning.py DIR --train FILE... --test FILE --output DIR [--max-steps N]

DIR is a folder of transformers, files are SQuAD JSON. Windows, targets and answers are those of
transformers' example `run_qa`: `doc_stride` tokens of overlap, answers outside of a window at its
`[CLS]`, n-best answers over all windows (`squad.py`). AdamW without decay of biases and norms, a line
up and a line down, gradients clipped to 1; batches are drawn anew in every epoch and padded to their
longest row.

Prints a JSON line every `--log-every` steps and one with exact match and F1 of the test file in percent;
OUTPUT gets `predictions.json`.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    get_linear_schedule_with_warmup,
    set_seed,
)

import squad

Question = dict[str, Any]
Window = dict[str, Any]


def read_questions(files: Sequence[Path]) -> list[Question]:
    """The questions of some files of SQuAD's form."""
    questions = []
    for file in files:
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    questions.append({**question, "context": paragraph["context"]})
    return questions


def make_windows(tokenizer: Any, questions: Sequence[Question], options: Any) -> list[Window]:
    """The windows of all questions, with the answer's tokens in each."""
    encoded = tokenizer(
        [question["question"].lstrip() for question in questions],
        [question["context"] for question in questions],
        truncation="only_second",
        max_length=options.max_length,
        stride=options.doc_stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    windows = []
    for place, example in enumerate(encoded["overflow_to_sample_mapping"]):
        ids, sequences = encoded["input_ids"][place], encoded.sequence_ids(place)
        offsets = [
            offset if sequence == 1 else None
            for offset, sequence in zip(encoded["offset_mapping"][place], sequences, strict=True)
        ]
        start = end = ids.index(tokenizer.cls_token_id)
        answers = questions[example].get("answers", [])
        shown = [token for token, offset in enumerate(offsets) if offset is not None]
        if answers and shown:
            begin = answers[0]["answer_start"]
            stop = begin + len(answers[0]["text"])
            if offsets[shown[0]][0] <= begin and offsets[shown[-1]][1] >= stop:
                start = max(token for token in shown if offsets[token][0] <= begin)
                end = min(token for token in shown if offsets[token][1] >= stop)
        windows.append(
            {
                "example": example,
                "input_ids": ids,
                "token_type_ids": encoded["token_type_ids"][place],
                "offsets": offsets,
                "start": start,
                "end": end,
            }
        )
    return windows


def collate(windows: Sequence[Window], pad_id: int, *, with_targets: bool) -> dict[str, Tensor]:
    """A batch, padded on the right to its longest row."""
    length = max(len(window["input_ids"]) for window in windows)

    def stack(key: str, filler: int) -> Tensor:
        return torch.tensor([w[key] + [filler] * (length - len(w[key])) for w in windows])

    batch = {
        "input_ids": stack("input_ids", pad_id),
        "token_type_ids": stack("token_type_ids", 0),
        "attention_mask": torch.tensor(
            [[int(t < len(w["input_ids"])) for t in range(length)] for w in windows]
        ),
    }
    if with_targets:
        batch["start_positions"] = torch.tensor([window["start"] for window in windows])
        batch["end_positions"] = torch.tensor([window["end"] for window in windows])
    return batch


def order(count: int, epochs: int, batch_size: int) -> Iterator[list[int]]:
    """The windows of every step, drawn anew in each epoch."""
    for _ in range(epochs):
        yield from (part.tolist() for part in torch.randperm(count).split(batch_size))


def train(model: Any, tokenizer: Any, windows: Sequence[Window], options: Any) -> None:
    """Trains the model, and prints losses."""
    decayed = [p for n, p in model.named_parameters() if "bias" not in n and "LayerNorm" not in n]
    exempt = [p for n, p in model.named_parameters() if "bias" in n or "LayerNorm" in n]
    optimizer = AdamW(
        [
            {"params": decayed, "weight_decay": options.weight_decay},
            {"params": exempt, "weight_decay": 0.0},
        ],
        lr=options.learning_rate,
    )
    steps = -(-len(windows) // options.batch_size) * options.epochs
    warmup = int(steps * options.warmup_ratio)
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, steps)
    model.train()
    began = time.perf_counter()
    batches = order(len(windows), options.epochs, options.batch_size)
    for step, places in enumerate(batches, start=1):
        batch = collate([windows[p] for p in places], tokenizer.pad_token_id, with_targets=True)
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % options.log_every == 0 or step == options.max_steps:
            elapsed = time.perf_counter() - began
            print(json.dumps({"step": step, "of": steps, "loss": loss.item(), "elapsed_s": elapsed}))
        if step == options.max_steps:
            return


def answer(
    model: Any, tokenizer: Any, windows: Sequence[Window], questions: Sequence[Question]
) -> dict[str, str]:
    """The likeliest answer to each question."""
    model.eval()
    by_question: list[list[Window]] = [[] for _ in questions]
    ordered = sorted(windows, key=lambda window: len(window["input_ids"]))
    with torch.no_grad():
        for first in range(0, len(ordered), 32):
            some = ordered[first : first + 32]
            outputs = model(**collate(some, tokenizer.pad_token_id, with_targets=False))
            for row, window in enumerate(some):
                length = len(window["input_ids"])
                by_question[window["example"]].append(
                    {
                        "start": outputs.start_logits[row, :length].tolist(),
                        "end": outputs.end_logits[row, :length].tolist(),
                        "offsets": window["offsets"],
                    }
                )
    answers = {}
    for question, read in zip(questions, by_question, strict=True):
        found = squad.candidates(read, question["context"], 20, 30, False)["nbest"]
        answers[str(question["id"])] = found[0]["text"] if found else ""
    return answers


def main() -> None:
    """Train, answer, measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--max-length", type=int, default=384)
    parser.add_argument("--doc-stride", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--warmup-ratio", type=float, default=0.1)
    parser.add_argument("--max-steps", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    set_seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    model = AutoModelForQuestionAnswering.from_pretrained(options.folder)
    windows = make_windows(tokenizer, read_questions(options.train), options)
    train(model, tokenizer, windows, options)
    questions = read_questions([options.test])
    answers = answer(model, tokenizer, make_windows(tokenizer, questions, options), questions)
    scores = [
        squad.question_scores(
            answers[str(question["id"])], [found["text"] for found in question["answers"]], 1
        )
        for question in questions
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(answers, indent=4) + "\n"
    (options.output / "predictions.json").write_text(text, encoding="utf-8")
    result = {
        "windows": len(windows),
        "exact_match": 100 * sum(exact for exact, _ in scores) / len(scores),
        "f1": float(100 * sum(f1 for _, f1 in scores) / len(scores)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
