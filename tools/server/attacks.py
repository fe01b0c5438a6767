"""Malformed and hostile requests, by family, each with the answers that are right."""

import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raw_http import json_request, request

# The server closes the connection without a word.
CLOSED = None
# Requests that may turn out to be fine, but for their contents.
ANY = frozenset({200, 400, 404, 413, 415, 422, 424})

# For each route a body that is right; the model is one of the fixtures.
BODIES: Mapping[str, Mapping[str, Any]] = {
    "/embed": {"inputs": "Anna lives in Paris.", "truncate": False, "normalize": True, "model": "features"},
    "/predict": {"inputs": "The film was good.", "truncate": False, "raw_scores": False, "model": "single_label"},
    "/rerank": {
        "query": "Who runs?",
        "texts": ["The train.", "Bob runs."],
        "truncate": False,
        "raw_scores": False,
        "return_text": True,
        "model": "choice",
    },
    "/choice": {"prompt": "Anna lives in", "choices": ["Paris.", "a café"], "truncate": False, "model": "choice"},
    "/fill-mask": {"inputs": "Anna lives in [MASK].", "top_k": 3, "model": "fill_mask"},
    "/tokens": {
        "inputs": "Anna lives in Paris.",
        "aggregation_strategy": "simple",
        "ignore_labels": ["O"],
        "truncate": False,
        "model": "tokens",
    },
    "/qa": {
        "question": "Where does Anna live?",
        "context": "Anna lives in Paris, near the river.",
        "top_k": 2,
        "max_answer_len": 15,
        "handle_impossible_answer": False,
        "model": "qa",
    },
    "/attention": {"inputs": "Anna lives in Paris.", "layer": None, "truncate": True, "model": "fill_mask"},
    "/v1/embeddings": {"input": ["Anna", "Bob works."], "encoding_format": "float", "model": "features"},
}
MODELS = sorted({body["model"] for body in BODIES.values()})
ROUTES = list(BODIES)
TEXT_KEYS = {"inputs", "query", "texts", "prompt", "choices", "question", "context", "input"}


@dataclass(frozen=True)
class Attack:
    """Bytes for a connection of their own, and the codes that are right as the first answer."""

    data: bytes
    allowed: frozenset[int | None]
    method: str = "POST"


def attack(data: bytes, *allowed: int | None, method: str = "POST") -> Attack:
    """One attack."""
    return Attack(data, frozenset(allowed), method)


def valid(route: str) -> bytes:
    """The JSON of a body that is right."""
    return json.dumps(BODIES[route], ensure_ascii=False).encode()


def is_json(body: bytes) -> bool:
    """Whether it is; Python also takes what is not, such as `NaN`."""
    try:
        json.loads(bytes(body).decode())
    except ValueError:
        return False
    return True


def broken_json(draw: random.Random) -> Iterator[Attack]:
    """Bodies cut anywhere, and with bytes changed. What is still JSON may be answered."""
    for number in itertools.count():
        route = draw.choice(ROUTES)
        body = bytearray(valid(route))
        if number % 2 == 0:
            body = body[: draw.randrange(len(body))]
            allowed = frozenset({400})
        else:
            for _ in range(draw.randint(1, 6)):
                body[draw.randrange(len(body))] = draw.randrange(256)
            # An unknown key may be refused before the place where it is no JSON.
            allowed = ANY if is_json(body) else frozenset({400, 422})
        yield Attack(request(route, bytes(body)), allowed)


def invalid_utf8(draw: random.Random) -> Iterator[Attack]:
    """Bytes that are no UTF-8, within strings and outside."""
    pieces = [
        b"\xff",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x80",
    ]
    for number in itertools.count():
        route = draw.choice(ROUTES)
        piece = draw.choice(pieces) * draw.choice([1, 1, 1, 100, 10_000])
        body = valid(route)
        place = body.index(b"a") if number % 4 else draw.randrange(len(body))
        yield attack(request(route, body[:place] + piece + b'"' * (number % 2) + body[place:]), 400)


def deep_json(draw: random.Random) -> Iterator[Attack]:
    """Lists in lists, objects in objects; closed or not."""
    while True:
        route = draw.choice(ROUTES)
        key = draw.choice(sorted(BODIES[route]))
        depth = draw.choice([5, 60, 127, 128, 129, 1000, 50_000, 900_000])
        opened, closed = draw.choice([(b"[", b"]"), (b'{"a":', b"}")])
        inner = opened * depth + (b"1" + closed * depth if draw.random() < 0.6 else b"")
        body = b'{"' + key.encode() + b'": ' + inner + b"}"
        # A key that takes no list may be refused before the depth is seen.
        yield attack(request(route, body), *({413, CLOSED} if len(body) > 2_000_000 else {400, 422}))


