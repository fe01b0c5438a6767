#!/usr/bin/env python3
"""Run our steps and PyTorch's in alternation, and print how they compare as a Markdown table.

    cargo build --release
    python3 tools/bench/compare.py [--workload NAME ...] [--rounds 3] [--before PROGRAM] [--output results.json]

Every measurement is a process of its own. A table holds medians over the rounds, so that a machine that slows
down for a while slows all peers down. `--before` adds another build of ours, to see what a change brought. Needs
nothing but Python here; the peers need torch and transformers (tools/reference/requirements.txt).

`ours` computes what the peer computes: transformers' treatment of padding where there is some. `ours-paper` measures
the padded workloads under our own (`semantics = "paper"`), which has no peer.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

from workloads import OF_THE_PEER, WORKLOADS

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
TORCH = {
    "eager": [],
    "compile": ["--compile"],
    "eager-bf16": ["--dtype", "bf16"],
    "compile-bf16": ["--compile", "--dtype", "bf16"],
}
OURS = {"ours": [], "before": [], "ours-paper": ["--semantics", "paper"], "ours-bf16": ["--precision", "bf16"]}
PEERS = ["ours", *TORCH, "ours-paper", "ours-bf16"]
QUIET_LOAD = 0.5
QUIET_PATIENCE_S = 60

Line = dict[str, object]


def note(message: str) -> None:
    """Say something to the person at the terminal."""
    print(message, file=sys.stderr, flush=True)


def default_program() -> Path:
    """Where `cargo build --release` puts our program."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "release" / "nystromformer"


def wait_for_quiet() -> float:
    """Wait a while for other work to end; warn if it does not. Returns the load average found."""
    deadline = time.monotonic() + QUIET_PATIENCE_S
    while (load := os.getloadavg()[0]) > QUIET_LOAD and time.monotonic() < deadline:
        time.sleep(5)
    if load > QUIET_LOAD:
        note(f"warning: load average {load:.2f}: something else is running, figures will be off")
    return load


def command_of(peer: str, arguments: argparse.Namespace) -> list[str]:
    """The command that measures one peer, without workload and steps."""
    if peer in OURS:
        program = arguments.before if peer == "before" else arguments.program
        return [str(program), "bench", "step", *OURS[peer]]
    return [sys.executable, str(HERE / "torch_step.py"), *TORCH[peer]]


def measure(peer: str, name: str, arguments: argparse.Namespace) -> Line | None:
    """One process, one line; `None` if it failed, which is said on stderr."""
    workload = WORKLOADS[name]
    steps = arguments.steps or workload.steps
    command = command_of(peer, arguments)
    command += ["--workload", name, "--steps", str(steps), "--warmup", str(workload.warmup)]
    started = time.monotonic()
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode != 0:
        reason = (finished.stderr.strip().splitlines() or ["no reason given"])[-1]
        note(f"  {peer} failed with {finished.returncode}: {reason}")
        return None
    line: Line = json.loads(finished.stdout.splitlines()[-1])
    seconds = time.monotonic() - started
    note(f"  {peer}: {line['tokens_per_s']:.0f} tokens/s, {line['peak_rss_mib']} MiB ({seconds:.0f} s)")
    return {"column": peer} | line


def alternate(name: str, arguments: argparse.Namespace) -> list[Line]:
    """All rounds of a workload; each begins with another peer."""
    lines = []
    for round_index in range(arguments.rounds):
        note(f"{name}, round {round_index + 1} of {arguments.rounds}")
        first = round_index % len(arguments.peers)
        for peer in arguments.peers[first:] + arguments.peers[:first]:
            line = measure(peer, name, arguments)
            if line is not None:
                lines.append({"round": round_index + 1} | line)
    return lines


def medians(lines: list[Line], peers: list[str]) -> dict[str, Line]:
    """By peer, the medians over the rounds of a workload."""
    keys = ("step_s_median", "tokens_per_s", "peak_rss_mib")
    found = {}
    for peer in peers:
        of_peer = [line for line in lines if line["column"] == peer]
        if of_peer:
            found[peer] = {key: statistics.median(line[key] for line in of_peer) for key in keys}
    return found


