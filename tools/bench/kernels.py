#!/usr/bin/env python3
"""Print where a workload's step goes, kernel by kernel, as a Markdown table.

    cargo build --release
    python3 tools/bench/kernels.py [--workload NAME ...] [--output kernels.json]

Beside each kernel stands the time of the operations that it replaces, and the time that the machine's memory (what is
needed read once and results written once, at the speed of a copy) or vectors (at the speed of the `gemm` crate's
product of two large matrices) would need: the larger of both is its limit. The matrix unit of some CPUs beats it. What
a step does beside these kernels (embeddings, gradients that are added up, small products) is the rest. Run on an idle
machine.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from compare import default_program, wait_for_quiet

# One operation of the program; its parts are measured by themselves too, and counted in it alone.
WHOLE = "Nyström attention, whole"
PARTS = ("attention, ", "pseudo-inverse", "convolution", "segment means")


def lines(command: list[str]) -> list[dict]:
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def table(step: dict, kernels: list[dict]) -> str:
    step_ms = step["step_s_median"] * 1e3
    limits = f"copy {kernels[0]['copy_gb_per_s']:.1f} GB/s, product {kernels[0]['product_gflop_per_s']:.0f} GFLOP/s"
    rows = [
        f"`{step['workload']}`: {step_ms:,.0f} ms per step; {limits}",
        "",
        "| kernel | calls | composed, ms | kernel, ms | faster | limit, ms | of the limit | of the step |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    has_whole = any(kernel["kernel"] == WHOLE for kernel in kernels)
    composed_total = kernel_total = 0.0
    for kernel in sorted(kernels, key=lambda kernel: -kernel["calls"] * kernel["kernel_ms"]):
        calls, composed, ours = kernel["calls"], kernel["composed_ms"], kernel["kernel_ms"]
        memory, arithmetic = kernel["memory_limit_ms"], kernel["arithmetic_limit_ms"]
        limit = max(memory, arithmetic)
        of_what = "memory" if memory > arithmetic else "arithmetic"
        is_part = has_whole and kernel["kernel"].startswith(PARTS)
        if not is_part:
            composed_total += calls * composed
            kernel_total += calls * ours
        name = f"its part: {kernel['kernel']}" if is_part else kernel["kernel"]
        rows.append(
            f"| {name} | {calls} | {composed:,.2f} | {ours:,.2f} | {composed / ours:.1f}× "
            f"| {limit:,.2f} ({of_what}) | {limit / ours:.0%} | {'' if is_part else f'{calls * ours / step_ms:.0%}'} |"
        )
    rows.append(
        f"| all of them, parts once | | {composed_total:,.0f} | {kernel_total:,.0f} | {composed_total / kernel_total:.1f}× "
        f"| | | {kernel_total / step_ms:.0%} |"
    )
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", nargs="+", metavar="NAME", default=["mlm-base-512", "lra-2048"])
    parser.add_argument("--program", type=Path, default=default_program(), help="nystromformer")
    parser.add_argument("--output", help="where every measurement goes, as JSON")
    arguments = parser.parse_args()
    if not arguments.program.is_file():
        parser.error(f"`{arguments.program}` is not there; `cargo build --release` makes it, or pass --program")
    wait_for_quiet()
    measured = []
    for workload in arguments.workload:
        (step,) = lines([str(arguments.program), "bench", "step", "--workload", workload])
        kernels = lines([str(arguments.program), "bench", "kernels", "--workload", workload])
        measured.append({"step": step, "kernels": kernels})
        print(table(step, kernels), end="\n\n", flush=True)
    if arguments.output:
        Path(arguments.output).write_text(json.dumps(measured, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
