"""Write `crates/learner/tests/fixtures/`: schedules, AdamW and gradient clipping as torch has them.

Element `i` of every learning-rate list is the rate that optimizer step `i + 1` uses.
"""

import itertools
from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from fixture_file import LEARNER_FIXTURES, save_json, save_tensors

LIBRARIES = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
LEARNING_RATE = 1e-3
STEPS_PAST_THE_END = 3

ADAMW_STEPS = 20
ADAMW_SETTINGS = {"weight_decay": 0.01, "eps": 1e-6, "betas": (0.9, 0.999)}
ADAMW_SHAPES = {"weight": (3, 4), "bias": (5,), "kernel": (2, 1, 3)}
ADAMW_RECORDED = (1, 2, 20)


def lone_optimizer() -> Optimizer:
    """An AdamW over one parameter, for a schedule to drive."""
    return AdamW([torch.nn.Parameter(torch.zeros(1))], lr=LEARNING_RATE, betas=(0.9, 0.999))


def follow(optimizer: Optimizer, scheduler: LRScheduler, steps: int) -> dict[str, list[float]]:
    """Learning rate and first beta at each of `steps` optimizer steps."""
    rates, betas = [], []
    for step in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        betas.append(float(optimizer.param_groups[0]["betas"][0]))
        optimizer.step()
        if step + 1 < steps:
            scheduler.step()
    return {"learning_rate": rates, "beta_1": betas}


def one_cycle() -> dict[str, Any]:
    """OneCycleLR: both shapes, several warm-up fractions, with and without momentum cycling."""
    cases = []
    grid = itertools.product((50, 200), ("linear", "cos"), (0.1, 0.3))
    extra = [(50, "linear", 0.05), (50, "cos", 0.5)]
    for total_steps, strategy, pct_start in [*grid, *extra]:
        cases.append(one_cycle_case(total_steps, strategy, pct_start))
    cases.append(one_cycle_case(50, "linear", 0.1, cycle_momentum=False))
    cases.append(one_cycle_case(50, "cos", 0.3, div_factor=10.0, final_div_factor=100.0))
    return {"libraries": LIBRARIES, "cases": cases}


