#!/usr/bin/env python3
"""Plot metrics of training runs as one SVG: losses on the left, validation accuracy on the right.

    python3 tools/plot_runs.py OUT.svg LABEL=RUN_OR_METRICS [LABEL=RUN_OR_METRICS ...]

Needs nothing but Python. Training losses are drawn as means over windows of 25 steps.
"""

import json
import sys
from pathlib import Path
from xml.sax.saxutils import escape

COLOURS = ["#1b6ca8", "#c8553d", "#3a7d44", "#7a4fa3", "#b8860b", "#5f6b6d"]
WIDTH, HEIGHT, MARGIN, GAP = 960, 360, 52, 60
WINDOW = 25

Points = list[tuple[float, float]]


def read(path: Path) -> tuple[Points, Points, Points]:
    """Windowed training losses, validation losses and validation accuracies of one run."""
    file = path / "metrics.jsonl" if path.is_dir() else path
    train: Points = []
    losses: Points = []
    accuracies: Points = []
    window: list[float] = []
    for line in file.read_text().splitlines():
        record = json.loads(line)
        if record["split"] == "train":
            window.append(record["loss"])
            if len(window) == WINDOW:
                train.append((record["step"], sum(window) / WINDOW))
                window.clear()
        else:
            losses.append((record["step"], record["loss"]))
            accuracies.append((record["step"], record["accuracy"]))
    return train, losses, accuracies


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
    if len(sys.argv) < 3 or any("=" not in argument for argument in sys.argv[2:]):
        sys.exit(__doc__)
    runs = [argument.split("=", 1) for argument in sys.argv[2:]]
    data = [(label, *read(Path(path))) for label, path in runs]
    loss = Panel(MARGIN, "loss (nats): training, validation dashed", [c for d in data for c in (d[1], d[2])])
    accuracy = Panel(MARGIN + loss.width + GAP, "accuracy on validation", [d[3] for d in data])
    body = loss.axes() + accuracy.axes()
    for index, (label, train, losses, accuracies) in enumerate(data):
        colour = COLOURS[index % len(COLOURS)]
        body.append(loss.curve(train, colour))
        body.append(loss.curve(losses, colour, dashed=True))
        body.append(accuracy.curve(accuracies, colour))
        x, y = accuracy.left + accuracy.width - 120, HEIGHT - MARGIN - 12 - 18 * (len(data) - 1 - index)
        body.append(f'<rect x="{x}" y="{y - 9}" width="12" height="3" fill="{colour}"/>')
        body.append(f'<text x="{x + 18}" y="{y - 4}">{escape(label)}</text>')
    Path(sys.argv[1]).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{"".join(body)}</svg>\n'
    )


if __name__ == "__main__":
    main()
