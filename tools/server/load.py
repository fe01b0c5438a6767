#!/usr/bin/env python3
"""Throughput and latency of `nystromformer serve` under load on this machine, beside transformers behind a plain FastAPI.

    python3 tools/server/load.py --program target/release/nystromformer --model runs/quickstart [--clients 1 8 64]

The model is exported once, and both servers load that folder. Each client asks `/embed` for one text at a time, and the next
when it is answered. Texts are of many lengths, the same for all. The clients run on the same cores as the server, and the
table says what share they took. Nothing else should run meanwhile. `--peer none` measures ours alone, and needs nothing but
Python; the peer needs `requirements.txt` here and in `tools/reference`.
"""

import argparse
import importlib.util
import json
import os
import random
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from raw_http import Address, ask, json_request, request
from served import Served

WORDS = (
    "the capital of a country lies on its longest river and people there speak two languages while ships carry wheat "
    "across the cold sea to seven cities where old bridges were built before the first railway came from the north"
).split()
TEXTS = 512
PEER_START_S = 120.0


def texts(least: int, most: int) -> list[str]:
    """Texts of `least` to `most` words, all lengths equally often; the same in every run."""
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=draw.randint(least, most))) + "." for _ in range(TEXTS)]


@dataclass(frozen=True)
class Measured:
    """What a number of clients saw."""

    per_second: float
    latencies_ms: Sequence[float]
    client_share: float

    def percentile(self, share: float) -> float:
        """The latency that this share of requests did not exceed, in ms."""
        ranked = sorted(self.latencies_ms)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


class Client:
    """A connection that asks one request after the other."""

    def __init__(self, address: Address, requests: Sequence[bytes], first: int) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests, self.next = requests, first
        self.read = bytearray()
        self.since = 0.0

    def ask(self) -> None:
        """Sends the next request."""
        self.read.clear()
        self.since = time.perf_counter()
        self.socket.sendall(self.requests[self.next % len(self.requests)])
        self.next += 1

    def is_answered(self) -> bool:
        """Reads what there is; whether that was the rest of an answer."""
        part = self.socket.recv(1 << 16)
        if not part:
            raise SystemExit("the server closed a connection")
        self.read += part
        end = self.read.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.read[:end]).lower()
        if b" 200 " not in head[:20]:
            raise SystemExit(f"the server answers {self.read[:500]!r}")
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        return len(self.read) >= end + 4 + length


def measure(address: Address, requests: Sequence[bytes], clients: int, seconds: float) -> Measured:
    """Keeps so many clients busy for so long; what is asked in the first tenth is not counted."""
    selector = selectors.DefaultSelector()
    everyone = [Client(address, requests, 7 * number) for number in range(clients)]
    for client in everyone:
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.ask()
    begin = time.perf_counter() + seconds / 10
    end = begin + seconds
    latencies: list[float] = []
    cpu_at_begin = None
    while (now := time.perf_counter()) < end:
        if cpu_at_begin is None and now >= begin:
            cpu_at_begin = time.process_time()
        for key, _ in selector.select(timeout=0.5):
            client: Client = key.data
            if client.is_answered():
                if client.since >= begin:
                    latencies.append(1000 * (time.perf_counter() - client.since))
                client.ask()
    cpu = time.process_time() - (cpu_at_begin or 0.0)
    for client in everyone:
        client.socket.close()
    cores = os.cpu_count() or 1
    return Measured(len(latencies) / seconds, latencies or [float("nan")], cpu / (seconds * cores))


@contextmanager
def peer(python: str, folder: Path) -> Iterator[Address]:
    """The FastAPI server on a free port, while the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = Path(__file__).with_name("peer_fastapi.py")
    process = subprocess.Popen([python, str(script), "--model", str(folder), "--port", str(port)])
    try:
        end = time.monotonic() + PEER_START_S
        while True:
            try:
                ask(("127.0.0.1", port), request("/health", None, "GET"), "GET")
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit("the peer did not start; see above") from None
                time.sleep(0.2)
        yield ("127.0.0.1", port)
    finally:
        process.terminate()
        process.wait()


def rows(name: str, address: Address, requests: Sequence[bytes], args: argparse.Namespace) -> list[float]:
    """Prints the rows of one server; gives its answer to the first text."""
    answer = ask(address, requests[0])
    if answer is None or answer.code != 200:
        raise SystemExit(f"{name} answers {answer}")
    measure(address, requests, 8, 2.0)
    for clients in args.clients:
        measured = measure(address, requests, clients, args.seconds)
        shown = " | ".join(f"{measured.percentile(share):.1f}" for share in (0.5, 0.95, 0.99))
        print(
            f"| {name} | {clients} | {measured.per_second:.0f} | {shown} | {100 * measured.client_share:.0f} % |",
            flush=True,
        )
    [vector] = json.loads(answer.body)
    return vector


def main() -> int:
    """Measures both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=Path("target/release/nystromformer"))
    parser.add_argument("--model", required=True, help="a run, a checkpoint or a Hugging Face folder")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=10.0, help="for each number of clients")
    parser.add_argument("--words", type=int, nargs=2, default=[5, 40], metavar=("LEAST", "MOST"), help="of a text")
    parser.add_argument("--peer", choices=["fastapi", "none"], default="fastapi")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python with the requirements")
    args = parser.parse_args()
    if args.peer != "none" and args.peer_python == sys.executable and not importlib.util.find_spec("fastapi"):
        parser.error(
            "this Python has no fastapi: name another with --peer-python, or leave the peer out with --peer none"
        )
    requests = [json_request("/embed", {"inputs": text}) for text in texts(*args.words)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        subprocess.run([args.program, "export", "--model", args.model, "--output", folder], check=True)
        print(
            "| server | clients | requests a second | p50, ms | p95 | p99 | clients' share of the cores |\n|---|---|---|---|---|---|---|"
        )
        with Served(args.program, [f"model={folder}"]) as server:
            ours = rows("nystromformer serve", server.address, requests, args)
            print(f"{server.memory_mb('VmHWM'):.0f} MB at most", file=sys.stderr)
        if args.peer == "none":
            return 0
        with peer(args.peer_python, folder) as address:
            theirs = rows("transformers, FastAPI", address, requests, args)
    difference = max(abs(one - other) for one, other in zip(ours, theirs, strict=True))
    print(f"\nLargest difference of an embedding's numbers: {difference:.1e}")
    if difference > 1e-4:
        print("the servers answer different things: their times cannot be compared", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
