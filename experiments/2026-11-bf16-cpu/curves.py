"""Loss curves in half precision beside those in f32: `python3 curves.py RUNS >losses.csv`.

RUNS has a run `PRECISION-SEED` for each precision and seed. The table of differences goes to stderr,
every step's loss to stdout.
"""

import json
import sys
from pathlib import Path

SEEDS = range(3)
KINDS = ["f32", "bf16", "f16", "f32_halved"]
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


def main() -> None:
    runs = Path(sys.argv[1])
    curves = {(kind, seed): losses(runs / f"{kind}-{seed}") for kind in KINDS for seed in SEEDS}
    names = [f"{kind}-{seed}" for kind, seed in curves]
    print(",".join(["step", *names]))
    for step, row in enumerate(zip(*curves.values(), strict=True), 1):
        print(",".join([str(step), *(f"{loss:.6f}" for loss in row)]))
    print("| | seed | largest | mean | smoothed: largest | mean | first step beyond 1e-3 |", file=sys.stderr)
    print("|---|---|---|---|---|---|---|", file=sys.stderr)
    pairs = [((kind, seed), ("f32", seed)) for kind in KINDS[1:] for seed in SEEDS]
    pairs += [(("f32", seed + 1), ("f32", seed)) for seed in SEEDS[:-1]]
    for (kind, seed), base in pairs:
        curve, other = curves[kind, seed], curves[base]
        step = first_beyond(curve, other, 1e-3)
        numbers = [*distance(curve, other), *distance(smoothed(curve), smoothed(other))]
        cells = [f"{kind}-{seed} beside {base[0]}-{base[1]}", str(seed), *(f"{100 * number:.3f} %" for number in numbers), str(step)]
        print(f"| {' | '.join(cells)} |", file=sys.stderr)


if __name__ == "__main__":
    main()
