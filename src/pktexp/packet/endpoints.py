"""Addresses and ports of many flow keys as text, by numpy; labels.py has the same for one key.

Texts are rows of bytes, of one width. A byte of 0 stands for no character: without these bytes, a
row is the text.
"""

from __future__ import annotations

import functools
import itertools
import socket

import numpy as np
import numpy.typing as npt

from pktexp.packet.enums import LinkClass, PacketClass
from pktexp.packet.records import ARP_WITHOUT_ADDRESSES, U64, WORD, Records

Bytes = npt.NDArray[np.uint8]
Texts = Bytes
"""(row, character)"""
Ports = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]

WORDS = 8  # of an IPv6 address, 16 bits each
OPEN, PORT = 0, 50  # columns of "[" and of ":port"; the address and "]" are between them
WIDTH = PORT + WORD
POWERS = (10000, 1000, 100, 10, 1)
DIGITS = np.frombuffer(b"0123456789", np.uint8)


def padded(texts: list[bytes]) -> Texts:
    """Return texts as rows, as wide as the longest one, at least one text."""
    rows = np.array(texts, bytes)
    return rows.view(np.uint8).reshape(len(texts), rows.itemsize)


OCTETS = padded([f".{octet}".encode() for octet in range(256)]).view("u4")[:, 0]


def lines_of(*columns: Texts) -> list[str]:
    """Join columns, each with a row for every line, into lines; the last column ends them."""
    raw = np.concatenate(columns, axis=1).tobytes().translate(None, b"\0")
    return raw.decode().split("\n")[:-1]


def endpoints(keys: Records) -> tuple[Texts, Texts]:
    """Return source and destination of each FLOW_KEY; the forms are those of labels.endpoint."""
    ports = keys["ports"].astype(np.uint16)
    ipv4, ipv6 = versions(keys)
    source, dest = (
        _endpoints(keys[field], ports[:, end], ipv4, ipv6)
        for end, field in enumerate(("saddr", "daddr"))
    )
    return source, dest


def versions(keys: Records) -> tuple[Mask, Mask]:
    """Return which keys have addresses of four bytes, and which of 16."""
    classes = keys["packet_class"]
    ipv6 = classes >= PacketClass.IPV6
    arp = (classes == LinkClass.ARP) & (keys["saddr"][:, 8] != ARP_WITHOUT_ADDRESSES)
    return (classes >= PacketClass.IPV4) & ~ipv6 | arp, ipv6


def _endpoints(addresses: Bytes, ports: Ports, ipv4: Mask, ipv6: Mask) -> Texts:
    texts = np.zeros((len(addresses), WIDTH), np.uint8)
    octets = OCTETS.take(addresses[ipv4, :4]).view(np.uint8)
    octets[:, 0] = 0  # the first octet has no dot before it
    texts[ipv4, OPEN + 1 : OPEN + 1 + octets.shape[1]] = octets
    words = _ipv6(addresses[ipv6])
    texts[ipv6, OPEN + 1 : OPEN + 1 + words.shape[1]] = words
    texts[:, PORT:] = _ports().take(ports * (ipv4 | ipv6)).view(np.uint8).reshape(-1, WORD)
    bracketed = ipv6 & (ports > 0)
    texts[bracketed, OPEN], texts[bracketed, PORT - 1] = b"[]"
    return texts


@functools.cache
def _ports() -> U64:
    """Return ":port" for each port, nothing for port 0; eight characters as a word."""
    texts = np.zeros((1 << 16, WORD), np.uint8)
    texts[1:, 0] = ord(":")
    for column, power in enumerate(POWERS, 1):
        texts[:, column] = np.resize(np.repeat(DIGITS, power), len(texts))
        texts[:power, column] = 0  # no leading zeros
    words: U64 = texts.view(np.uint64)[:, 0]
    return words


def _shape(zeros: int) -> tuple[list[bytes], list[bool]]:
    """Return what precedes each word, and whether the word is written (RFC 5952, 4.2).

    Bit i of `zeros` is set if word i is 0. The first of the longest runs of such words is "::".
    """
    runs = [
        (end - start, -start, range(start, end))
        for start, end in itertools.combinations(range(WORDS + 1), 2)
        if end - start > 1 and all(zeros >> word & 1 for word in range(start, end))
    ]
    run = max(runs, default=(0, 0, range(0)))[2]
    colons = [b"" if word == 0 or word - 1 in run else b":" for word in range(WORDS)]
    for word in run:
        colons[word] = b"::" if word == run.start else b""
    return colons, [word not in run for word in range(WORDS)]


_SHAPES = [_shape(zeros) for zeros in range(1 << WORDS)]
COLONS = padded(list(itertools.chain(*(colons for colons, _ in _SHAPES)))).view("u2")
COLONS = COLONS.reshape(-1, WORDS)
WRITTEN = np.array([written for _, written in _SHAPES], "u4")
HEX = padded([b"%02x" % byte for byte in range(256)]).view("u2")[:, 0]
# Which of a word's four digits are written: by its first byte, and by its second if that is 0.
LEADING = padded([b"\0\xff\xff\xff"] * 16 + [b"\xff" * 4] * 240).view("u4")[:, 0]
TRAILING = padded([b"\0\0\0\xff"] * 16 + [b"\0\0\xff\xff"] * 240).view("u4")[:, 0]


def _ipv6(addresses: Bytes) -> Texts:
    """Write addresses of 16 bytes as inet_ntop does."""
    addresses = np.ascontiguousarray(addresses)
    high, low = addresses[:, 0::2], addresses[:, 1::2]  # of each word
    zeros = np.packbits(high | low == 0, axis=1, bitorder="little")[:, 0]
    digits = HEX.take(addresses).view("u4") & np.where(high, LEADING.take(high), TRAILING.take(low))
    pairs = np.zeros((len(addresses), WORDS, 3), "u2")  # of characters
    pairs[..., 0] = COLONS.take(zeros, axis=0)
    pairs[..., 1:] = (digits * WRITTEN.take(zeros, axis=0)).view("u2").reshape(-1, WORDS, 2)
    texts: Texts = pairs.view(np.uint8).reshape(len(addresses), WORDS * 3 * pairs.itemsize)
    # The C library writes the end of some of these as IPv4, others not; their number is small.
    for row in np.flatnonzero(~addresses[:, :10].any(axis=1)).tolist():
        text = socket.inet_ntop(socket.AF_INET6, addresses[row].tobytes()).encode()
        texts[row] = np.frombuffer(text.ljust(texts.shape[1], b"\0"), np.uint8)
    return texts