WRONG: Sequence[Any] = [
    None, 0, 1, -1, 1.5, 1e300, 2**70, -(2**70), True, "", "x", "\u0000", "a" * 5000, [], [[]], [None], [1], [True], [["a", 1]],
    {}, {"a": 1}, {"text": "a"}, ["a"] * 3, [["a"], ["b", "c"]], [["a", "b", "c"]], [[["a"]]], ["a", ["b"]], [""] * 1000,
]  # fmt: skip


def wrong_types(draw: random.Random) -> Iterator[Attack]:
    """Every key with values of every kind, keys that are missing or unknown, and bodies that are no objects."""
    cases = list(itertools.product(ROUTES, WRONG))
    while True:
        draw.shuffle(cases)
        for route, value in cases:
            key = draw.choice(sorted(BODIES[route]))
            never = key in TEXT_KEYS and (isinstance(value, (bool, int, float, dict)) or value == [1])
            yield Attack(json_request(route, {**BODIES[route], key: value}), frozenset({422}) if never else ANY)
            required = draw.choice(sorted(TEXT_KEYS & set(BODIES[route])))
            left = {name: one for name, one in BODIES[route].items() if name != required}
            yield attack(json_request(route, left), 422)
            unknown = {**BODIES[route], draw.choice(["input_s", "Inputs", "__proto__", "a" * 5000, "\u0000"]): value}
            yield attack(json_request(route, unknown), 422)
            if not isinstance(value, dict):
                yield attack(json_request(route, value), 422)
            twice = valid(route)[:-1] + b', "model": ' + json.dumps(value).encode() + b"}"
            yield Attack(request(route, twice), ANY)


TEXTS = [
    "", " ", "\u0000", "\u0000" * 500, "\ufeff", "\u202e" * 50, "\u200d" * 400, "a" + "\u0301" * 3000, "👩‍👩‍👧‍👦" * 200, "\U0010ffff" * 100, "[MASK]" * 300,
    "[MASK]", "[CLS] [SEP] [PAD] [UNK]", "[PAD]" * 100, "é" * 2000, "東京" * 1000, "a" * 100_000, "a " * 50_000, "\r\n" * 200, "\\" * 500, '"' * 500, "##" * 200,
    "\u0085\u2028\u2029" * 30, "ﷺ" * 300, "Ⅷ①㎏" * 100, "İıſK" * 100, "ß" * 1000, "{}" * 100, "%s%n" * 50, "$(reboot)", "'; DROP TABLE x; --",
]  # fmt: skip


def hostile_texts(draw: random.Random) -> Iterator[Attack]:
    """Valid requests whose texts are strange."""
    while True:
        route = draw.choice(ROUTES)
        body = dict(BODIES[route])
        for key in TEXT_KEYS & set(body):
            texts = [draw.choice(TEXTS) for _ in range(draw.choice([0, 1, 2, 2, 3, 200]))]
            body[key] = texts if isinstance(body[key], list) else draw.choice(TEXTS)
            if key == "inputs" and draw.random() < 0.3:
                body[key] = texts
        if "truncate" in body:
            body["truncate"] = draw.random() < 0.5
        data = json.dumps(body, ensure_ascii=draw.random() < 0.5).encode()
        # Halves of a pair of surrogates are no text.
        if draw.random() < 0.1:
            data = data.replace(b'": "', b'": "\\ud800', 1)
        yield Attack(request(route, data), ANY)


def numbers(draw: random.Random) -> Iterator[Attack]:
    """Counts and places far outside."""
    values = [
        "0",
        "-1",
        "101",
        "1e5",
        "1.0",
        "1e400",
        "18446744073709551615",
        "18446744073709551616",
        "-0",
        "NaN",
        "Infinity",
        "0x10",
        "01",
        "1_000",
        '"5"',
    ]
    counts = [
        ("/fill-mask", "top_k"),
        ("/qa", "top_k"),
        ("/qa", "max_answer_len"),
        ("/attention", "layer"),
        ("/v1/embeddings", "dimensions"),
    ]
    while True:
        route, key = draw.choice(counts)
        value = draw.choice(values)
        body = json.dumps({**BODIES[route], key: "HERE"}).replace('"HERE"', value).encode()
        no_json = value in ("NaN", "Infinity", "0x10", "01", "1_000", "1e400")
        yield attack(request(route, body), *({400, 422} if no_json else {200, 400, 422}))


