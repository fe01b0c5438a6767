"""Losses of classes with weights and smoothed labels, as PyTorch computes them, with their gradients.

`torch.nn.functional.cross_entropy(weight=w, label_smoothing=e)` is, for a row with the probabilities
`p` of `C` classes and the label `y`,

    (1 - e) * w[y] * (-ln p[y]) + e / C * sum_c w[c] * (-ln p[c])

and its mean divides the sum over the rows by the sum of `w[y]`. Without weights that is what
transformers' `LabelSmoother` computes; both are compared here.
"""

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from transformers.trainer_pt_utils import LabelSmoother

from fixture_file import MODEL_FIXTURES, save_json

LIBRARIES = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
SHAPES = ((1, 2), (5, 3), (7, 9))
SMOOTHINGS = (0.0, 0.1, 0.5)


def random_logits(rows: int, classes: int, generator: torch.Generator) -> torch.Tensor:
    """Scores that are float32 numbers, a row of them far apart."""
    logits = 3 * torch.randn((rows, classes), generator=generator)
    logits[0] *= 10
    return logits.double()


def numbers(tensor: torch.Tensor) -> list[Any]:
    """Nested lists."""
    return tensor.detach().tolist()


def by_definition(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, smoothing: float
) -> float:
    """The mean, from the formula above in plain arithmetic."""
    total, weights = 0.0, 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        largest = max(row)
        log_sum = largest + math.log(sum(math.exp(score - largest) for score in row))
        of_all = sum(w * (log_sum - s) for w, s in zip(weight.tolist(), row, strict=True))
        of_label = weight[label].item() * (log_sum - row[label])
        total += (1 - smoothing) * of_label + smoothing / len(row) * of_all
        weights += weight[label].item()
    return total / weights


def class_case(
    rows: int, classes: int, smoothing: float, weighted: bool, generator: torch.Generator
) -> dict[str, Any]:
    """One class of several."""
    logits = random_logits(rows, classes, generator).requires_grad_()
    labels = torch.randint(0, classes, (rows,), generator=generator)
    drawn = (0.2 + 3 * torch.rand(classes, generator=generator)).double()
    weight = drawn if weighted else None
    settings = {"weight": weight, "label_smoothing": smoothing}
    losses = F.cross_entropy(logits, labels, reduction="none", **settings)
    mean = F.cross_entropy(logits, labels, reduction="mean", **settings)
    (gradient,) = torch.autograd.grad(mean, logits)
    ones = torch.ones(classes, dtype=torch.float64)
    defined = by_definition(logits, labels, ones if weight is None else weight, smoothing)
    assert abs(mean.item() - defined) < 1e-12 * max(1.0, defined)
    if weight is None:
        smoother = LabelSmoother(epsilon=smoothing)
        theirs = smoother({"logits": logits}, labels.clone())
        # It sums in float32.
        assert abs(mean.item() - theirs.item()) < 1e-6 * max(1.0, defined)
    return {
        "logits": numbers(logits),
        "labels": numbers(labels),
        "weight": None if weight is None else numbers(weight),
        "label_smoothing": smoothing,
        "losses": numbers(losses),
        "mean": mean.item(),
        "gradient": numbers(gradient),
    }


def label_case(rows: int, classes: int, generator: torch.Generator) -> dict[str, Any]:
    """Any number of classes a row, with `pos_weight`."""
    logits = random_logits(rows, classes, generator).requires_grad_()
    values = (torch.rand((rows, classes), generator=generator) < 0.4).double()
    weight = (0.2 + 5 * torch.rand(classes, generator=generator)).double()
    losses = F.binary_cross_entropy_with_logits(
        logits, values, pos_weight=weight, reduction="none"
    )
    mean = losses.mean()
    (gradient,) = torch.autograd.grad(mean, logits)
    return {
        "logits": numbers(logits),
        "values": numbers(values),
        "weight": numbers(weight),
        "losses": numbers(losses.flatten()),
        "mean": mean.item(),
        "gradient": numbers(gradient),
    }


def main() -> None:
    """Write the file."""
    generator = torch.Generator().manual_seed(23)
    grid = itertools.product(SHAPES, SMOOTHINGS, (False, True))
    classes = [class_case(*shape, e, weighted, generator) for shape, e, weighted in grid]
    labels = [label_case(*shape, generator) for shape in SHAPES]
    content = {"libraries": LIBRARIES, "classes": classes, "labels": labels}
    save_json(MODEL_FIXTURES / "class_losses.json", content)


if __name__ == "__main__":
    main()
