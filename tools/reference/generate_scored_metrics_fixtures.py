"""Write `crates/tasks/tests/fixtures/scored_metrics.json`: metrics of scores, of sets of labels and of
several numbers, as scikit-learn computes them.

Scores are multiples of 1/1024, which a 32-bit float holds exactly. Where a class occurs never or
always, scikit-learn refuses or warns; the mean is then over the classes that it can measure, which
this file says once more (`over_defined`).
"""

import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics as sklearn

from fixture_file import TASKS_FIXTURES, save_json

PARTS = 1024
Table = list[list[float]]


def number(value: float) -> float | None:
    """`value` as JSON has it, NaN being null."""
    return None if np.isnan(value) else float(value)


def over_defined(
    score: Callable[..., float], truth: np.ndarray, scores: np.ndarray, needs_both: bool
) -> float:
    """The mean of a binary metric over the columns that have a positive row, and a negative one."""
    values = [
        score(truth[:, column], scores[:, column])
        for column in range(truth.shape[1])
        if truth[:, column].any() and not (needs_both and truth[:, column].all())
    ]
    return float(np.mean(values)) if values else float("nan")


def shares(source: random.Random, parts: int) -> list[float]:
    """Probabilities of `parts` classes, which sum to 1 exactly."""
    cuts = sorted(source.randint(0, PARTS) for _ in range(parts - 1))
    return [(b - a) / PARTS for a, b in zip([0, *cuts], [*cuts, PARTS], strict=True)]


def classes(about: str, scores: Table, references: Sequence[int]) -> dict[str, Any]:
    """A case of one class an example; the highest score is the prediction."""
    labels = list(range(len(scores[0])))
    table, truth = np.array(scores), np.array(references)
    predictions = table.argmax(axis=1)
    both = (truth, predictions)
    zero: dict[str, Any] = {"zero_division": 0}
    expected = {
        "accuracy": sklearn.accuracy_score(*both),
        "balanced_accuracy": sklearn.balanced_accuracy_score(*both),
        "cohen_kappa": sklearn.cohen_kappa_score(*both),
        "f1_micro": sklearn.f1_score(*both, average="micro", **zero),
        "f1_macro": sklearn.f1_score(*both, average="macro", **zero),
        "f1_weighted": sklearn.f1_score(*both, average="weighted", **zero),
        "precision_macro": sklearn.precision_score(*both, average="macro", **zero),
        "recall_macro": sklearn.recall_score(*both, average="macro", **zero),
        "matthews_correlation": sklearn.matthews_corrcoef(*both),
        "log_loss": sklearn.log_loss(truth, table, labels=labels),
    }
    one_hot = np.eye(len(labels), dtype=int)[truth]
    if len(labels) == 2:
        expected |= {
            "f1": sklearn.f1_score(*both, **zero),
            "precision": sklearn.precision_score(*both, **zero),
            "recall": sklearn.recall_score(*both, **zero),
        }
        one_hot, columns = one_hot[:, 1:], table[:, 1:]
    else:
        columns = table
    expected["roc_auc"] = over_defined(sklearn.roc_auc_score, one_hot, columns, True)
    expected["average_precision"] = over_defined(
        sklearn.average_precision_score, one_hot, columns, False
    )
    if len(labels) > 2 and len(set(references)) == len(labels):
        whole = sklearn.roc_auc_score(truth, table, multi_class="ovr", average="macro")
        assert abs(whole - expected["roc_auc"]) < 1e-12, about
    return {
        "about": about,
        "scores": scores,
        "predictions": predictions.tolist(),
        "references": list(references),
        "expected": {name: number(value) for name, value in expected.items()},
    }


def best_f1(scores: np.ndarray, truth: np.ndarray) -> float | None:
    """The highest F1 of any threshold, tried one by one."""
    if not truth.any():
        return None
    tried = {0.0, 0.5, *scores.tolist()}
    return max(sklearn.f1_score(truth, scores >= threshold, zero_division=0) for threshold in tried)


def label_sets(
    about: str, scores: Table, right: list[list[int]], thresholds: list[float]
) -> dict[str, Any]:
    """A case of any number of labels an example."""
    table = np.array(scores)
    truth = np.zeros(table.shape, dtype=int)
    for row, labels in enumerate(right):
        truth[row, labels] = 1
    predicted = (table >= np.array(thresholds)).astype(int)
    both = (truth, predicted)
    zero: dict[str, Any] = {"zero_division": 0}
    expected = {
        f"{name}_{average}": score(*both, average=average, **zero)
        for name, score, averages in (
            ("f1", sklearn.f1_score, ("micro", "macro", "weighted", "samples")),
            ("precision", sklearn.precision_score, ("micro", "macro")),
            ("recall", sklearn.recall_score, ("micro", "macro")),
        )
        for average in averages
    }
    expected |= {
        "subset_accuracy": sklearn.accuracy_score(*both),
        "hamming_loss": sklearn.hamming_loss(*both),
        "label_ranking_average_precision": sklearn.label_ranking_average_precision_score(
            truth, table
        ),
        "roc_auc": over_defined(sklearn.roc_auc_score, truth, table, True),
        "average_precision": over_defined(sklearn.average_precision_score, truth, table, False),
    }
    if truth.any(axis=0).all():
        whole = sklearn.average_precision_score(truth, table, average="macro")
        assert abs(whole - expected["average_precision"]) < 1e-12, about
    columns = range(table.shape[1])
    return {
        "about": about,
        "scores": scores,
        "right": right,
        "thresholds": thresholds,
        "expected": {name: number(value) for name, value in expected.items()},
        "best_f1": [best_f1(table[:, column], truth[:, column]) for column in columns],
    }


