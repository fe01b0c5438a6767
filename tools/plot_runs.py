#!/usr/bin/env python3
"""Plot metrics of training runs as one SVG: losses on the left, a metric of validation on the right.

    python3 tools/plot_runs.py [--metric NAME] OUT.svg LABEL=RUN_OR_METRICS [LABEL=RUN_OR_METRICS ...]

The metric is the first of accuracy, f1, pearson, spearman, matthews_correlation that all runs have measured, or the one
that is named; runs that measure nothing but the loss have no right side. Needs nothing but Python. Training losses are
drawn as means over windows of 25 steps, of which a step that was skipped is no part.
"""

import json
import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

COLOURS = ["#1b6ca8", "#c8553d", "#3a7d44", "#7a4fa3", "#b8860b", "#5f6b6d"]
WIDTH, HEIGHT, MARGIN, GAP = 960, 360, 52, 60
WINDOW = 25

# What is plotted if nothing is named, the likeliest first.
METRICS = ["accuracy", "f1", "pearson", "spearman", "matthews_correlation"]

Points = list[tuple[float, float]]


class Run:
    """Windowed training losses, validation losses, and the metrics of validation by name."""

    def __init__(self, label: str, path: Path):
        self.label = label
        self.train: Points = []
        self.losses: Points = []
        self.metrics: dict[str, Points] = {}
        window: list[float] = []
        file = path / "metrics.jsonl" if path.is_dir() else path
        for line in file.read_text().splitlines():
            record = json.loads(line)
            step = record.pop("step")
            if record.pop("split") == "train":
                window += [record["loss"]] if is_number(record["loss"]) else []
                if len(window) == WINDOW:
                    self.train.append((step, sum(window) / WINDOW))
                    window.clear()
                continue
            for name, value in record.items():
                if is_number(value):
                    points = self.losses if name == "loss" else self.metrics.setdefault(name, [])
                    points.append((step, value))


def is_number(value: object) -> bool:
    """Whether a metric was measured: what is undefined is null, or no number at all."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def shared_metric(runs: list[Run], named: str | None) -> str | None:
    """The metric to plot: the one that is named, or the likeliest that every run has; `None` if there is none."""
    if named is not None:
        for run in runs:
            if named not in run.metrics:
                known = ", ".join(sorted(run.metrics)) or "none"
                sys.exit(f"`{run.label}` has no metric `{named}` of validation; it has: {known}")
        return named
    names = METRICS + sorted({name for run in runs for name in run.metrics})
    return next((name for name in names if all(name in run.metrics for run in runs)), None)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from `low` to `high`."""
    span = (high - low) / count
    power = 10.0 ** len(str(int(span))) / 10 if span >= 1 else 10.0 ** -len(f"{1 / span:.0f}")
    step = next(power * k for k in (1, 2, 5, 10, 20, 50, 100) if power * k >= span)
    first = -(-low // step)
    return [round((first + i) * step, 10) for i in range(count + 2) if (first + i) * step <= high]


class Panel:
    """One pair of axes."""

    def __init__(self, left: float, title: str, curves: list[Points]):
        points = [point for curve in curves for point in curve]
        self.left, self.title = left, title
        self.width = (WIDTH - 2 * MARGIN - GAP) / 2
        self.x_max = max(x for x, _ in points)
        self.y_min, self.y_max = min(y for _, y in points), max(y for _, y in points)
        if self.y_min == self.y_max:  # one point, or a constant: it lies in the middle
            half = abs(self.y_min) / 2 or 0.5
            self.y_min, self.y_max = self.y_min - half, self.y_max + half

    def at(self, x: float, y: float) -> tuple[float, float]:
        height = HEIGHT - 2 * MARGIN
        share = (y - self.y_min) / ((self.y_max - self.y_min) or 1)
        return self.left + self.width * x / self.x_max, HEIGHT - MARGIN - height * share

    def axes(self) -> list[str]:
        out = [f'<text x="{self.left}" y="{MARGIN - 16}" font-weight="bold">{self.title}</text>']
        for y in ticks(self.y_min, self.y_max):
            _, py = self.at(0, y)
            out.append(
                f'<line x1="{self.left}" x2="{self.left + self.width}" y1="{py:.1f}" y2="{py:.1f}" stroke="#ddd"/>'
                f'<text x="{self.left - 6}" y="{py + 4:.1f}" text-anchor="end">{y:g}</text>'
            )
        for x in ticks(0, self.x_max):
            px, _ = self.at(x, self.y_min)
            out.append(f'<text x="{px:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{x:g}</text>')
        out.append(
            f'<text x="{self.left + self.width / 2}" y="{HEIGHT - 12}" text-anchor="middle">optimizer steps</text>'
        )
        return out

    def curve(self, points: Points, colour: str, dashed: bool = False) -> str:
        path = " ".join("{:.1f},{:.1f}".format(*self.at(x, y)) for x, y in points)
        style = ' stroke-dasharray="5 3"' if dashed else ""
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{style}/>'


def main() -> None:
    arguments = sys.argv[1:]
    named = None
    if arguments[:1] == ["--metric"] and len(arguments) > 1:
        named = arguments[1]
        arguments = arguments[2:]
    if len(arguments) < 2 or any("=" not in argument for argument in arguments[1:]):
        sys.exit(__doc__)
    runs = [Run(label, Path(path)) for label, path in (argument.split("=", 1) for argument in arguments[1:])]
    metric = shared_metric(runs, named)
    if not any(run.train or run.losses for run in runs):
        sys.exit(f"nothing to plot: no run has {WINDOW} steps or an evaluation yet")
    loss = Panel(MARGIN, "loss: training, validation dashed", [c for run in runs for c in (run.train, run.losses)])
    right = MARGIN + loss.width + GAP
    panel = Panel(right, f"{metric} on validation", [run.metrics[metric] for run in runs]) if metric else None
    body = loss.axes() + (panel.axes() if panel else [])
    for index, run in enumerate(runs):
        colour = COLOURS[index % len(COLOURS)]
        body.append(loss.curve(run.train, colour))
        body.append(loss.curve(run.losses, colour, dashed=True))
        if panel:
            body.append(panel.curve(run.metrics[metric], colour))
        x, y = right + loss.width - 120, HEIGHT - MARGIN - 12 - 18 * (len(runs) - 1 - index)
        body.append(f'<rect x="{x}" y="{y - 9}" width="12" height="3" fill="{colour}"/>')
        body.append(f'<text x="{x + 18}" y="{y - 4}">{escape(run.label)}</text>')
    Path(arguments[0]).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{"".join(body)}</svg>\n'
    )


if __name__ == "__main__":
    main()
