#!/usr/bin/env python3
"""What `gpu.sh` measures: self-checks, losses side by side, steps beside PyTorch; see there.

Every measurement is a process of its own, and is ended with all its children when its time is over. Results are JSON lines:

    {"what": "machine", …}
    {"what": "self_check", "device": "cuda", "config": …, "largest_difference": …}
    {"what": "losses", "run": "ner", "device": "cuda", "precision": "f32", "beside": "PyTorch", "largest_difference": …, "losses": […], "expected": […]}
    {"what": "step", "peer": "nystromformer-cuda", …}      the keys of `bench step` and of torch_step.py

A line with `failed`, `refused` or `not_reached` says why there is nothing else in it.
"""

import argparse
import datetime
import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workloads import WORKLOADS

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
FIRST_STEPS = REPOSITORY / "crates/learner/tests/fixtures/first_steps"
"""A task, a model, and the losses of PyTorch's first steps on it (tools/reference/generate_first_steps.py)."""

TELLING_FIRST = [
    "mlm-base-512", "mlm-base-4096", "lra-4096", "mlm-small-512", "infer-base-512", "lra-2048",
    "infer-base-4096", "glue-128-padded", "imdb-512-padded", "lra-2048-padded",
]
COMPILED = TELLING_FIRST[:2]
"""The peer is compiled for these alone: compiling takes most of a minute."""
LOSSES = 30
WARM_UP = 5
TOLERANCE = {"f32": 1e-3, "bf16": 2e-2}
"""How far a loss may be from the one beside it, as a share of it."""
USAGE, DEVICE = 2, 6
"""Exit codes of this program that refuse: what was asked for, or the device."""

Line = dict[str, object]


@dataclass
class Outcome:
    """What became of a process."""

    code: int | None
    """`None` if its time was over."""
    output: str
    errors: str

    @property
    def reason(self) -> str:
        """The last thing it said."""
        lines = [line for line in self.errors.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "no reason given"


class Measurements:
    """The lines, as they come; and how much time is left."""

    def __init__(self, output: Path, limit: float, total: float) -> None:
        self.lines: list[Line] = []
        self.faults: list[str] = []
        self.limit = limit
        self.end = time.monotonic() + total
        output.parent.mkdir(parents=True, exist_ok=True)
        self.file = output.open("w")

    def keep(self, line: Line) -> None:
        """Writes a line, and tells of it."""
        self.lines.append(line)
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        shown = {key: value for key, value in line.items() if not isinstance(value, list)}
        print(json.dumps(shown), file=sys.stderr, flush=True)

    def fault(self, line: Line, reason: str) -> None:
        """A line of what should have been otherwise."""
        self.faults.append(reason)
        self.keep(line)

    def has_time(self) -> bool:
        """Whether there is time to begin something."""
        return self.end - time.monotonic() > 5

    def run(self, command: list[str]) -> Outcome:
        """Runs a process, and ends it with its children when its time is over."""
        limit = min(self.limit, self.end - time.monotonic())
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                command, stdout=output, stderr=errors, cwd=REPOSITORY, start_new_session=True
            )
            try:
                code = process.wait(max(limit, 1))
            except subprocess.TimeoutExpired:
                code = None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            output.seek(0)
            errors.seek(0)
            return Outcome(code, output.read(), errors.read())

    def measure(self, line: Line, command: list[str]) -> Outcome | None:
        """The outcome of a command that ends well; otherwise keeps `line` with what became of it."""
        name = " ".join(str(value) for value in line.values())
        if not self.has_time():
            self.keep(line | {"not_reached": "the time of all measurements was over"})
            return None
        outcome = self.run(command)
        if outcome.code is None:
            self.keep(line | {"failed": "its time was over"})
        elif outcome.code == USAGE or outcome.code == DEVICE and line.get("precision", "f32") != "f32":
            self.keep(line | {"refused": outcome.reason})
        elif outcome.code != 0:
            line |= {"failed": f"exit code {outcome.code}: {outcome.reason}"}
            self.fault(line, f"{name}: {outcome.reason}")
        else:
            return outcome
        return None


