"""How far a student is from its teacher, as PyTorch computes it in float64, with the gradients.

    python generate_distillation_fixtures.py      # into crates/learner/tests/fixtures/distillation.json

- `error_over_variance`: of each vector the mean of its squared errors over the biased variance of the
  teacher's numbers.
- `cosine_distance`: `1 - torch.nn.functional.cosine_similarity`.
- `divergence`: `torch.nn.functional.kl_div` of the student's log-probabilities from the teacher's.

Gradients are of the sum of the losses, each times the place of its row (1, 2, ...), so that no two
rows weigh the same.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from fixture_file import LEARNER_FIXTURES, save_json

SHAPES = ((1, 3), (4, 7), (6, 16))
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def error_over_variance(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """One number for each row."""
    error = F.mse_loss(student, teacher, reduction="none").mean(1)
    return error / torch.var(teacher, dim=1, correction=0)


def cosine_distance(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """One number for each row."""
    return 1 - F.cosine_similarity(student, teacher, dim=1)


def divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """One number for each row."""
    logs = [F.log_softmax(scores, dim=1) for scores in (student, teacher)]
    return F.kl_div(logs[0], logs[1], reduction="none", log_target=True).sum(1)


def case(loss: Loss, rows: int, width: int, generator: torch.Generator) -> dict[str, Any]:
    """A student and a teacher of float32 numbers."""
    teacher = 2 * torch.randn((rows, width), generator=generator) + 0.5
    student = teacher + 0.5 * torch.randn((rows, width), generator=generator)
    student = student.double().requires_grad_()
    losses = loss(student, teacher.double())
    (losses * torch.arange(1, rows + 1)).sum().backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    return {
        "student": student.tolist(),
        "teacher": teacher.double().tolist(),
        "losses": losses.tolist(),
        "gradient": student.grad.tolist(),
    }


def main() -> None:
    """Write the fixture."""
    generator = torch.Generator().manual_seed(23)
    losses: dict[str, Loss] = {
        "error_over_variance": error_over_variance,
        "cosine_distance": cosine_distance,
        "divergence": divergence,
    }
    cases = {
        name: [case(loss, rows, width, generator) for rows, width in SHAPES]
        for name, loss in losses.items()
    }
    facts = {"libraries": f"torch {torch.__version__.split('+')[0]}"}
    save_json(LEARNER_FIXTURES / "distillation.json", {**facts, **cases})


if __name__ == "__main__":
    main()
