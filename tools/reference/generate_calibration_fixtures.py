"""Write `crates/tasks/tests/fixtures/calibration.json`: expected calibration errors, by the formula of Guo et al. 2017.

Their code (`temperature_scaling`) puts a confidence in the bin `lower < confidence <= upper` of fifteen
equal ones. It is stated here twice: bin by bin in NumPy as they do, and from sums of exact fractions.
"""

import random
from fractions import Fraction
from typing import Any

import numpy as np

from fixture_file import TASKS_FIXTURES, save_json

BINS = 15
EDGES = [number / BINS for number in range(BINS + 1)]


def as_published(confidences: list[float], right: list[bool]) -> float:
    """Means of each bin, weighted by its share."""
    confidence, accuracy = np.array(confidences), np.array(right, dtype=float)
    error = 0.0
    for lower, upper in zip(EDGES[:-1], EDGES[1:], strict=True):
        inside = (confidence > lower) & (confidence <= upper)
        if inside.any():
            gap = abs(confidence[inside].mean() - accuracy[inside].mean())
            error += gap * inside.mean()
    return float(error)


def exact(confidences: list[float], right: list[bool]) -> float:
    """The same of rational numbers."""
    total = Fraction(0)
    for lower, upper in zip(EDGES[:-1], EDGES[1:], strict=True):
        inside = [i for i, c in enumerate(confidences) if lower < c <= upper]
        gaps = [Fraction(confidences[i]) - right[i] for i in inside]
        total += abs(sum(gaps, Fraction(0)))
    return float(total / len(confidences))


def case(about: str, confidences: list[float], right: list[bool]) -> dict[str, Any]:
    """A case on whose error both agree."""
    error = exact(confidences, right)
    assert abs(error - as_published(confidences, right)) < 1e-12
    return {"about": about, "confidences": confidences, "right": right, "error": error}


def main() -> None:
    """Write the file."""
    source = random.Random(5)
    cases = [
        case("one answer", [0.7], [True]),
        case("upper edges belong to their bin", EDGES[1:], [False] * BINS),
        case("just above the edges", [float(np.nextafter(e, 2)) for e in EDGES[1:-1]], [True] * 14),
        case("all sure, all right", [1.0] * 5, [True] * 5),
        case("all sure, all wrong", [1.0] * 5, [False] * 5),
    ]
    for number in range(12):
        count, power = source.randint(1, 120), source.choice((0.3, 1.0, 3.0))
        confidences = [source.random() ** power or 1.0 for _ in range(count)]
        right = [source.random() < c * source.uniform(0.5, 1.2) for c in confidences]
        cases.append(case(f"random {number}", confidences, right))
    save_json(TASKS_FIXTURES / "calibration.json", {"bins": BINS, "cases": cases})


if __name__ == "__main__":
    main()
