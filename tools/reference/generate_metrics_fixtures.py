"""Write `crates/tasks/tests/fixtures/metrics.json`: what scikit-learn, SciPy and NumPy compute.

Every number is stated twice, by those and by `metrics.py` in exact arithmetic, and both must agree
to 1e-12. The cases called `exact` are those where SciPy itself is further off, or refuses: they
hold what exact arithmetic says.
"""

import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics as sklearn

import metrics
from fixture_file import TASKS_FIXTURES, save_json

AGREEMENT = 1e-12


def agreed(name: str, theirs: float, exact: float | None) -> float | None:
    """`theirs` as JSON has it, NaN being null, once it agrees with exact arithmetic."""
    if np.isnan(theirs) and exact is None:
        return None
    if exact is None or not abs(theirs - exact) <= AGREEMENT * max(1.0, abs(exact)):
        raise AssertionError(f"`{name}`: {theirs!r}, in exact arithmetic {exact!r}")
    return float(theirs)


def classes(
    about: str, num_labels: int, predictions: Sequence[int], references: Sequence[int]
) -> dict[str, Any]:
    """A case of classification."""
    labels = list(range(num_labels))
    both = (references, predictions)
    options: dict[str, Any] = {"labels": labels, "average": None, "zero_division": 0}
    scores = sklearn.precision_recall_fscore_support(*both, **options)
    per_class = []
    for label, (precision, recall, f1, support) in enumerate(zip(*scores, strict=True)):
        stated = metrics.class_scores(predictions, references, label)
        theirs = {"precision": precision, "recall": recall, "f1": f1}
        per_class.append(
            {key: agreed(f"{about}: {key}", theirs[key], float(stated[key])) for key in theirs}
            | {"support": int(support)}
        )
        assert support == stated["support"]
    matrix = sklearn.confusion_matrix(*both, labels=labels).tolist()
    assert matrix == metrics.confusion_matrix(predictions, references, num_labels)
    pair = (predictions, references)
    expected = {
        "accuracy": agreed(about, sklearn.accuracy_score(*both), metrics.accuracy(*pair)),
        "f1_macro": agreed(
            about,
            sklearn.f1_score(*both, average="macro", zero_division=0),
            metrics.f1_macro(*pair),
        ),
        "matthews_correlation": agreed(
            about, sklearn.matthews_corrcoef(*both), metrics.matthews_correlation(*pair)
        ),
    }
    if num_labels == 2:
        binary = sklearn.f1_score(*both, zero_division=0)
        expected["f1"] = agreed(about, binary, float(metrics.class_scores(*pair, 1)["f1"]))
    return {
        "about": about,
        "num_labels": num_labels,
        "predictions": list(predictions),
        "references": list(references),
        "expected": expected,
        "confusion_matrix": matrix,
        "per_class": per_class,
    }


def values(
    about: str, predictions: Sequence[float], references: Sequence[float], exact: bool = False
) -> dict[str, Any]:
    """A case of regression, by SciPy or, with `exact`, by exact arithmetic alone."""
    pair = (predictions, references)
    pearson, spearman = metrics.pearson(*pair), metrics.spearman(*pair)
    error = metrics.mean_squared_error(*pair)
    if exact:
        assert not near(about, *pair), f"`{about}`: SciPy agrees, so let it speak"
    else:
        pearson = agreed(about, stats.pearsonr(*pair).statistic, pearson)
        spearman = agreed(about, stats.spearmanr(*pair).statistic, spearman)
        agreed(about, sklearn.mean_squared_error(references, predictions), error)
    return {
        "about": about,
        "predictions": list(predictions),
        "references": list(references),
        "expected": {"pearson": pearson, "spearman": spearman, "mse": error},
    }


def near(about: str, predictions: Sequence[float], references: Sequence[float]) -> bool:
    """Whether SciPy's Pearson correlation exists and agrees with exact arithmetic."""
    try:
        theirs = stats.pearsonr(predictions, references).statistic
        agreed(about, theirs, metrics.pearson(predictions, references))
    except (AssertionError, ValueError):
        return False
    return True


def scores(about: str, per_seed: Sequence[float]) -> dict[str, Any]:
    """A case of one score over several seeds."""
    centre, std = metrics.mean_and_std(per_seed)
    agreed(about, float(np.mean(per_seed)), centre)
    agreed(about, float(np.std(per_seed, ddof=1)), std)
    return {"about": about, "scores": list(per_seed), "mean": centre, "std": std}


def random_classes(source: random.Random) -> list[dict[str, Any]]:
    """Classifiers of every skill, with classes that are rare, and with ones that never occur."""
    cases = []
    for number in range(48):
        num_labels = 2 if number % 2 else source.randint(3, 12)
        weights = [source.random() ** 3 for _ in range(num_labels)]
        count = source.randint(2, 90)
        skill = source.random()
        references = source.choices(range(num_labels), weights, k=count)
        guesses = source.choices(range(num_labels), weights, k=count)
        chosen = zip(references, guesses, strict=True)
        predictions = [right if source.random() < skill else guess for right, guess in chosen]
        cases.append(classes(f"random {number}", num_labels, predictions, references))
    return cases


