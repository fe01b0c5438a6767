"""Runs the program on folders, as the matrices do."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from fixture_file import save_tensors
from heads import INPUT_NAMES, Tensors

TIMEOUT_S = 60


class CommandError(Exception):
    """A command failed; the message is what it said."""


def run(program: Path, command: str, *arguments: str | Path) -> None:
    """Run one of our commands, `CommandError` with its last line on stderr unless it succeeds."""
    try:
        done = subprocess.run(
            [program, command, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"{command}: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["nothing on stderr"]
        raise CommandError(f"{command} exits {done.returncode}: {lines[-1]}")


def predict(program: Path, folder: Path, batch: Mapping[str, torch.Tensor]) -> Tensors:
    """What `predict features` computes for the inputs of `batch`."""
    given, answer = folder / "inputs.safetensors", folder / "outputs.safetensors"
    inputs = {name: batch[name] for name in INPUT_NAMES if name in batch}
    save_tensors(given, inputs, {})
    run(program, "predict", "features", "--model", folder, "--input", given, "--output", answer)
    return load_file(answer)


def worst_difference(
    expected: Mapping[str, torch.Tensor], got: Mapping[str, torch.Tensor]
) -> float:
    """Largest difference of any output, relative to that output's largest value.

    A missing output, another shape, or a value that is not finite counts as infinite.
    """
    worst = 0.0
    for name, reference in expected.items():
        value = got.get(name)
        if value is None or value.shape != reference.shape or not value.isfinite().all():
            return float("inf")
        difference = (value.double() - reference.double()).abs().max()
        worst = max(worst, (difference / reference.abs().max()).item())
    return worst