def one_cycle_case(
    total_steps: int,
    strategy: str,
    pct_start: float,
    cycle_momentum: bool = True,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> dict[str, Any]:
    """One OneCycleLR run over all its steps."""
    settings = {
        "total_steps": total_steps,
        "anneal_strategy": strategy,
        "pct_start": pct_start,
        "cycle_momentum": cycle_momentum,
        "div_factor": div_factor,
        "final_div_factor": final_div_factor,
        "base_momentum": 0.85,
        "max_momentum": 0.95,
    }
    optimizer = lone_optimizer()
    scheduler = OneCycleLR(optimizer, max_lr=LEARNING_RATE, **settings)
    return {"max_lr": LEARNING_RATE, **settings, **follow(optimizer, scheduler, total_steps)}


def warmup_schedule(
    build: Callable[..., LRScheduler], variants: list[dict[str, Any]]
) -> dict[str, Any]:
    """One of transformers' `get_*_schedule_with_warmup`, run a little past its end."""
    cases = []
    for settings in variants:
        optimizer = lone_optimizer()
        steps = settings.get("num_training_steps", 30) + STEPS_PAST_THE_END
        run = follow(optimizer, build(optimizer, **settings), steps)
        cases.append({"base_lr": LEARNING_RATE, **settings, "learning_rate": run["learning_rate"]})
    return {"libraries": LIBRARIES, "function": build.__name__, "cases": cases}


def steps_grid(**more: Any) -> list[dict[str, Any]]:
    """No warm-up, a short one, and one that leaves two steps."""
    pairs = ((0, 40), (7, 50), (10, 12))
    return [{"num_warmup_steps": w, "num_training_steps": t, **more} for w, t in pairs]


def adamw() -> None:
    """AdamW driven by a one-cycle schedule, in float64 and in float32."""
    generator = torch.Generator().manual_seed(7)
    initial, gradients = {}, {}
    for name, shape in ADAMW_SHAPES.items():
        initial[name] = torch.randn(shape, generator=generator)
        spread = torch.logspace(0, -7, initial[name].numel()).reshape(shape)
        gradients[name] = torch.randn((ADAMW_STEPS, *shape), generator=generator) * spread
    gradients["bias"][:, 0] = 0.0
    tensors = {f"initial.{name}": value for name, value in initial.items()}
    tensors |= {f"gradient.{name}": value for name, value in gradients.items()}
    for dtype in (torch.float64, torch.float32):
        tensors |= adamw_run(initial, gradients, dtype)
    metadata = {
        "libraries": LIBRARIES,
        "weight_decay": str(ADAMW_SETTINGS["weight_decay"]),
        "epsilon": str(ADAMW_SETTINGS["eps"]),
        "beta_2": str(ADAMW_SETTINGS["betas"][1]),
        "note": "gradient.* stacks the 20 steps; the bias correction of a step uses that step's "
        "own beta_1 to the power of the step count",
    }
    path = LEARNER_FIXTURES / "adamw.safetensors"
    save_tensors(path, tensors, metadata)
    print(f"{path.name:40} {path.stat().st_size / 1024:7.1f} KiB")


def adamw_run(
    initial: dict[str, torch.Tensor], gradients: dict[str, torch.Tensor], dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """Parameters and moments after the recorded steps, with the hyperparameters of every step."""
    # A copy even where the type is the same: the steps below write into it.
    parameters = {
        name: torch.nn.Parameter(value.to(dtype, copy=True)) for name, value in initial.items()
    }
    optimizer = AdamW(parameters.values(), lr=LEARNING_RATE, **ADAMW_SETTINGS)
    scheduler = OneCycleLR(optimizer, LEARNING_RATE, total_steps=ADAMW_STEPS, pct_start=0.3)
    label = str(dtype).removeprefix("torch.")
    recorded: dict[str, torch.Tensor] = {}
    rates, betas = [], []
    for step in range(1, ADAMW_STEPS + 1):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        betas.append(float(optimizer.param_groups[0]["betas"][0]))
        for name, parameter in parameters.items():
            parameter.grad = gradients[name][step - 1].to(dtype)
        optimizer.step()
        if step < ADAMW_STEPS:
            scheduler.step()
        if step in ADAMW_RECORDED:
            for name, parameter in parameters.items():
                state, prefix = optimizer.state[parameter], f"{label}.after_{step}"
                recorded[f"{prefix}.parameter.{name}"] = parameter.detach().clone()
                recorded[f"{prefix}.first_moment.{name}"] = state["exp_avg"].clone()
                recorded[f"{prefix}.second_moment.{name}"] = state["exp_avg_sq"].clone()
    recorded["learning_rate"] = torch.tensor(rates, dtype=torch.float64)
    recorded["beta_1"] = torch.tensor(betas, dtype=torch.float64)
    return recorded


def clip_grad_norm() -> dict[str, Any]:
    """Global-norm clipping of the same gradients: below, near and far above the limit."""
    generator = torch.Generator().manual_seed(11)
    gradients = [torch.randn(shape, generator=generator) for shape in ((4,), (2, 3), (1,))]
    norm = torch.cat([gradient.double().flatten() for gradient in gradients]).norm().item()
    cases = []
    for max_norm in (1e-3, 1.0, norm, 2 * norm):
        leaves = [torch.nn.Parameter(torch.zeros_like(g, dtype=torch.float64)) for g in gradients]
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient.double()
        total = torch.nn.utils.clip_grad_norm_(leaves, max_norm)
        clipped = [leaf.grad.flatten().tolist() for leaf in leaves]
        cases.append({"max_norm": max_norm, "total_norm": total.item(), "clipped": clipped})
    return {
        "libraries": LIBRARIES,
        "shapes": [list(gradient.shape) for gradient in gradients],
        "gradients": [gradient.double().flatten().tolist() for gradient in gradients],
        "cases": cases,
    }


def main() -> None:
    """Write every file."""
    schedules = {
        "linear": (transformers.get_linear_schedule_with_warmup, steps_grid()),
        "cosine": (
            transformers.get_cosine_schedule_with_warmup,
            [*steps_grid(num_cycles=0.5), *steps_grid(num_cycles=1.5)[1:2]],
        ),
        "polynomial": (
            transformers.get_polynomial_decay_schedule_with_warmup,
            [*steps_grid(lr_end=1e-7, power=1.0), *steps_grid(lr_end=1e-5, power=2.0)],
        ),
        "constant": (
            transformers.get_constant_schedule_with_warmup,
            [{"num_warmup_steps": 0}, {"num_warmup_steps": 7}],
        ),
    }
    save_json(LEARNER_FIXTURES / "one_cycle.json", one_cycle())
    for name, (build, variants) in schedules.items():
        content = warmup_schedule(build, variants)
        save_json(LEARNER_FIXTURES / f"{name}_schedule.json", content)
    save_json(LEARNER_FIXTURES / "clip_grad_norm.json", clip_grad_norm())
    adamw()


if __name__ == "__main__":
    main()
