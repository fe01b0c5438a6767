"""HTTP by hand, over sockets: what well-behaved clients never send."""

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 30.0
Address = tuple[str, int]


@dataclass(frozen=True)
class Response:
    """One answer."""

    code: int
    headers: Mapping[str, str]
    body: bytes


def request(path: str, body: bytes | None = None, method: str = "POST", headers: Mapping[str, str] = {}) -> bytes:
    """A whole request. A header of `headers` that is empty is left out, also if it would be there by default."""
    given = {"Host": "localhost"}
    if body is not None:
        given |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in (given | dict(headers)).items() if value != ""]
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""])
    return head.encode("latin-1", "replace") + (body or b"")


def json_request(path: str, value: Any, **options: Any) -> bytes:
    """A request with this value as its JSON."""
    return request(path, json.dumps(value).encode(), **options)


class Connection:
    """A connection whose answers are read one by one."""

    def __init__(self, address: Address, timeout: float = TIMEOUT_S, receive_buffer: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(timeout)
        self._socket.connect(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def send(self, data: bytes) -> bool:
        """Sends as much as the server takes; `False` if it closed the connection before the end."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def _more(self) -> bool:
        try:
            part = self._socket.recv(1 << 16)
        except ConnectionResetError:
            part = b""
        self._read += part
        return part != b""

    def response(self, method: str = "POST") -> Response | None:
        """The next answer; `None` if the server closes the connection. `TimeoutError` if it does neither."""
        while True:
            while b"\r\n\r\n" not in self._read:
                if not self._more():
                    return None
            head, _, rest = self._read.partition(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").split("\r\n")
            code = int(status.split(" ")[1])
            if code != 100:
                break
            self._read = rest
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        bodiless = method == "HEAD" or code in (204, 304)
        length = 0 if bodiless else int(headers.get("content-length", "0"))
        while len(rest) < length:
            if not self._more():
                return None
            rest = self._read.partition(b"\r\n\r\n")[2]
        self._read = rest[length:]
        return Response(code, headers, rest[:length])

    def half_close(self) -> None:
        """Says that nothing more is sent."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self) -> None:
        """Closes it as a crashed client does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Closes it."""
        self._socket.close()


def ask(address: Address, data: bytes, method: str = "POST") -> Response | None:
    """The answer to one request on a connection of its own."""
    connection = Connection(address)
    try:
        connection.send(data)
        return connection.response(method)
    finally:
        connection.close()
