#!/usr/bin/env python3
"""Sends malformed and hostile requests to `nystromformer serve` on this machine, and checks what becomes of it.

    python3 tools/server/hostile.py --program target/release/nystromformer [--requests 10000] [--seed 0]

Starts the server with the tiny models of the tests, sends the families of `attacks.py` and `sessions.py`, and prints a
table. It fails if the server ends, panics, answers with a code that is not right or an error of another form than the
others, answers something else than before after a family, keeps threads or connections, or takes more memory than allowed.
Needs nothing but Python. It takes about two minutes on two cores.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from attacks import CLOSED, FAMILIES, MODELS, ROUTES, Attack, valid
from raw_http import Address, Response, ask, request
from served import FIXTURES, Served
from sessions import MAX_CONNECTIONS, OPTIONS, SESSIONS

AT_ONCE = 16
SHOWN_PROBLEMS = 12
# What an error may say of itself, by its code.
ERROR_TYPES = {
    400: {"validation", "empty"},
    404: {"not_found"},
    405: {"validation"},
    408: {"timeout"},
    413: {"validation"},
    415: {"validation"},
    422: {"validation", "tokenizer"},
    424: {"backend"},
    429: {"overloaded"},
    503: {"overloaded"},
    504: {"timeout"},
}
Answers = dict[str, tuple[int, bytes]]


def error_problem(answer: Response) -> str | None:
    """What is wrong with the form of an error, if anything."""
    if answer.code == 400 and not answer.body:
        return None  # What is no HTTP is answered below the routes.
    if answer.code in (414, 431) and not answer.body:
        return None
    try:
        error = json.loads(answer.body)
    except ValueError:
        return f"{answer.code} without JSON: {answer.body[:100]!r}"
    if answer.headers.get("content-type") != "application/json":
        return f"{answer.code} is {answer.headers.get('content-type')}"
    if set(error) != {"error", "error_type"} or not error["error"]:
        return f"{answer.code} with {sorted(error)}"
    if error["error_type"] not in ERROR_TYPES.get(answer.code, set()):
        return f"{answer.code} is of type {error['error_type']}"
    if len(answer.body) > 4096:
        return f"{answer.code} has {len(answer.body)} bytes: it repeats what was sent"
    return None


def try_attack(address: Address, attack: Attack) -> tuple[int | None, str | None]:
    """The code of the answer, and what is wrong with it."""
    try:
        answer = ask(address, attack.data, attack.method)
    except TimeoutError:
        return CLOSED, f"no answer: {attack.data[:200]!r}"
    code = answer.code if answer else CLOSED
    if code not in attack.allowed:
        said = answer.body[:160] if answer else b""
        return code, f"{code} is none of {attack.allowed}: {attack.data[:250]!r} → {said!r}"
    if answer and answer.code >= 400 and attack.method != "HEAD" and (problem := error_problem(answer)):
        return code, f"{problem}: {attack.data[:250]!r}"
    return code, None


def good_answers(address: Address) -> Answers:
    """What every route answers to a request that is right."""
    answers: Answers = {}
    for route in ROUTES:
        answer = ask(address, request(route, valid(route)))
        answers[route] = (answer.code, answer.body) if answer else (0, b"")
    health = ask(address, request("/health", None, "GET"), "GET")
    answers["/health"] = (health.code, health.body) if health else (0, b"")
    return answers


class Bystander(threading.Thread):
    """A well-behaved client beside the attacks: whatever is answered to it must be what it was before."""

    def __init__(self, address: Address, expected: Answers) -> None:
        super().__init__(daemon=True)
        self.address, self.expected = address, expected
        self.asked = self.refused = 0
        self.problems: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        draw = random.Random(1)
        while not self.done.wait(0.01):
            route = draw.choice(ROUTES)
            try:
                answer = ask(self.address, request(route, valid(route)))
            except OSError as error:
                self.problems.append(f"bystander at {route}: {error}")
                continue
            self.asked += 1
            if answer is None or answer.code in (429, 503):
                self.refused += 1
            elif (answer.code, answer.body) != self.expected[route]:
                self.problems.append(f"bystander: {route} is answered with {answer.code} {answer.body[:100]!r}")


class Check:
    """The server under attack, and what was found."""

    def __init__(self, server: Served, seed: int) -> None:
        self.server, self.seed = server, seed
        self.expected = good_answers(server.address)
        for route, (code, body) in self.expected.items():
            if code != 200:
                raise SystemExit(f"{route} answers {code} before anything is sent: {body!r}")
        self.problems: list[str] = []
        self.sent = 0

    def family(
        self, name: str, codes: collections.Counter[int | None], sent: int, found: Iterable[str], start: float
    ) -> None:
        """Prints a family's row, and compares the answers with those before."""
        problems = list(found)
        after = good_answers(self.server.address)
        problems += [
            f"{route} answers something else than before" for route in after if after[route] != self.expected[route]
        ]
        if self.server.process.poll() is not None:
            raise SystemExit(f"the server ended during “{name}”: {self.server.said()[-3000:]}")
        self.sent += sent
        self.problems += [f"{name}: {problem}" for problem in problems]
        seen = ", ".join(
            f"{'closed' if code is CLOSED else code} × {count}"
            for code, count in sorted(codes.items(), key=lambda item: item[0] or 0)
        )
        seconds, memory = time.monotonic() - start, self.server.memory_mb()
        print(f"| {name} | {sent} | {seen} | {len(problems)} | {memory:.0f} | {seconds:.1f} |", flush=True)

    def attacks(self, name: str, attacks: Sequence[Attack]) -> None:
        """Sends single requests, several at once."""
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(lambda attack: try_attack(self.server.address, attack), attacks))
        codes = collections.Counter(code for code, _ in results)
        self.family(name, codes, len(attacks), [problem for _, problem in results if problem], start)

    def sessions(self, name: str, count: int) -> None:
        """Runs sessions, several at once."""
        session, _, at_once, each = SESSIONS[name]
        start = time.monotonic()
        draws = [random.Random(f"{self.seed} {name} {number}") for number in range(count)]
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            found = list(pool.map(lambda draw: session(self.server.address, draw), draws))
        self.family(name, collections.Counter(), count * each, [problem for problem in found if problem], start)

    def settles(self, threads: int, files: int) -> None:
        """Waits until what the attacks held is given back."""
        end = time.monotonic() + 20
        while self.server.threads() > threads or self.server.open_files() > files:
            if time.monotonic() > end:
                now = (self.server.threads(), self.server.open_files())
                self.problems.append(f"threads and files are {now} at the end, were {(threads, files)}")
                return
            time.sleep(0.1)


