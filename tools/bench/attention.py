#!/usr/bin/env python3
"""Time attention by its length, beside PyTorch's exact attention and transformers' Nyström attention.

    python3 attention.py --program target/release/nystromformer [--lengths 512 4096] [--backward] [--rounds 3]

Every peer makes queries, keys and values of random hidden states with three linear layers, as a layer
of BERT-base does (12 heads of 64), and attends: no output projection, no convolution, no dropout, no
padding. `sdpa` is `torch.nn.functional.scaled_dot_product_attention`, `transformers` its
`NystromformerSelfAttention`. Each measurement is a process of its own, the peers take turns, and the
table has the medians over the rounds. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch_step import KEEP_FREED_MEMORY

HEADS, HEAD_DIM, LANDMARKS = 12, 64, 64
WIDTH = HEADS * HEAD_DIM
WARM_UP, PASSES = 2, 5
OURS = {"ours, nystrom": "nystrom", "ours, softmax": "softmax"}
THEIRS = {"transformers, nystrom": "transformers", "PyTorch, SDPA": "sdpa"}
SEED = 0


def attention(peer: str, seq_len: int) -> Any:
    """The peer's attention as a module of hidden states `[1, seq_len, 768]`."""
    import torch
    import transformers
    from transformers.models.nystromformer.modeling_nystromformer import NystromformerSelfAttention

    class Exact(torch.nn.Module):
        """Exact attention with its three projections."""

        def __init__(self) -> None:
            super().__init__()
            self.projections = torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH) for _ in range(3))

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            """Exact attention, heads side by side again."""
            parts = [
                layer(states).unflatten(-1, (HEADS, HEAD_DIM)).transpose(1, 2)
                for layer in self.projections
            ]
            context = torch.nn.functional.scaled_dot_product_attention(*parts)
            return context.transpose(1, 2).flatten(2)

    torch.manual_seed(SEED)
    if peer == "sdpa":
        return Exact()
    config = transformers.NystromformerConfig(
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        num_landmarks=LANDMARKS,
        segment_means_seq_len=seq_len,
        conv_kernel_size=None,
        attention_probs_dropout_prob=0.0,
    )
    return NystromformerSelfAttention(config)


def peer_pass(peer: str, seq_len: int, backward: bool) -> Callable[[], None]:
    """One pass of a peer."""
    import torch

    module = attention(peer, seq_len)
    states = torch.randn(1, seq_len, WIDTH, requires_grad=backward)

    def one() -> None:
        with torch.set_grad_enabled(backward):
            context = module(states)
            context = context[0] if isinstance(context, tuple) else context
            if backward:
                module.zero_grad()
                states.grad = None
                context.sum().backward()

    return one


def be_peer(peer: str, seq_len: int, backward: bool) -> None:
    """Take the passes and print what they cost."""
    one = peer_pass(peer, seq_len, backward)
    for _ in range(WARM_UP):
        one()
    seconds = []
    for _ in range(PASSES):
        start = time.perf_counter()
        one()
        seconds.append(time.perf_counter() - start)
    # Not `ru_maxrss`, which begins with what the process that started this one held.
    status = Path("/proc/self/status").read_text().splitlines()
    [peak] = [int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM:")]
    print(json.dumps({"seconds_median": statistics.median(seconds), "peak_rss_mib": peak}))


def measure(command: list[str]) -> dict[str, Any]:
    """What a peer's last line on stdout says."""
    environment = os.environ | KEEP_FREED_MEMORY
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Read the arguments; be a peer, or run them all and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", help="nystromformer, built")
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096, 8192])
    parser.add_argument("--backward", action="store_true", help="with gradients")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="every measurement, as JSON")
    parser.add_argument("--peer", choices=THEIRS.values(), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    gradients = ["--backward"] if arguments.backward else []
    if arguments.peer is not None:
        return be_peer(arguments.peer, arguments.lengths[0], arguments.backward)
    if arguments.program is None:
        parser.error("--program is missing")

    def command(name: str, seq_len: int) -> list[str]:
        if name in THEIRS:
            this = [sys.executable, str(Path(__file__)), "--peer", THEIRS[name]]
            return [*this, "--lengths", str(seq_len), *gradients]
        ours = [arguments.program, "bench", "attention", "--kind", OURS[name], "--projections"]
        return [*ours, "--seq-len", str(seq_len), "--steps", str(PASSES), *gradients]

    names = [*OURS, *THEIRS]
    print(f"| tokens | {' | '.join(f'{name}: ms · MiB' for name in names)} |")
    print(f"|---|{'---|' * len(names)}", flush=True)
    measured = []
    for seq_len in arguments.lengths:
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for _ in range(arguments.rounds):
            for name in names:
                facts = measure(command(name, seq_len))
                rounds[name].append(facts)
                measured.append({"peer": name, "seq_len": seq_len, **facts})
        cells = []
        for name in names:
            ms = 1e3 * statistics.median(facts["seconds_median"] for facts in rounds[name])
            peak = statistics.median(facts["peak_rss_mib"] for facts in rounds[name])
            cells.append(f"{ms:.1f} · {peak:.0f}")
        print(f"| {seq_len:,} | {' | '.join(cells)} |", flush=True)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(measured, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