def ratios(of_peers: dict[str, Line]) -> Line:
    """Ours over the fastest torch in tokens per second, and over the leanest in peak memory.

    In single precision if `ours` was measured, otherwise in bf16.
    """
    precision = "" if "ours" in of_peers else "-bf16"
    ours = of_peers.get(f"ours{precision}")
    torch = [of_peers[peer] for peer in TORCH if peer in of_peers and peer.endswith("-bf16") == bool(precision)]
    if ours is None or not torch:
        return {}
    fastest = max(median["tokens_per_s"] for median in torch)
    leanest = min(median["peak_rss_mib"] for median in torch)
    found = {
        "tokens_per_s_ratio": round(ours["tokens_per_s"] / fastest, 3),
        "peak_rss_ratio": round(ours["peak_rss_mib"] / leanest, 3),
    }
    if "before" in of_peers:
        found["before_ratio"] = round(ours["tokens_per_s"] / of_peers["before"]["tokens_per_s"], 3)
    return found


def table(results: dict[str, dict[str, Line]], peers: list[str]) -> str:
    """Markdown; a cell holds tokens per second, seconds a step, and peak memory."""
    titles = {
        "tokens_per_s_ratio": "tokens/s, ours ÷ best torch",
        "peak_rss_ratio": "peak RSS, ours ÷ least torch",
    }
    if "before" in peers:
        titles["before_ratio"] = "tokens/s, ours ÷ before"
    columns = ["workload", *peers, *titles.values()]
    rows = [columns, ["---"] * len(columns)]
    for name, of_peers in results.items():
        row = [name]
        for peer in peers:
            cell = "failed"
            if peer in of_peers:
                median = of_peers[peer]
                cell = f"{median['tokens_per_s']:,.0f} · {median['step_s_median']:.3g} s"
                cell += f" · {median['peak_rss_mib']:,.0f} MiB"
            row.append(cell)
        ratio = ratios(of_peers)
        row += [f"{ratio[key]:.2f}" if key in ratio else "" for key in titles]
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def machine(lines: list[Line]) -> Line:
    """What the figures depend on."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        if models:
            processor = models[0].partition(":")[2].strip()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, capture_output=True, text=True
    )
    return {
        "cpu": processor,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": next((line["torch"] for line in lines if "torch" in line), None),
        "commit": commit.stdout.strip() or None,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def heading(facts: Line, rounds: int) -> str:
    """What the table was measured with, as a sentence above it."""
    command = shlex.join(["python3", "tools/bench/compare.py", *sys.argv[1:]])
    return (
        f"{facts['cpu']}, {facts['cores']} cores; torch {facts['torch'] or 'not measured'}; {facts['date'][:10]}, "
        f"commit {facts['commit']}; medians of {rounds} rounds, load before {facts['load_average_before']}:\n`{command}`\n"
    )


def parse() -> argparse.Namespace:
    """The arguments, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--workload", nargs="+", choices=WORKLOADS, default=OF_THE_PEER, metavar="NAME",
        help="default: all but mlm-tiny-128",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="measured steps; default: by workload")
    parser.add_argument(
        "--peers", nargs="+", choices=PEERS, default=PEERS[:3], metavar="PEER",
        help=f"of {', '.join(PEERS)}; default: the first three",
    )
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--program", type=Path, default=default_program(), help="nystromformer")
    parser.add_argument("--before", type=Path, metavar="PROGRAM", help="another build of ours: a column `before`")
    parser.add_argument("--output", type=Path, help="where every measurement goes, as JSON")
    arguments = parser.parse_args()
    if arguments.no_compile:
        arguments.peers = [peer for peer in arguments.peers if not peer.startswith("compile")]
    if arguments.before:
        arguments.peers.insert(1, "before")
        if not arguments.before.is_file():
            parser.error(f"`{arguments.before}` is not there: --before takes a program")
    if OURS.keys() & set(arguments.peers) and not arguments.program.is_file():
        parser.error(f"`{arguments.program}` is not there; `cargo build --release` makes it, or pass --program")
    return arguments


def main() -> None:
    """Measure, print the table, write the measurements."""
    arguments = parse()
    load = wait_for_quiet()
    lines: list[Line] = []
    results = {}
    for name in arguments.workload:
        of_workload = alternate(name, arguments)
        lines += of_workload
        results[name] = medians(of_workload, arguments.peers)
    facts = machine(lines) | {"load_average_before": round(load, 2)}
    print(heading(facts, arguments.rounds))
    print(table(results, arguments.peers))
    if arguments.output:
        report = {
            "machine": facts,
            "rounds": arguments.rounds,
            "workloads": {
                name: {"medians": of_peers, **ratios(of_peers)} for name, of_peers in results.items()
            },
            "measurements": lines,
        }
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    if len(lines) < arguments.rounds * len(arguments.peers) * len(arguments.workload):
        sys.exit("some measurements failed, see above")


if __name__ == "__main__":
    main()
