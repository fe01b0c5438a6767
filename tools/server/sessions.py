"""Hostile clients that take more than one request and one answer. Each says what was wrong, or nothing."""

import random
import time
from collections.abc import Callable, Sequence

from attacks import BODIES, ROUTES, valid
from raw_http import Address, Connection, ask, request

# What the server is started with, in seconds and connections: small, so that the check is short.
HEADER_TIMEOUT_S = 2
BODY_TIMEOUT_S = 2
WRITE_TIMEOUT_S = 3
MAX_CONNECTIONS = 128
OPTIONS = [
    *("--header-timeout", str(HEADER_TIMEOUT_S), "--body-timeout", str(BODY_TIMEOUT_S)),
    *("--write-timeout", str(WRITE_TIMEOUT_S), "--max-connections", str(MAX_CONNECTIONS)),
]
# Beside a time-out, for a machine with all cores at work.
PATIENCE_S = 5.0

Session = Callable[[Address, random.Random], str | None]

# Requests in which two readers may see two ends. Each holds a second request that must not be answered.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED_BODY = b"0\r\n\r\n"
POST = b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
SMUGGLING: Sequence[tuple[str, bytes]] = [
    ("two lengths", b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)),
    ("a length list", b"Content-Length: 0, %d\r\n\r\n" % len(HIDDEN)),
    ("length and chunks", b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (len(HIDDEN) + 5)),
    ("chunks and length", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("unknown encoding", b"Transfer-Encoding: xchunked\r\n\r\n"),
    ("chunked not last", b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    ("blank before colon", b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("folded", b"X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 1e2\r\n\r\n"),
    ("signed length", b"Content-Length: +0\r\n\r\n"),
    ("negative length", b"Content-Length: -1\r\n\r\n"),
    ("hexadecimal length", b"Content-Length: 0x0\r\n\r\n"),
    ("chunk of 2^64", b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"),
    ("chunk without a size", b"Transfer-Encoding: chunked\r\n\r\n\r\n\r\n"),
    ("chunk that is too long", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n"),
    ("endless chunk extension", b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 100_000 + b"\r\n{}\r\n0\r\n\r\n"),
    ("carriage return alone", b"X: y\rContent-Length: 0\r\n\r\n"),
]


def smuggling(address: Address, draw: random.Random) -> str | None:
    """A request with two possible ends: the one behind it must not be answered as one of its own."""
    name, head = draw.choice(SMUGGLING)
    connection = Connection(address, HEADER_TIMEOUT_S + PATIENCE_S)
    try:
        connection.send(POST + head + HIDDEN)
        codes = []
        while (answer := connection.response()) is not None:
            codes.append(answer.code)
    except TimeoutError:
        return f"{name}: the connection stays open after {codes}"
    finally:
        connection.close()
    # The hidden request asks for a route that there is none of.
    if 404 in codes or 200 in codes or 500 in codes or len(codes) > 1:
        return f"{name}: answered {codes}"
    return None


def pipelining(address: Address, draw: random.Random) -> str | None:
    """Many requests at once on one connection: every answer is that of its own request, in their order."""
    routes = [draw.choice(ROUTES) for _ in range(PIPELINED)]
    expected = {route: ask(address, request(route, valid(route))) for route in set(routes)}
    connection = Connection(address)
    try:
        connection.send(b"".join(request(route, valid(route)) for route in routes))
        for place, route in enumerate(routes):
            answer, alone = connection.response(), expected[route]
            if answer is None or alone is None or (answer.code, answer.body) != (alone.code, alone.body):
                return f"answer {place} of {route} is another than alone"
    finally:
        connection.close()
    return None


PIPELINED = 20


def cut_off(address: Address, draw: random.Random) -> str | None:
    """Leaves in the middle of a request, or before its answer: politely or not."""
    route = draw.choice(ROUTES)
    data = request(route, valid(route))
    connection = Connection(address)
    connection.send(data[: draw.randrange(len(data) + 1)])
    draw.choice([connection.close, connection.reset, connection.half_close])()
    connection.close()
    return None


def slow(address: Address, draw: random.Random) -> str | None:
    """A byte now and then: the server must end it by itself, within its time-outs."""
    route = draw.choice(ROUTES)
    data = request(route, valid(route))
    head = data.index(b"\r\n\r\n") + 4
    # Within the head, or with the whole head and then within the body.
    begin = 0 if draw.random() < 0.5 else head
    connection = Connection(address, 0.2)
    start = time.monotonic()
    limit = (BODY_TIMEOUT_S if begin else HEADER_TIMEOUT_S) + PATIENCE_S
    try:
        connection.send(data[:begin])
        for place in range(begin, len(data) - 1):
            if time.monotonic() - start > limit:
                return f"still open after {limit} s of {'body' if begin else 'head'}"
            if not connection.send(data[place : place + 1]):
                return None
            try:
                answer = connection.response()
            except TimeoutError:
                continue
            if answer is not None and answer.code not in (400, 408):
                return f"a part of a request was answered with {answer.code}"
            return None
    finally:
        connection.close()
    return None


def never_reads(address: Address, _: random.Random) -> str | None:
    """Asks for large answers, which cost the server nothing, and reads none: it must close the connection."""
    # A small buffer of ours is full after a few answers.
    connection = Connection(address, 0.5, receive_buffer=4096)
    start = time.monotonic()
    try:
        while time.monotonic() - start < WRITE_TIMEOUT_S + 4 * PATIENCE_S:
            try:
                if not connection.send(request("/openapi.json", None, "GET")):
                    return None
            except TimeoutError:
                continue
    finally:
        connection.close()
    return f"still open after {WRITE_TIMEOUT_S + 4 * PATIENCE_S} s"


def flood(address: Address, _: random.Random) -> str | None:
    """More connections than the server takes: those beyond are refused in words, and afterwards all is well."""
    held = [Connection(address) for _ in range(MAX_CONNECTIONS)]
    try:
        # Idle connections end by the header time-out; meanwhile there is no room.
        connection = Connection(address)
        connection.send(request("/health", None, "GET"))
        answer = connection.response("GET")
        connection.close()
        if answer is not None and answer.code != 503:
            return f"connection {MAX_CONNECTIONS + 1} was answered with {answer.code}"
    finally:
        for connection in held:
            connection.close()
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        answer = ask(address, request("/health", None, "GET"), "GET")
        if answer is not None and answer.code == 200:
            return None
        time.sleep(0.05)
    return "no room again after the flood"


def abandoned(address: Address, draw: random.Random) -> str | None:
    """Asks much, and leaves before the answer."""
    body = b'{"inputs": [%s], "model": "%s"}' % (
        b",".join([b'"Anna lives in Paris."'] * 100),
        BODIES["/embed"]["model"].encode(),
    )
    connection = Connection(address)
    connection.send(request("/embed", body))
    time.sleep(draw.random() * 0.01)
    connection.reset()
    return None


# For each family: the session, its share of all requests, how many at once, and the requests that one session counts as.
SESSIONS: dict[str, tuple[Session, float, int, int]] = {
    "cut off": (cut_off, 0.03, 16, 1),
    "abandoned": (abandoned, 0.01, 16, 1),
    "smuggling": (smuggling, 0.01, 16, 1),
    "pipelining": (pipelining, 0.01, 4, PIPELINED),
    "slow": (slow, 0.008, 64, 1),
    "never reads": (never_reads, 0.001, 8, 1),
    "connection floods": (flood, 0.0, 1, MAX_CONNECTIONS + 1),
}