def numbers(about: str, predictions: Table, references: Table) -> dict[str, Any]:
    """A case of several numbers an example: of each, and their means."""
    predicted, truth = np.array(predictions), np.array(references)
    measures: dict[str, Callable[[Any, Any], float]] = {
        "pearson": lambda right, left: stats.pearsonr(left, right).statistic,
        "spearman": lambda right, left: stats.spearmanr(left, right).statistic,
        "mse": sklearn.mean_squared_error,
        "rmse": sklearn.root_mean_squared_error,
        "mae": sklearn.mean_absolute_error,
        "r2": sklearn.r2_score,
    }
    columns = range(truth.shape[1])
    of_columns = {
        name: [float(measure(truth[:, c], predicted[:, c])) for c in columns]
        for name, measure in measures.items()
    }
    return {
        "about": about,
        "predictions": predictions,
        "references": references,
        "expected": {name: number(np.mean(values)) for name, values in of_columns.items()},
        "of_columns": {
            name: [number(value) for value in values] for name, values in of_columns.items()
        },
    }


def class_cases(source: random.Random) -> list[dict[str, Any]]:
    """Edges, and classifiers of every skill."""
    even = [[0.5, 0.5], [0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]
    cases = [
        classes("equal scores count half", even, [1, 0, 1, 0]),
        classes("certain and wrong", [[1.0, 0.0], [0.0, 1.0]], [1, 1]),
        classes("one class alone", [[0.5, 0.5], [0.75, 0.25]], [0, 0]),
        classes("never the last of three", [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], [0, 1]),
    ]
    for case in range(24):
        labels = 2 if case % 2 else source.randint(3, 6)
        rows = [shares(source, labels) for _ in range(source.randint(4, 40))]
        skill = source.random()
        references = [
            row.index(max(row)) if source.random() < skill else source.randrange(labels)
            for row in rows
        ]
        cases.append(classes(f"random {case}", rows, references))
    return cases


def set_cases(source: random.Random) -> list[dict[str, Any]]:
    """Edges, and sets of labels that are rare, always there, or never."""
    cases = [
        label_sets("nothing applies", [[0.25, 0.75], [0.25, 0.25]], [[], []], [0.5, 0.5]),
        label_sets("all apply", [[0.75, 0.75], [0.5, 1.0]], [[0, 1], [0, 1]], [0.5, 0.5]),
        label_sets("equal scores", [[0.5] * 4] * 3, [[0], [1, 2], [3]], [0.5] * 4),
    ]
    for case in range(24):
        labels = source.randint(2, 8)
        rows, right = [], []
        often = [source.random() ** 2 for _ in range(labels)]
        skill = source.random()
        for _ in range(source.randint(3, 40)):
            applies = [label for label in range(labels) if source.random() < often[label]]
            right.append(applies)
            rows.append(
                [
                    (PARTS // 2 * (label in applies) * (source.random() < skill)
                     + source.randint(0, PARTS // 2)) / PARTS
                    for label in range(labels)
                ]
            )
        thresholds = [source.randint(1, PARTS - 1) / PARTS for _ in range(labels)]
        cases.append(label_sets(f"random {case}", rows, right, thresholds))
    return cases


def number_cases(source: random.Random) -> list[dict[str, Any]]:
    """Edges, and regressions of every skill."""
    line = [[float(row)] for row in range(6)]
    cases = [
        numbers("always the same and right", [[2.0], [2.0]], [[2.0], [2.0]]),
        numbers("the references alone are the same", [[1.0], [2.0]], [[2.0], [2.0]]),
        numbers("a line", line, [[3 * row - 7] for (row,) in line]),
    ]
    for case in range(12):
        columns = source.randint(1, 4)
        noise = source.choice((0.1, 1.0, 5.0))
        count = source.randint(3, 40)
        references = [[source.randint(0, 80) / 16 for _ in range(columns)] for _ in range(count)]
        predictions = [
            [value + round(source.gauss(0, noise) * 16) / 16 for value in row]
            for row in references
        ]
        cases.append(numbers(f"random {case}", predictions, references))
    return cases


def main() -> None:
    """Write the file."""
    warnings.simplefilter("ignore")
    source = random.Random(2)
    save_json(
        TASKS_FIXTURES / "scored_metrics.json",
        {
            "classes": class_cases(source),
            "labels": set_cases(source),
            "numbers": number_cases(source),
        },
    )


if __name__ == "__main__":
    main()
