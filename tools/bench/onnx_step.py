#!/usr/bin/env python3
"""Time one text through our ONNX graphs, beside `bench step` and transformers' exact attention.

    python3 onnx_step.py --program target/release/nystromformer [--workload infer-base-4096] [--steps 4]

A random model of the workload's size is exported in 32 bits and with 8-bit weights. Each peer reads
the same number of tokens in a process of its own and computes the logits of all of them; the table
has the median time and the most memory that the process ever held. transformers computes exact
attention where `num_landmarks` equals `segment_means_seq_len`. Nothing else should run meanwhile.

Needs `tools/reference/requirements-onnx.txt` beside `requirements.txt`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch_step import KEEP_FREED_MEMORY
from workloads import WORKLOADS, Workload

INFERENCES = [name for name, workload in WORKLOADS.items() if workload.task == "inference"]
OUR_KEYS = {"semantics": "paper", "attention": "nystrom", "pinv_iterations": 6, "pinv_init": "exact"}
SEED = 0


def transformers_model(workload: Workload, exact: bool) -> Any:
    """A random masked language model of transformers, of the workload's size."""
    import torch
    import transformers

    torch.manual_seed(SEED)
    landmarks = workload.size["num_landmarks"]
    config = transformers.NystromformerConfig(
        **workload.size,
        max_position_embeddings=workload.seq_len,
        segment_means_seq_len=landmarks if exact else workload.seq_len,
    )
    return transformers.NystromformerForMaskedLM(config).eval()


def write_source(workload: Workload, folder: Path) -> None:
    """The model as a folder of ours."""
    transformers_model(workload, exact=False).save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | OUR_KEYS, indent=2) + "\n")


def onnx_step(path: Path, workload: Workload) -> Callable[[], None]:
    """One run of a graph."""
    import numpy
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shape = (workload.batch, workload.seq_len)
    ids = numpy.random.default_rng(SEED).integers(5, workload.size["vocab_size"], shape)
    inputs = {
        "input_ids": ids,
        "attention_mask": numpy.ones_like(ids),
        "token_type_ids": numpy.zeros_like(ids),
    }
    return lambda: session.run(None, inputs)


def exact_step(workload: Workload) -> Callable[[], None]:
    """One run of transformers' exact attention."""
    import torch

    model = transformers_model(workload, exact=True)
    ids = torch.randint(5, workload.size["vocab_size"], (workload.batch, workload.seq_len))

    def step() -> None:
        with torch.no_grad():
            model(input_ids=ids, attention_mask=torch.ones_like(ids))

    return step


def work(step: Callable[[], None], workload: Workload, steps: int) -> None:
    """Take the steps and print what they cost."""
    for _ in range(workload.warmup):
        step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    # Not `ru_maxrss`, which begins with what the process that started this one held.
    status = Path("/proc/self/status").read_text().splitlines()
    [peak] = [int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM:")]
    facts = {"step_s_median": statistics.median(seconds), "peak_rss_mib": peak}
    print(json.dumps(facts))


def measure(command: list[str | Path]) -> dict[str, Any]:
    """What a peer's last line on stdout says."""
    environment = os.environ | KEEP_FREED_MEMORY
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Read the arguments; be a peer, or run them all and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, help="nystromformer, built")
    parser.add_argument("--workload", choices=INFERENCES, default="infer-base-4096")
    parser.add_argument("--steps", type=int, default=4, help="measured steps (default: 4)")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    workload = WORKLOADS[arguments.workload]
    if arguments.peer is not None:
        is_exact = arguments.peer == "exact"
        step = exact_step(workload) if is_exact else onnx_step(Path(arguments.peer), workload)
        return work(step, workload, arguments.steps)
    if arguments.program is None:
        parser.error("--program is missing")

    shared = ["--workload", arguments.workload, "--steps", str(arguments.steps)]
    this: list[str | Path] = [sys.executable, Path(__file__), *shared, "--peer"]
    print(f"| {arguments.workload} | seconds | MiB |\n|---|---|---|", flush=True)

    def row(name: str, command: list[str | Path]) -> None:
        facts = measure(command)
        seconds, peak = facts["step_s_median"], facts["peak_rss_mib"]
        print(f"| {name} | {seconds:.3f} | {peak} |", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        source, exported = Path(scratch) / "source", Path(scratch) / "exported"
        write_source(workload, source)
        export = [arguments.program, "export", "--format", "onnx", "--quantize", "int8"]
        export += ["--model", source, "--output", exported]
        subprocess.run(export, check=True, capture_output=True)
        row("nystromformer, `bench step`", [arguments.program, "bench", "step", *shared])
        row("onnxruntime, `model.onnx`", [*this, exported / "onnx/model.onnx"])
        row("onnxruntime, `model_quantized.onnx`", [*this, exported / "onnx/model_quantized.onnx"])
        row("transformers, exact attention", [*this, "exact"])
    return None


if __name__ == "__main__":
    main()