def machine(arguments: argparse.Namespace) -> Line:
    """What the figures depend on."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    gpus: list[str] = []
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        gpus = subprocess.run(query, capture_output=True, text=True).stdout.strip().splitlines()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, capture_output=True, text=True
    )
    return {
        "what": "machine",
        "gpus": gpus,
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "devices": arguments.devices,
        "commit": commit.stdout.strip() or None,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def self_check(measurements: Measurements, arguments: argparse.Namespace, device: str) -> None:
    """A device beside the CPU, in the widths and length of a configuration: a dry run begins with it."""
    line: Line = {"what": "self_check", "device": device, "config": arguments.self_check}
    sets = {"device": device, "data.corpus": "sample", "trainer.batch_size": 1}
    command = [arguments.program, "train", arguments.self_check, "--dry-run", *assignments(sets)]
    if outcome := measurements.measure(line, command):
        plain = re.sub(r"\x1b\[[0-9;]*m", "", outcome.errors)
        found = re.search(r"largest_difference=(\S+)", plain)
        if found is None:
            measurements.fault(line | {"failed": "it was not told of"}, f"{device}: no self-check")
        else:
            measurements.keep(line | {"largest_difference": float(found[1])})


def assignments(values: dict[str, object]) -> list[str]:
    """`--set` for each key."""
    return [part for key, value in values.items() for part in ("--set", f"{key}={value}")]


def runs(folder: Path) -> dict[str, tuple[Path, dict[str, object], list[float] | None]]:
    """Small trainings: a configuration, what is set in it, and PyTorch's losses where there are some."""
    data = folder / "ner"
    data.mkdir()
    for split in ("train", "validation"):
        shutil.copy(FIRST_STEPS / "ner/train.jsonl", data / f"{split}.jsonl")
    config = folder / "ner.toml"
    # As crates/learner/tests/suite/first_steps.rs has it; the schedule is that of fifty steps.
    config.write_text(
        f"""[model]
init_from = "{FIRST_STEPS / "ner"}"
semantics = "hf"
[tokenizer]
path = "{FIRST_STEPS}"
[task]
name = "ner"
path = "{data}"
[data]
seq_len = 32
shuffle = false
[optimizer]
learning_rate = 5e-4
epsilon = 1e-8
weight_decay = 0.01
no_decay_on_bias_and_norm = true
[schedule]
kind = "linear"
[trainer]
max_steps = 50
batch_size = 4
micro_batch_size = 4
max_grad_norm = 1.0
eval_every = 50
checkpoint_every = 50
"""
    )
    expected = json.loads((FIRST_STEPS / "losses.json").read_text())["ner"]
    mlm = REPOSITORY / "configs/tiny/mlm.toml"
    return {"ner": (config, {}, expected), "mlm": (mlm, {"trainer.max_steps": LOSSES}, None)}


def losses(measurements: Measurements, arguments: argparse.Namespace, folder: Path) -> None:
    """The first losses of small trainings on each device, beside the CPU's and PyTorch's."""
    for run, (config, sets, of_torch) in runs(folder).items():

        def train(device: str, precision: str) -> list[float] | None:
            line: Line = {"what": "losses", "run": run, "device": device, "precision": precision}
            directory = folder / f"{run}-{len(list(folder.iterdir()))}"
            here = sets | {"device": device, "trainer.precision": precision}
            command = [arguments.program, "train", str(config), "--run-dir", str(directory)]
            if measurements.measure(line, command + assignments(here)) is None:
                return None
            records = (directory / "metrics.jsonl").read_text().splitlines()
            steps = [record for record in map(json.loads, records) if record["split"] == "train"]
            # What is no number is `null` in the file.
            return [math.nan if (loss := step["loss"]) is None else loss for step in steps][:LOSSES]

        of_cpu = train("flex", "f32")
        beside = {"the CPU": of_cpu, "PyTorch": of_torch}
        if of_cpu and of_torch:
            compare(measurements, run, "flex", "f32", of_cpu, "PyTorch", of_torch)
        for device in arguments.devices:
            for precision in arguments.precisions:
                found = train(device, precision)
                for name, expected in beside.items():
                    if found and expected:
                        compare(measurements, run, device, precision, found, name, expected)


