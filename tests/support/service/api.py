"""Documents of a service's API, and a hand-written reader of its stream."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from support.packets.cases import ETHER
from support.patience import PATIENCE, wait_for
from support.service.process import Service

Document = dict[str, Any]


def frames(sources: int, length: int = 100) -> list[bytes]:
    """Build UDP frames from so many addresses, each `length` bytes on the wire."""
    rest = UDP(sport=1234, dport=9) / Raw(bytes(length - 42))
    every = [f"198.18.{i // 250}.{i % 250 + 1}" for i in range(sources)]
    return [bytes(ETHER / IP(src=source, dst="192.0.2.2") / rest) for source in every]


def ask(service: Service, path: str) -> Document:
    document: Document = json.loads(service.get(f"api/v1/{path}").read())
    return document


def interface(service: Service, name: str) -> Document:
    (document,) = ask(service, f"interfaces?name={name}")["interfaces"]
    found: Document = document
    return found


def grown(rates: list[float | None]) -> float:
    """Return the growth behind rates of a history; a rate also covers empty seconds before it."""
    sums, missed, begun = 0.0, 0, False
    for rate in rates:
        sums += (rate or 0) * (1 + missed) if begun else rate or 0
        missed = missed + 1 if rate is None else 0
        begun = begun or rate is not None
    return sums


def received(service: Service, name: str, packets: int) -> Document:
    """Return the interface's document once the API has counted so many packets."""

    def look() -> Document | None:
        document = interface(service, name)
        return document if document["ingress"]["packets"] >= packets else None

    found = wait_for(look)
    assert found
    return found


class Reader:
    """A reader of the stream; `room`: bytes of its socket's buffer, few so that it soon is full."""

    def __init__(self, service: Service, query: str = "", room: int = 4096) -> None:
        place = urlsplit(service.url)
        with service.namespace.entered():
            self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", place.port))
        self.socket.sendall(f"GET /api/v1/stream{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def events(self) -> Iterator[Document]:
        answer = http.client.HTTPResponse(self.socket)
        answer.begin()
        assert answer.status == 200, answer.read()
        while True:
            assert answer.readline() == b"event: sample\n"
            yield json.loads(answer.readline().removeprefix(b"data: "))
            assert answer.readline() == b"\n"

    def cut(self) -> bool:
        """Return whether the connection has been reset or closed."""
        with contextlib.suppress(BlockingIOError):
            try:
                while self.socket.recv(1 << 20, socket.MSG_DONTWAIT):
                    pass
            except ConnectionResetError:
                return True
            return True
        return False

    def close(self) -> None:
        """Close the connection at once, also if another object holds the socket."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
