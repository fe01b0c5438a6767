"""Loss curves in half precision beside those in f32: `python3 curves.py RUNS >losses.csv`.

RUNS has a run `PRECISION[-RATE]-SEED` for each precision, learning rate and seed. Tables of differences and of held-out losses go to
stderr, every step's loss to stdout.
"""

import json
import sys
from pathlib import Path

SEEDS = range(3)
KINDS = ["f32", "bf16", "f16", "f32_halved"]
RATES = ["", "-1e-4"]  # the quickstart's own, 1.5e-3, and that of configs/mlm512.toml
WIDTH = 25  # steps on either side that the smoothed curve averages


def losses(run: Path) -> list[float]:
    """The training loss of each step."""
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if record["split"] == "train"]


def smoothed(curve: list[float]) -> list[float]:
    """Means over so many steps on either side, fewer at the ends."""
    windows = [curve[max(0, step - WIDTH) : step + WIDTH + 1] for step in range(len(curve))]
    return [sum(window) / len(window) for window in windows]


def distance(curve: list[float], other: list[float]) -> tuple[float, float]:
    """The largest and the mean relative difference."""
    all_steps = [abs(value / base - 1) for value, base in zip(curve, other, strict=True)]
    return max(all_steps), sum(all_steps) / len(all_steps)


def first_beyond(curve: list[float], other: list[float], share: float) -> int | None:
    """The first step, from 1, that differs by more than this."""
    pairs = enumerate(zip(curve, other, strict=True), 1)
    return next((step for step, (value, base) in pairs if abs(value / base - 1) > share), None)


def say(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", file=sys.stderr)


def main() -> None:
    runs = Path(sys.argv[1])
    names = [f"{kind}{rate}" for rate in RATES for kind in KINDS]
    curves = {(name, seed): losses(runs / f"{name}-{seed}") for name in names for seed in SEEDS}
    print(",".join(["step", *(f"{name}-{seed}" for name, seed in curves)]))
    for step, row in enumerate(zip(*curves.values(), strict=True), 1):
        print(",".join([str(step), *(f"{loss:.6f}" for loss in row)]))

    for rate in RATES:
        say("", "seed", "largest", "mean", "smoothed: largest", "mean", "first step beyond 1e-3")
        pairs = [((f"{kind}{rate}", seed), (f"f32{rate}", seed)) for kind in KINDS[1:] for seed in SEEDS]
        pairs += [((f"f32{rate}", seed + 1), (f"f32{rate}", seed)) for seed in SEEDS[:-1]]
        for run, base in pairs:
            curve, other = curves[run], curves[base]
            numbers = [*distance(curve, other), *distance(smoothed(curve), smoothed(other))]
            shares = [f"{100 * number:.4f} %" for number in numbers]
            say(f"{run[0]} beside {base[0]}-{base[1]}", run[1], *shares, first_beyond(curve, other, 1e-3))

    say("held-out loss, skipped steps", *SEEDS)
    for name in names:
        summaries = [json.loads((runs / f"{name}-{seed}" / "summary.json").read_text()) for seed in SEEDS]
        say(name, *(f"{of['final_evaluation']['loss']:.4f}, {of['skipped_steps']}" for of in summaries))


if __name__ == "__main__":
    main()