def compare(
    measurements: Measurements,
    run: str,
    device: str,
    precision: str,
    found: list[float],
    beside: str,
    expected: list[float],
) -> None:
    """Keeps a line of two lists of losses."""
    expected = expected[: len(found)]
    shares = [abs(a - b) / abs(b) for a, b in zip(found, expected, strict=True)]
    # A loss that is no number differs.
    largest = math.nan if any(map(math.isnan, shares)) else max(shares)
    line: Line = {
        "what": "losses",
        "run": run,
        "device": device,
        "precision": precision,
        "beside": beside,
        "largest_difference": or_null(largest),
        "losses": [or_null(loss) for loss in found],
        "expected": [or_null(loss) for loss in expected],
    }
    if largest <= TOLERANCE[precision]:
        measurements.keep(line)
    else:
        reason = f"{run} on {device} in {precision}: losses differ from those of {beside} by {largest:.1e}"
        measurements.fault(line, reason)


def or_null(number: float) -> float | None:
    """JSON has no word for what is no number."""
    return None if math.isnan(number) else number


def peers(arguments: argparse.Namespace, workload: str) -> Iterable[list[str]]:
    """Arguments of torch_step.py for what is measured of it."""
    on_gpu = arguments.peer_device == "cuda"
    if "f32" in arguments.precisions:
        yield []
        if on_gpu:
            yield ["--tf32"]
    if "bf16" in arguments.precisions:
        yield ["--dtype", "bfloat16"]
    if on_gpu and workload in COMPILED:
        yield ["--compile", "--tf32"]
        if "bf16" in arguments.precisions:
            yield ["--compile", "--dtype", "bfloat16"]


def steps(measurements: Measurements, arguments: argparse.Namespace, has_peer: bool) -> None:
    """One step of each workload, ours and the peer's."""
    counts = ["--steps", str(arguments.steps), "--warmup", str(min(WARM_UP, arguments.steps))]
    for workload in arguments.workloads:
        for device in arguments.devices:
            for precision in arguments.precisions:
                line: Line = {"what": "step", "workload": workload, "column": f"{device} {precision}"}
                command = [arguments.program, "bench", "step", "--workload", workload, *counts]
                command += ["--device", device, "--precision", precision]
                if outcome := measurements.measure(line, command):
                    measurements.keep(line | json.loads(outcome.output.splitlines()[-1]))
        for of_peer in peers(arguments, workload) if has_peer else ():
            line = {"what": "step", "workload": workload, "column": column_of(of_peer)}
            command = [arguments.peer_python, str(HERE / "torch_step.py"), "--workload", workload]
            command += [*counts, "--device", arguments.peer_device, *of_peer]
            if outcome := measurements.measure(line, command):
                measurements.keep(line | json.loads(outcome.output.splitlines()[-1]))


def column_of(of_peer: list[str]) -> str:
    """What the peer's column is called."""
    names = {"--compile": "compiled", "--tf32": "tf32", "bfloat16": "bf16"}
    told = [names[part] for part in of_peer if part in names]
    return " ".join(["torch", *told] if "tf32" in told or "bf16" in told else ["torch", *told, "f32"])


def can_measure_peer(measurements: Measurements, arguments: argparse.Namespace) -> bool:
    """Whether the peer is there; if not, a line says why."""
    if arguments.peer_device == "none":
        return False
    line: Line = {"what": "peer", "python": arguments.peer_python}
    cuda = "cuda = torch.cuda.is_available()" if arguments.peer_device == "cuda" else "cuda = True"
    code = f"import torch, transformers; {cuda}; print(torch.__version__, transformers.__version__, cuda)"
    outcome = measurements.run([arguments.peer_python, "-c", code])
    if outcome.code != 0:
        measurements.keep(line | {"refused": f"no PyTorch beside: {outcome.reason}"})
        return False
    torch, transformers, has_cuda = outcome.output.split()
    line |= {"torch": torch, "transformers": transformers}
    if has_cuda != "True":
        measurements.keep(line | {"refused": "no PyTorch beside: this torch finds no NVIDIA GPU"})
        return False
    measurements.keep(line)
    return True


