"""SQuAD's scores and the answers of transformers' `run_qa`, stated from their descriptions.

The scores follow the two official scripts (v1.1: Rajpurkar et al. 2016; v2.0: Rajpurkar et al. 2018)
in exact arithmetic. The answers follow the documented algorithm of `run_qa`: every pair of one of the
likeliest first and one of the likeliest last tokens, over all windows, in float32 sums.
"""

import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

ARTICLES = ("a", "an", "the")


def normal_words(text: str) -> list[str]:
    """The words of `text` as answers are compared."""
    lower = "".join(character for character in text.lower() if character not in string.punctuation)
    # An article is a run of letters and digits; what is neither ends it.
    spaced, run = [], ""
    for character in lower + " ":
        if unicodedata.category(character)[0] in "LN":
            run += character
            continue
        spaced.append(" " if run in ARTICLES else run)
        spaced.append(character)
        run = ""
    return "".join(spaced).split()


def exact(prediction: str, answer: str) -> int:
    """1 if both are the same."""
    return int(normal_words(prediction) == normal_words(answer))


def f1(prediction: str, answer: str, version: int) -> Fraction:
    """The harmonic mean of the words' precision and recall."""
    predicted, right = normal_words(prediction), normal_words(answer)
    if not predicted or not right:
        return Fraction(int(version == 2 and predicted == right))
    common = sum((Counter(predicted) & Counter(right)).values())
    return Fraction(2 * common, len(predicted) + len(right))


def question_scores(prediction: str, answers: Sequence[str], version: int) -> tuple[int, Fraction]:
    """The best over the answers."""
    counted = [a for a in answers if normal_words(a)] if version == 2 else list(answers)
    counted = counted or [""]
    return (
        max(exact(prediction, answer) for answer in counted),
        max(f1(prediction, answer, version) for answer in counted),
    )


def best_threshold(
    scores: Sequence[Fraction], questions: Sequence[dict[str, Any]]
) -> tuple[float, float]:
    """The threshold of the best total, tried from the lowest value up, and the score in percent."""
    total = Fraction(sum(not question["answers"] for question in questions))
    best, threshold = total, 0.0
    order = sorted(range(len(questions)), key=lambda place: questions[place]["no_answer"])
    for place in order:
        question = questions[place]
        if question["answers"]:
            total += scores[place]
        elif question["prediction"]:
            total -= 1
        if total > best:
            best, threshold = total, question["no_answer"]
    return float(100 * best / len(questions)), threshold


def all_scores(
    questions: Sequence[dict[str, Any]], version: int, threshold: float | None
) -> dict[str, float]:
    """Every score by its name."""
    raw = [question_scores(q["prediction"], q["answers"], version) for q in questions]
    told = list(raw)
    for place, question in enumerate(questions):
        if threshold is not None and question["no_answer"] > threshold:
            right = int(not question["answers"])
            told[place] = (right, Fraction(right))

    def mean(column: int, places: Sequence[int]) -> float:
        return float(100 * Fraction(sum(told[place][column] for place in places)) / len(places))

    everything = range(len(questions))
    scores = {"exact_match": mean(0, everything), "f1": mean(1, everything)}
    if version == 2:
        for prefix, has_answer in (("HasAns", True), ("NoAns", False)):
            part = [p for p in everything if bool(questions[p]["answers"]) == has_answer]
            if part:
                scores[f"{prefix}_exact"] = mean(0, part)
                scores[f"{prefix}_f1"] = mean(1, part)
        for column, name in enumerate(("best_exact", "best_f1")):
            best, at = best_threshold([Fraction(score[column]) for score in raw], questions)
            scores[name], scores[f"{name}_thresh"] = best, at
    return scores


def candidates(
    windows: Sequence[dict[str, Any]],
    context: str,
    n_best_size: int,
    max_answer_length: int,
    version_2_with_negative: bool,
) -> dict[str, Any]:
    """The n-best list of a question, and what the score of no answer is above the best's by."""
    found, nothing = [], []
    for window in windows:
        start = np.array(window["start"], dtype=np.float32)
        end = np.array(window["end"], dtype=np.float32)
        offsets = window["offsets"]
        nothing.append((start[0] + end[0], start[0], end[0], 0, 0))
        firsts = set(sorted(range(len(start)), key=lambda t: (-start[t], -t))[:n_best_size])
        lasts = set(sorted(range(len(end)), key=lambda t: (-end[t], -t))[:n_best_size])
        for first in firsts:
            for last in lasts:
                inside = offsets[first] is not None and offsets[last] is not None
                if inside and first <= last < first + max_answer_length:
                    score = start[first] + end[last]
                    span = (offsets[first][0], offsets[last][1])
                    found.append((score, start[first], end[last], *span))
    null = min(nothing, key=lambda entry: entry[0])
    if version_2_with_negative:
        found.append(null)
    found.sort(key=lambda entry: -entry[0])
    found = found[:n_best_size]
    if version_2_with_negative and null not in found:
        found.append(null)
    logits = np.array([float(entry[0]) for entry in found])
    weights = np.exp(logits - logits.max())
    weights /= weights.sum()
    nbest = [
        {
            "start_logit": float(start),
            "end_logit": float(end),
            "text": context[begin:stop],
            "probability": float(weight),
        }
        for (_, start, end, begin, stop), weight in zip(found, weights, strict=True)
    ]
    result: dict[str, Any] = {"nbest": nbest}
    if version_2_with_negative:
        best = next(entry for entry in found if context[entry[3] : entry[4]])
        result["score_diff"] = float(null[0] - best[1] - best[2])
    return result
