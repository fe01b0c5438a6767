"""Write `crates/tasks/tests/fixtures/squad.json`: SQuAD's scores, and n-best answers from outputs.

The scores of v2.0 are stated twice, by transformers' `squad_metrics` (a copy of the official script)
and by `squad.py` in exact arithmetic; both must agree to 1e-12. Those of v1.1, and the answers of
`run_qa`, which no package carries, are stated by `squad.py` alone.
"""

import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from transformers.data.metrics import squad_metrics as official

import squad
from fixture_file import TASKS_FIXTURES, save_json

AGREEMENT = 1e-12

WORDS = (
    "the The a an A cat Cats big, (small) 1,000 1000 two-fold twofold café CAFÉ naïve “quoted” "
    "–the– Ünder_score it's its 北京 Σίσυφος THE. theatre another 50% $50 50 o'clock"
).split()


def phrase(rng: random.Random, longest: int) -> str:
    """Some words, with odd blanks between them."""
    blanks = (" ", " ", " ", "  ", "\u00a0", "\t", " \u001f")
    words = rng.choices(WORDS, k=rng.randint(1, longest))
    return "".join(word + rng.choice(blanks) for word in words)[: rng.choice((-1, 200))]


def changed(rng: random.Random, text: str) -> str:
    """Something near `text`."""
    words = text.split()
    change = rng.randrange(6)
    if change == 0 or len(words) < 2:
        return text.upper()
    if change == 1:
        return " ".join(words[1:])
    if change == 2:
        return " ".join([*words, rng.choice(WORDS)])
    if change == 3:
        return " ".join(words + words[:1])
    if change == 4:
        return phrase(rng, 4)
    return text


def questions(rng: random.Random, count: int, version: int) -> list[dict[str, Any]]:
    """Questions with what was predicted, what is right, and how sure "no answer" is."""
    asked = []
    for _ in range(count):
        answers = [phrase(rng, 5) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.2:
            answers.append(rng.choice(("The", "a.", "...")))
        prediction = changed(rng, rng.choice(answers))
        if version == 2 and rng.random() < 0.4:
            answers = []
        if rng.random() < 0.15:
            prediction = ""
        no_answer = rng.gauss(0.0 if answers else 1.0, 1.5)
        asked.append({"prediction": prediction, "answers": answers, "no_answer": no_answer})
    return asked


def agree_with_official(
    asked: Sequence[dict[str, Any]], expected: dict[str, float], threshold: float | None
) -> None:
    """Refuses scores of v2.0 that transformers' copy of the official script does not give."""
    examples = [
        SimpleNamespace(
            qas_id=place,
            answers=[{"text": text} for text in question["answers"]],
        )
        for place, question in enumerate(asked)
    ]
    predictions = {place: question["prediction"] for place, question in enumerate(asked)}
    values = {place: question["no_answer"] for place, question in enumerate(asked)}
    at = 1e9 if threshold is None else threshold
    theirs = official.squad_evaluate(examples, predictions, values, at)
    names = {"exact_match": "exact"}
    for name, value in expected.items():
        other = theirs[names.get(name, name)]
        if abs(other - value) > AGREEMENT * max(1.0, abs(value)):
            raise AssertionError(f"`{name}`: {other!r}, in exact arithmetic {value!r}")


def scored(
    about: str, asked: Sequence[dict[str, Any]], version: int, threshold: float | None = None
) -> dict[str, Any]:
    """A case of scores."""
    expected = squad.all_scores(asked, version, threshold)
    if version == 2:
        agree_with_official(asked, expected, threshold)
    each = []
    for question in asked:
        right, f1 = squad.question_scores(question["prediction"], question["answers"], version)
        each.append([right, float(f1)])
    return {
        "about": about,
        "version": version,
        "threshold": threshold,
        "questions": list(asked),
        "each": each,
        "expected": expected,
    }


def answered(
    about: str,
    rng: np.random.Generator,
    windows: int,
    tokens: int,
    *,
    n_best_size: int,
    max_answer_length: int,
    version_2_with_negative: bool,
    null: float = 0.0,
) -> dict[str, Any]:
    """A case of answers: windows of `tokens` tokens over one context, each half of the last."""
    words = [f"w{place}é" for place in range(tokens * windows)]
    context = " ".join(words)
    begins = [sum(len(word) + 1 for word in words[:place]) for place in range(len(words))]
    made = []
    for window in range(windows):
        # [CLS], two tokens of a question, [SEP], the context, [SEP].
        shown = range(window * tokens // 2, window * tokens // 2 + tokens)
        offsets: list[list[int] | None] = [None] * 4
        offsets += [[begins[place], begins[place] + len(words[place])] for place in shown]
        offsets.append(None)
        start, end = (rng.normal(0.0, 3.0, len(offsets)).astype(np.float32) for _ in range(2))
        start[0] += np.float32(null)
        end[0] += np.float32(null)
        made.append({"start": start.tolist(), "end": end.tolist(), "offsets": offsets})
    options = {
        "n_best_size": n_best_size,
        "max_answer_length": max_answer_length,
        "version_2_with_negative": version_2_with_negative,
    }
    expected = squad.candidates(made, context, **options)
    scores = [found["start_logit"] + found["end_logit"] for found in expected["nbest"]]
    assert len(set(scores)) == len(scores), "equal scores have no order of their own"
    return {"about": about, "context": context, "windows": made, "options": options} | expected


def main() -> None:
    """Write the fixture."""
    rng = random.Random(11)
    scores = [
        scored("v1.1", questions(rng, 40, 1), 1),
        scored("v2.0, nothing withheld", questions(rng, 60, 2), 2),
        scored("v2.0, a threshold", questions(rng, 60, 2), 2, 0.4),
        scored("v2.0, all have an answer", questions(rng, 12, 1), 2),
        scored(
            "v2.0, none has an answer",
            [question | {"answers": []} for question in questions(rng, 9, 2)],
            2,
        ),
    ]
    drawn = np.random.default_rng(12)
    one = {"n_best_size": 5, "max_answer_length": 4, "version_2_with_negative": False}
    two = {"n_best_size": 20, "max_answer_length": 30, "version_2_with_negative": True}
    answers = [
        answered("one window", drawn, 1, 12, **one),
        answered("three windows", drawn, 3, 16, **(one | {"n_best_size": 8})),
        answered("no answer may be one", drawn, 2, 14, **two),
        answered("no answer is likely", drawn, 2, 14, **two, null=9.0),
        answered("no answer is put back", drawn, 2, 14, **(two | {"n_best_size": 4}), null=-9.0),
    ]
    save_json(TASKS_FIXTURES / "squad.json", {"scores": scores, "answers": answers})


if __name__ == "__main__":
    main()