def table(lines: list[Line]) -> str:
    """Markdown: what was checked, and milliseconds, tokens and memory of a step of each workload."""
    told = []
    for line in lines:
        if line["what"] in ("self_check", "losses", "peer"):
            told.append(f"- {sentence(line)}")
    of_steps = [line for line in lines if line["what"] == "step"]
    columns = list(dict.fromkeys(str(line["column"]) for line in of_steps))
    rows = [["step: ms · tokens/s · MiB of the device", *columns], ["---"] * (len(columns) + 1)]
    for workload in dict.fromkeys(str(line["workload"]) for line in of_steps):
        of_workload = {line["column"]: line for line in of_steps if line["workload"] == workload}
        rows.append([workload, *(cell(of_workload.get(column)) for column in columns)])
    drawn = [f"| {' | '.join(row)} |" for row in rows] if of_steps else []
    return "\n".join([*told, "", *drawn])


def sentence(line: Line) -> str:
    """What came of a check."""
    subject = {
        "self_check": f"self-check of {line.get('device')} ({line.get('config')})",
        "losses": f"{LOSSES} losses of `{line.get('run')}` on {line.get('device')} in {line.get('precision')}",
        "peer": "the peer",
    }[str(line["what"])]
    if "beside" in line:
        subject += f" beside {line['beside']}"
    for key in ("failed", "refused", "not_reached"):
        if key in line:
            return f"{subject}: {key.replace('_', ' ')}: {line[key]}"
    if "largest_difference" in line:
        largest = line["largest_difference"]
        if largest is None:
            return f"{subject}: a loss is no number"
        return f"{subject}: largest difference {largest:.1e}"
    return f"{subject}: torch {line['torch']}, transformers {line['transformers']}"


def cell(line: Line | None) -> str:
    """A cell of the table."""
    if line is None:
        return ""
    for key, word in (("failed", "failed"), ("refused", "refused"), ("not_reached", "not reached")):
        if key in line:
            return "over its time" if line[key] == "its time was over" else word
    held = line.get("held_device_mib")
    of_memory = "" if held is None else f" · {held:,}"
    return f"{1e3 * line['step_s_median']:,.1f} · {line['tokens_per_s']:,.0f}{of_memory}"


def parse() -> argparse.Namespace:
    """The arguments, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True, help="nystromformer, built")
    parser.add_argument("--devices", nargs="+", required=True)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=TELLING_FIRST, metavar="NAME")
    parser.add_argument("--precisions", nargs="+", choices=TOLERANCE, default=list(TOLERANCE))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--peer-python", default="python3")
    parser.add_argument("--peer-device", choices=["cuda", "cpu", "none"], default="cuda")
    parser.add_argument("--self-check", default="configs/mlm512.toml", metavar="CONFIG.toml")
    parser.add_argument("--limit", type=float, default=60, help="seconds of one measurement")
    parser.add_argument("--total", type=float, default=470, help="seconds of all")
    parser.add_argument("--output", type=Path, required=True, help="where the JSON lines go")
    arguments = parser.parse_args()
    if not arguments.program.is_file():
        parser.error(f"`{arguments.program}` is not there; tools/bench/gpu.sh builds it")
    if arguments.steps < 1:
        parser.error("--steps is 1 at least")
    arguments.program = str(arguments.program.resolve())
    return arguments


def main() -> None:
    """Measures, and prints the table."""
    arguments = parse()
    started = time.monotonic()
    measurements = Measurements(arguments.output, arguments.limit, arguments.total)
    measurements.keep(machine(arguments))
    has_peer = can_measure_peer(measurements, arguments)
    for device in arguments.devices:
        self_check(measurements, arguments, device)
    with tempfile.TemporaryDirectory() as folder:
        losses(measurements, arguments, Path(folder))
    steps(measurements, arguments, has_peer)
    print(table(measurements.lines))
    print(f"\n{time.monotonic() - started:.0f} s; every line: {arguments.output}")
    if measurements.faults:
        sys.exit("\n".join(["not as it should be:", *measurements.faults]))


if __name__ == "__main__":
    main()
