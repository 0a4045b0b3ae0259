"""Files of whatever content: read, or refused by one line of error. Nothing else is raised."""

from __future__ import annotations

import contextlib
import gzip
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest

from pktexp.commands.replay import linktypes
from pktexp.commands.replay.captures import reading
from pktexp.commands.replay.packets import Record
from pktexp.errors import PktexpError
from pktexp.flows import networks
from pktexp.web import config
from pktexp.web.security import Security
from support.packets.captures import ETHERNET, RAW, write_pcap, write_pcapng
from support.packets.encapsulations import ETHER, V4, V6

WORDS = (
    *config.SECTIONS,
    *config.HEADERS,
    *("headers", "http2", "cert_file", "key_file", "cert", "key", "client_ca_file", "min_version"),
    *(
        "client_auth_type",
        "RequireAndVerifyClientCert",
        "client_allowed_sans",
        "TLS12",
        "10.0.0.0/8",
    ),
    *("2001:db8::/32", "fe80::%eth0/64", "nosniff", "~", "null", "true", "!!binary", "!!null"),
    *(
        ": ",
        ": ",
        ": ",
        "\n",
        "\n  ",
        "\n  - ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "? ",
        "&a ",
        "*a",
        "<<",
        "|-",
    ),
    *(
        '"',
        "'",
        "\\U",
        "\\u",
        "\\x",
        "d800",
        "FFFFFFFF",
        "%YAML ",
        "--- ",
        "...",
        "#",
        "!",
        "9" * 5000,
    ),
    *("\0", "\ufeff", "\x85", "$2y$10$" + "a" * 53),
)
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(string.printable, max_size=3), max_size=24)
DOCUMENTS = st.binary(max_size=64) | TEXTS.map(lambda words: "".join(words).encode())
FRAMES = [(ETHERNET, bytes(ETHER / V4)), (RAW, bytes(V6)), (ETHERNET, bytes(ETHER / V6))]

Edit = tuple[int, int, bytes]
"""offset, bytes taken out there, bytes put in"""
EDITS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 8),
        st.sampled_from((b"", b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\x80"))
        | st.binary(max_size=8),
    ),
    min_size=1,
    max_size=4,
)
lenient = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def accepted(read: Callable[[Path], Any], path: Path, content: bytes) -> Any:
    """What is read; None if it is refused."""
    path.write_bytes(content)
    with contextlib.suppress(PktexpError):
        return read(path)
    return None


@lenient
@given(content=DOCUMENTS)
@example(content=b'"\\UFFFFFFFF": 10.0.0.0/8')
@example(content=b'"\\U00110000": 10.0.0.0/8')
@example(content=b"%YAML 1." + b"1" * 5000 + b"\n--- {}")
@example(content=b'"\\ud800": 10.0.0.0/8')
@example(content=b"[" * 5000)
def test_accepted_network_names_can_be_shown(tmp_path: Path, content: bytes) -> None:
    for name in (accepted(networks.read, tmp_path / "networks", content) or {}).values():
        registry = CollectorRegistry()
        Gauge("networks", "Networks.", ["name"], registry=registry).labels(name).set(1)
        assert generate_latest(registry)


@lenient
@given(content=DOCUMENTS)
@example(content=b'tls_server_config: {cert_file: "a\\0", key_file: b}')
@example(content=b'tls_server_config: {cert_file: "\\ud800", key_file: b}')
@example(content=b'tls_server_config: {cert: "\\ud800", key: b}')
@example(content=b'basic_auth_users: {"\\ud800": $2y$10$' + b"a" * 53 + b"}")
def test_web_configuration_is_applied_or_refused(tmp_path: Path, content: bytes) -> None:
    accepted(lambda path: Security(path).read(), tmp_path / "web", content)


def packets(path: Path) -> int:
    with reading(path) as found:
        return sum(len(packet.data) for packet in found)


@pytest.mark.parametrize("form", ["pcap", "pcapng", "pcapng.gz"])
@lenient
@given(edits=EDITS)
def test_edited_capture_is_read_up_to_its_break(
    tmp_path: Path, form: str, edits: list[Edit]
) -> None:
    path = tmp_path / "capture"
    if form == "pcap":
        write_pcap(path, [frame for _, frame in FRAMES])
    else:
        write_pcapng(path, FRAMES)
    content = path.read_bytes()
    for at, size, put in edits:
        content = content[:at] + put + content[at + size :]
    written = gzip.compress(content) if form.endswith("gz") else content
    assert (accepted(packets, path, written) or 0) <= len(content)


@given(
    number=st.sampled_from(sorted(linktypes.LINK_TYPES)),
    data=st.binary(max_size=64),
    length=st.integers(0, 100),
    fcs=st.integers(0, 30),
)
def test_record_of_any_bytes_becomes_a_packet(
    number: int, data: bytes, length: int, fcs: int
) -> None:
    packet = linktypes.packet(Record(data, length, number, fcs))
    assert packet.length in (max(length - fcs, 0), max(length - fcs - 1, 0))
    assert len(packet.data) <= min(len(data), packet.length) + 14


@pytest.mark.parametrize("zone", ["fe80::%eth0/64", "fe80::%1/128"])
def test_a_network_with_a_zone_is_refused(tmp_path: Path, zone: str) -> None:
    assert accepted(networks.read, tmp_path / "networks", f"a: '{zone}'".encode()) is None