def methods_and_paths(draw: random.Random) -> Iterator[Attack]:
    """Methods that a route does not have, and routes that there are none of."""
    gets = ["/", "/health", "/info", "/metrics", "/openapi.json", "/page.js"]
    paths = [
        "/nothing", "//embed", "/embed/", "/EMBED", "/embed%00", "/%2e%2e/%2e%2e/etc/passwd", "/../../etc/passwd", "/page/../index.html", "/page.js/..", "/" + "a" * 5000,
        "/?" + "q" * 5000, "/%", "/%zz", "/embed?x=1", "/\u00e9", "/index.html%0d%0aX: 1", "*", "embed", "http://other.example/health", "/v1/embeddings/../../embed",
    ]  # fmt: skip
    while True:
        kind = draw.random()
        body = b"{}"
        if kind < 0.35:
            method = draw.choice(["GET", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW", "get", "HEAD"])
            yield attack(request(draw.choice(ROUTES), None, method), 400, 404, 405, CLOSED, method=method)
        elif kind < 0.5:
            yield attack(request(draw.choice(gets), body, "POST"), 405)
        elif kind < 0.6:
            method = draw.choice(["GET", "HEAD"])
            yield attack(
                request(draw.choice(gets), draw.choice([None, b"x" * 10, b"x" * 100_000]), method), 200, method=method
            )
        else:
            method = draw.choice(["GET", "POST"])
            path = draw.choice(paths)
            yield attack(
                request(path, body if method == "POST" else None, method), 200, 400, 404, 405, 414, 422, 431, CLOSED
            )


def content_types(draw: random.Random) -> Iterator[Attack]:
    """Bodies that say that they are something else, or nothing, and encodings of bodies."""
    kinds = [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "json",
        "\x01",
        "a" * 3000,
    ]
    while True:
        route = draw.choice(ROUTES)
        if draw.random() < 0.7:
            yield attack(request(route, valid(route), headers={"Content-Type": draw.choice(kinds)}), 400, 415)
        elif draw.random() < 0.5:
            same = draw.choice(
                ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;charset=latin1"]
            )
            yield attack(request(route, valid(route), headers={"Content-Type": same}), 200, 415)
        else:
            encoding = {"Content-Encoding": draw.choice(["gzip", "br", "deflate", "x" * 100])}
            yield attack(request(route, b"\x1f\x8b\x08\x00" + draw.randbytes(50), headers=encoding), 400, 415)


def headers(draw: random.Random) -> Iterator[Attack]:
    """Headers too many, too long, forbidden, twice."""
    while True:
        route = draw.choice(ROUTES)
        body = valid(route)
        extra = draw.choice(
            [
                ({f"X-{number}": "y" for number in range(draw.choice([90, 150, 5000]))}, {200, 400, 431, CLOSED}),
                ({"X-Long": "y" * draw.choice([5000, 100_000, 1_000_000])}, {200, 400, 431, CLOSED}),
                ({"X-Nul": "a\x00b"}, {400, CLOSED}),
                ({"X Space": "y"}, {400, CLOSED}),
                ({"": "y"}, {200, 400, CLOSED}),
                ({"Expect": "100-continue"}, {200}),
                ({"Expect": "a miracle"}, {200, 417}),
                ({"Connection": "upgrade", "Upgrade": "websocket"}, {200, 400}),
                ({"Connection": "close"}, {200}),
                ({"Connection": "\x80\xff"}, {200, 400, CLOSED}),
                ({"Range": "bytes=0-1"}, {200}),
                ({"Host": draw.choice(["", "a b", "x" * 2000, "[::1", "\x80"])}, {200, 400, CLOSED}),
                ({"Origin": "http://other.example"}, {200}),
                ({"Cookie": "a=" + "b" * 3000}, {200, 431}),
                ({"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=x"}, {200}),
                ({"Authorization": "Bearer " + "x" * 1000}, {200}),
            ]
        )
        yield attack(request(route, body, headers=extra[0]), *extra[1])


def garbage(draw: random.Random) -> Iterator[Attack]:
    """No HTTP at all."""
    while True:
        data = draw.choice(
            [
                draw.randbytes(draw.choice([1, 50, 5000])),
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + draw.randbytes(200),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
                b"GET /\r\n\r\n",
                b"GET /health HTTP/9.9\r\n\r\n",
                b"GET /health HTTP/1.1 x\r\nHost: a\r\n\r\n",
                b"GET  /health  HTTP/1.1\r\nHost: a\r\n\r\n",
                b"\r\n" * 100,
                b"GET /health HTTP/1.1\r\nHost a\r\n\r\n",
                b"GET /health HTTP/1.1\r\n : a\r\n\r\n",
                b"SSH-2.0-OpenSSH_9.2\r\n",
                b"\x00" * 3000,
                b"A" * draw.choice([9000, 500_000]),
                b'{"inputs": "Anna"}\n',
                b"EHLO localhost\r\nQUIT\r\n",
            ]
        )
        # What never ends its head is ended by the time-out.
        yield attack(data, 400, 404, 405, 408, 414, 431, 505, CLOSED)


# Bodies that are small enough, and whose work or answer would be many times as large.
AMPLIFIED: Sequence[tuple[str, Mapping[str, Any], frozenset[int]]] = [
    ("/fill-mask", {"inputs": ["[MASK]" * 40] * 128, "top_k": 100}, frozenset({413})),
    ("/fill-mask", {"inputs": "[MASK]" * 250_000, "top_k": 100}, frozenset({413})),
    ("/rerank", {"query": "a " * 900_000, "texts": ["b"] * 128, "truncate": True}, frozenset({413})),
    ("/choice", {"prompt": "a " * 900_000, "choices": ["b"] * 128, "truncate": True}, frozenset({413})),
    ("/qa", {"question": "who " * 8, "context": "a " * 250_000}, frozenset({413, 422})),
    ("/qa", {"question": "who " * 250_000, "context": "a"}, frozenset({422})),
    ("/qa", {"context": "a b " * 400, "top_k": 100, "max_answer_len": 512}, frozenset({200, 413})),
    ("/tokens", {"ignore_labels": ["x"] * 300_000}, frozenset({413})),
]


def huge(draw: random.Random) -> Iterator[Attack]:
    """More than fits: bodies, texts, lists, and what would become more than fits."""
    while True:
        route = draw.choice(ROUTES)
        text = draw.choice(sorted(TEXT_KEYS & set(BODIES[route])))
        kind = draw.randrange(8)
        if kind == 0:
            yield attack(request(route, b"[" + b" " * 3_000_000 + b"]"), 413, CLOSED)
        elif kind == 1:
            length = draw.choice(
                ["2000001", "10000000000", "9223372036854775807", "18446744073709551615", "99999999999999999999999"]
            )
            yield attack(request(route, b"{", headers={"Content-Length": length}), 400, 413, 431, CLOSED)
        elif kind == 2:
            chunks = b"".join(b"10000\r\n" + b" " * 65536 + b"\r\n" for _ in range(45))
            chunked = {"Content-Length": "", "Transfer-Encoding": "chunked"}
            yield attack(request(route, b"", headers=chunked) + chunks, 413, CLOSED)
        elif kind == 3:
            body = {**BODIES[route], text: draw.choice(["a", "a ", "é", "😀", "[MASK]"]) * 250_000}
            yield Attack(json_request(route, body), frozenset({200, 413, 422}))
        elif kind == 4:
            yield attack(json_request(route, {**BODIES[route], text: [draw.choice(["a", ""])] * 200_000}), 413, 422)
        elif kind == 5:
            yield attack(json_request(route, {**BODIES[route], "unknown": list(range(200_000))}), 422)
        else:
            route, change, allowed = draw.choice(AMPLIFIED)
            yield Attack(json_request(route, {**BODIES[route], **change}), allowed)


FAMILIES = {
    "broken JSON": (broken_json, 0.22),
    "invalid UTF-8": (invalid_utf8, 0.06),
    "deep JSON": (deep_json, 0.04),
    "wrong types and keys": (wrong_types, 0.22),
    "hostile texts": (hostile_texts, 0.12),
    "numbers": (numbers, 0.05),
    "methods and paths": (methods_and_paths, 0.07),
    "content types": (content_types, 0.03),
    "headers": (headers, 0.05),
    "no HTTP": (garbage, 0.05),
    "huge": (huge, 0.02),
}
