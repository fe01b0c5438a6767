"""Prove that TensorBoard reads what a run has written for it.

    pip install -r requirements-tensorboard.txt
    python check_tensorboard.py RUN...

Reads RUN/tensorboard with the reader of the `tensorboard` package, and compares with RUN/metrics.jsonl and RUN/summary.json: the
same tags at the same steps, each once, with the same numbers as 32-bit floats; the text of the configuration; the hyperparameters.
Then the newest file is cut off in the middle of its last event, as a crash would do: all other events must be read. Prints one JSON
line of facts for each RUN. Exit status 1 and one line on stderr on failure.
"""

import argparse
import json
import math
import shutil
import struct
import sys
import tempfile
import tomllib
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import (
    SCALARS,
    TENSORS,
    EventAccumulator,
)
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

HPARAMS = "_hparams_/session_start_info"
SECTIONS = ["model", "optimizer", "schedule", "trainer"]
Points = dict[tuple[str, int], list[float]]


def as_float32(value: float | None) -> float:
    return math.nan if value is None else struct.unpack("<f", struct.pack("<f", value))[0]


def same(left: list[float], right: list[float]) -> bool:
    pairs = zip(left, right, strict=False)
    return len(left) == len(right) and all(a == b or a != a and b != b for a, b in pairs)


def expected_points(run: Path) -> Points:
    points: Points = {}
    last_step = 0
    for line in (run / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        split, step = record.pop("split"), record.pop("step")
        last_step = max(last_step, step)
        for name, value in record.items():
            if not isinstance(value, bool):
                points.setdefault((f"{split}/{name}", step), []).append(as_float32(value))
    summary = run / "summary.json"
    results = json.loads(summary.read_text()) if summary.is_file() else {}
    for split, record in results.get("verdict", {}).get("evaluations", {}).items():
        if split.startswith("test"):
            record.pop("step")
            for name, value in record.items():
                points[(f"{split}/{name}", last_step)] = [as_float32(value)]
    return points


def read(folder: Path) -> tuple[EventAccumulator, Points]:
    events = EventAccumulator(str(folder), size_guidance={SCALARS: 0, TENSORS: 0})
    events.Reload()
    points: Points = {}
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            points.setdefault((tag, event.step), []).append(event.value)
    return events, points


def check_hyperparameters(events: EventAccumulator, config: dict) -> int:
    content = events.SummaryMetadata(HPARAMS).plugin_data.content
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    expected = {
        f"{section}.{key}": value
        for section in SECTIONS
        for key, value in config[section].items()
        if isinstance(value, (bool, int, float, str))
    }
    expected["seed"] = config["seed"]
    assert set(found) == set(expected), set(found) ^ set(expected)
    for key, value in expected.items():
        kind = found[key].WhichOneof("kind")
        assert getattr(found[key], kind) == value, f"{key}: {found[key]} is not {value}"
    return len(found)


def check(run: Path) -> dict:
    folder = run / "tensorboard"
    files = sorted(folder.iterdir())
    assert files, f"{folder} is empty"
    expected = expected_points(run)
    events, found = read(folder)
    missing, beyond = set(expected) - set(found), set(found) - set(expected)
    assert not missing, f"TensorBoard lacks {sorted(missing)[:5]}"
    assert not beyond, f"TensorBoard has {sorted(beyond)[:5]}, which are in no record"
    for key, values in expected.items():
        assert same(values, found[key]), f"{key}: {found[key]} is not {values}"
    text = (run / "config.toml").read_text()
    shown = events.Tensors("config")[0].tensor_proto.string_val[0].decode()
    assert shown.removeprefix("```toml\n").removesuffix("```") == text, "another config.toml"
    hyperparameters = check_hyperparameters(events, tomllib.loads(text))

    with tempfile.TemporaryDirectory() as scratch:
        cut = Path(scratch) / files[-1].name
        shutil.copyfile(files[-1], cut)
        whole = len(list(LegacyEventFileLoader(str(cut)).Load()))
        cut.write_bytes(files[-1].read_bytes()[:-5])
        left = len(list(LegacyEventFileLoader(str(cut)).Load()))
        assert left == whole - 1, f"{left} of {whole} events are read of a file that was cut off"
    return {
        "run": run.name,
        "files": len(files),
        "tags": len({tag for tag, _ in found}),
        "points": len(found),
        "hyperparameters": hyperparameters,
        "texts": [tag for tag in events.Tags()["tensors"] if not tag.startswith("_")],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    for run in parser.parse_args().runs:
        try:
            print(json.dumps(check(run)))
        except AssertionError as error:
            print(f"{run}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
