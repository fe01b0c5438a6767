"""The metrics in exact arithmetic, from their definitions.

Nothing is rounded but the result, so what these say is right to the last digit or two of a float,
also where scikit-learn and SciPy lose some.
"""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

DIGITS = 60
Classes = Sequence[int]
Values = Sequence[float]


def square_root(number: Fraction) -> Decimal:
    """The root of a rational number to `DIGITS` digits."""
    with localcontext() as context:
        context.prec = DIGITS
        return (Decimal(number.numerator) / Decimal(number.denominator)).sqrt()


def quotient(numerator: Fraction, denominator: Decimal) -> float:
    """A rational number divided by a root."""
    with localcontext() as context:
        context.prec = DIGITS
        exact = Decimal(numerator.numerator) / Decimal(numerator.denominator)
        return float(exact / denominator)


def confusion_matrix(predictions: Classes, references: Classes, labels: int) -> list[list[int]]:
    """`matrix[reference][prediction]`."""
    pairs = list(zip(references, predictions, strict=True))
    return [[pairs.count((reference, p)) for p in range(labels)] for reference in range(labels)]


def accuracy(predictions: Classes, references: Classes) -> float:
    """The share of right answers."""
    right = sum(p == r for p, r in zip(predictions, references, strict=True))
    return float(Fraction(right, len(references)))


def class_scores(
    predictions: Classes, references: Classes, label: int
) -> dict[str, Fraction | int]:
    """Precision, recall, F1 and support of one class; zero where a denominator is."""
    both = sum(p == r == label for p, r in zip(predictions, references, strict=True))
    predicted, support = list(predictions).count(label), list(references).count(label)

    def share(part: int, whole: int) -> Fraction:
        return Fraction(part, whole) if whole else Fraction(0)

    return {
        "precision": share(both, predicted),
        "recall": share(both, support),
        "f1": share(2 * both, predicted + support),
        "support": support,
    }


def f1_macro(predictions: Classes, references: Classes) -> float:
    """The mean of F1 over the classes that occur on either side."""
    present = sorted({*predictions, *references})
    scores = [Fraction(class_scores(predictions, references, label)["f1"]) for label in present]
    return float(sum(scores, Fraction(0)) / len(scores))


def matthews_correlation(predictions: Classes, references: Classes) -> float:
    """Pearson's correlation of one-hot vectors, their covariances summed over the classes."""
    count = len(references)

    def covariance(left: Classes, right: Classes) -> Fraction:
        total = Fraction(0)
        for label in sorted({*left, *right}):
            hits = sum(a == b == label for a, b in zip(left, right, strict=True))
            expected = Fraction(list(left).count(label) * list(right).count(label), count)
            total += hits - expected
        return total

    spread = covariance(predictions, predictions) * covariance(references, references)
    if spread == 0:
        return 0.0
    return quotient(covariance(predictions, references), square_root(spread))


def mean(values: Sequence[Fraction]) -> Fraction:
    """The arithmetic mean."""
    return sum(values, Fraction(0)) / len(values)


def exact(values: Values) -> list[Fraction]:
    """Floats as the rational numbers they are."""
    return [Fraction(value) for value in values]


def pearson(left: Values, right: Values) -> float | None:
    """Linear correlation; None where a side is constant."""
    return correlation(exact(left), exact(right))


def correlation(left: Sequence[Fraction], right: Sequence[Fraction]) -> float | None:
    """Linear correlation of rational numbers; None where a side is constant."""
    left_mean, right_mean = mean(left), mean(right)
    of_left = sum((x - left_mean) ** 2 for x in left)
    of_right = sum((y - right_mean) ** 2 for y in right)
    if of_left == 0 or of_right == 0:
        return None
    pairs = zip(left, right, strict=True)
    covariance = sum(((x - left_mean) * (y - right_mean) for x, y in pairs), Fraction(0))
    return quotient(covariance, square_root(Fraction(of_left * of_right)))


def ranks(values: Values) -> list[Fraction]:
    """One more than the smaller numbers, and half of the other equal ones."""
    return [
        1 + sum(other < value for other in values) + Fraction(list(values).count(value) - 1, 2)
        for value in values
    ]


def spearman(left: Values, right: Values) -> float | None:
    """Correlation of ranks; None where a side is constant."""
    return correlation(ranks(left), ranks(right))


def mean_squared_error(predictions: Values, references: Values) -> float:
    """The mean of squared differences."""
    pairs = zip(exact(predictions), exact(references), strict=True)
    return float(mean([(prediction - reference) ** 2 for prediction, reference in pairs]))


def mean_and_std(values: Values) -> tuple[float, float | None]:
    """The mean, and the standard deviation of a sample; None of a single value."""
    numbers = exact(values)
    centre = mean(numbers)
    if len(numbers) == 1:
        return float(centre), None
    variance = sum((x - centre) ** 2 for x in numbers) / Fraction(len(numbers) - 1)
    return float(centre), float(square_root(Fraction(variance)))