def random_values(source: random.Random) -> list[dict[str, Any]]:
    """Regressions of every skill: without ties, with a few, and with many on both sides."""
    rounding: list[Callable[[float], float]] = [
        float,
        lambda value: round(value, 1),
        lambda value: float(round(value)),
    ]
    cases = []
    for number in range(36):
        count = source.randint(3, 60)
        noise = source.choice((0.1, 1.0, 5.0))
        sign = source.choice((1, -1))
        rounded = rounding[number % 3]
        references = [rounded(source.uniform(0, 5)) for _ in range(count)]
        predictions = [rounded(sign * value + source.gauss(0, noise)) for value in references]
        cases.append(values(f"random {number}", predictions, references))
    return cases


def class_edges() -> list[dict[str, Any]]:
    """What formulas divide by zero at."""
    return [
        classes("one right answer of class 1", 2, [1], [1]),
        classes("one right answer of class 0: F1 of nothing", 2, [0], [0]),
        classes("one wrong answer", 2, [0], [1]),
        classes("all right", 2, [0, 1, 1, 0], [0, 1, 1, 0]),
        classes("all wrong", 2, [1, 0, 0, 1], [0, 1, 1, 0]),
        classes("class 1 never predicted", 2, [0, 0, 0, 0], [0, 1, 0, 1]),
        classes("class 1 never occurs", 2, [0, 1, 0, 1], [0, 0, 0, 0]),
        classes("only the majority predicted, of three", 3, [2] * 6, [0, 1, 2, 2, 2, 1]),
        classes("class 3 of five on neither side", 5, [0, 1, 2, 4, 4], [0, 2, 2, 4, 1]),
        classes("independent: no correlation", 2, [0, 1, 0, 1], [0, 0, 1, 1]),
        classes("the last of many classes", 40, [39, 0, 39], [39, 39, 1]),
        classes("one class alone in a thousand", 2, [0] * 999 + [1], [0] * 999 + [1]),
    ]


def value_edges(source: random.Random) -> list[dict[str, Any]]:
    """Constants, ties, and numbers that lose their digits."""
    line = [float(number) for number in range(10)]
    noise = [source.gauss(0, 1e-3) for _ in line]
    return [
        values("constant predictions", [2.5] * 4, [1.0, 2.0, 3.0, 4.0]),
        values("constant references", [1.0, 2.0, 3.0], [5.0] * 3),
        values("a constant that is no float", [0.1] * 3, [1.0, 2.0, 4.0]),
        values("two rising", [1.0, 2.0], [3.0, 7.5]),
        values("two falling", [1.0, 2.0], [3.0, 1.0]),
        values("a line", line, [3 * number - 7 for number in line]),
        values("a falling line", line, [-2 * number for number in line]),
        values("rising, bent", line, [2.0**number for number in line]),
        values("all tied but one", [1.0, 1.0, 1.0, 2.0], [3.0, 1.0, 2.0, 4.0]),
        values("two zeros", [0.0, -0.0, 1.0, -1.0], [1.0, 2.0, 3.0, 0.0]),
        values("an outlier", [*line, 1e6], [*reversed(line), 1e6]),
        values("tiny", [number * 1e-200 for number in line], [*line[5:], *line[:5]]),
        values("huge", [number * 1e150 for number in line], [*line[5:], *line[:5]]),
        values("close together, far out", [1e8 + value for value in noise], line, exact=True),
        values(
            "both far out",
            [1e9 + value for value in noise],
            [-1e9 - number * 1e-4 + value for number, value in zip(line, noise, strict=True)],
            exact=True,
        ),
        values("a single pair", [1.0], [2.0], exact=True),
    ]


def score_cases(source: random.Random) -> list[dict[str, Any]]:
    """Scores of runs."""
    cases = [
        scores("three seeds", [0.9128, 0.9071, 0.9174]),
        scores("equal", [0.1] * 3),
        scores("far out", [1e9 + 0.25, 1e9, 1e9 - 0.25]),
        scores("of both signs", [-0.02, 0.013, 0.0, 0.04]),
    ]
    for number in range(8):
        per_seed = [source.uniform(0.5, 0.6) for _ in range(source.randint(2, 12))]
        cases.append(scores(f"random {number}", per_seed))
    return cases


def main() -> None:
    """Write the file."""
    warnings.simplefilter("ignore")
    source = random.Random(1)
    save_json(
        TASKS_FIXTURES / "metrics.json",
        {
            "classes": class_edges() + random_classes(source),
            "values": value_edges(source) + random_values(source),
            "scores": score_cases(source),
        },
    )


if __name__ == "__main__":
    main()