def main() -> int:
    """Runs all families."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=Path("target/release/nystromformer"))
    parser.add_argument("--requests", type=int, default=10_000, help="in all, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="FAMILY", help="of " + ", ".join([*FAMILIES, *SESSIONS]))
    growth = 200 + 250 * min(8, os.cpu_count() or 1)  # as many long texts are cut at once
    parser.add_argument("--max-growth-mb", type=float, default=growth, help="memory beyond that of the first answers")
    args = parser.parse_args()
    start = time.monotonic()
    models = [f"{name}={FIXTURES / name}" for name in MODELS]
    with Served(args.program, models, OPTIONS) as server:
        check = Check(server, args.seed)
        # All threads are there once the routes were asked side by side.
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda _: good_answers(server.address), range(AT_ONCE)))
        time.sleep(0.5)
        memory, threads, files = server.memory_mb(), server.threads(), server.open_files()
        print("| family | requests | answers | wrong | memory after, MB | s |\n|---|---|---|---|---|---|")
        bystander = Bystander(server.address, check.expected)
        bystander.start()
        for name, (family, share) in FAMILIES.items():
            if args.only and name not in args.only:
                continue
            draw = random.Random(f"{args.seed} {name}")
            check.attacks(name, list(islice(family(draw), round(share * args.requests))))
        for name, (_, share, _, _) in SESSIONS.items():
            if args.only and name not in args.only:
                continue
            if name == "connection floods":
                bystander.done.set()
                bystander.join()
            check.sessions(name, max(1, round(share * args.requests)) if share else 2)
        bystander.done.set()
        bystander.join()
        check.settles(threads, files)
        most = server.memory_mb("VmHWM")
        said = server.said()
        code = server.stop()
    check.problems += bystander.problems
    if "panicked" in said:
        check.problems.append(f"a panic: {said[said.index('panicked') - 100 :][:500]}")
    if most - memory > args.max_growth_mb:
        check.problems.append(
            f"{most:.0f} MB at most, {memory:.0f} MB before: more than {args.max_growth_mb:.0f} MB beyond"
        )
    if code != 0:
        check.problems.append(f"SIGTERM: exit code {code}")
    for problem in check.problems[:SHOWN_PROBLEMS]:
        print(problem, file=sys.stderr)
    print(
        f"\n{check.sent} requests in {time.monotonic() - start:.0f} s, {MAX_CONNECTIONS} connections at most; beside them "
        f"{bystander.asked} of a well-behaved client ({bystander.refused} refused as too many). Memory {memory:.0f} MB before, "
        f"{most:.0f} MB at most. Wrong: {len(check.problems)}."
    )
    return 1 if check.problems else 0


if __name__ == "__main__":
    sys.exit(main())
