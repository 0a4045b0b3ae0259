"""pktexp_interface_speed_bytes, compared with ethtool."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pktexp.netlink import genetlink
from pktexp.netlink.linkspeed import LinkSpeeds
from support.netns.namespace import Namespace
from support.netns.tun import tun
from support.service.onbus import on_bus
from support.service.process import select, serving

Pair = tuple[Namespace, Namespace]
SPEED = "pktexp_interface_speed_bytes"


def by_ethtool(namespace: Namespace, interface: str) -> int:
    """Bytes a second."""
    shown = re.search(r"Speed: (\d+)Mb/s", namespace.run("ethtool", interface))
    assert shown
    return int(shown[1]) * 1_000_000 // 8


def speed_of(namespace: Namespace, *interfaces: str) -> dict[str, int]:
    names = {namespace.link(name)["ifindex"]: name for name in interfaces}
    with namespace.entered():
        return {names[link]: speed for link, speed in LinkSpeeds().of(list(names)).items()}


@pytest.mark.parametrize("megabits", ["10", "1000", "2500", "400000"])
def test_speed_matches_ethtool(namespaces: Callable[[], Namespace], megabits: str) -> None:
    namespace = namespaces()
    with tun(namespace, "tun7"):
        namespace.run("ethtool", "-s", "tun7", "speed", megabits, "autoneg", "off")
        assert speed_of(namespace, "tun7") == {"tun7": int(megabits) * 125_000}
        assert by_ethtool(namespace, "tun7") == int(megabits) * 125_000


def test_links_without_a_known_speed_are_omitted(pair: Pair) -> None:
    _, b = pair
    b.ip("link", "add", "br0", "type", "bridge")  # its driver reports SPEED_UNKNOWN
    assert speed_of(b, "lo", "br0", "vb") == {"vb": by_ethtool(b, "vb")}
    with b.entered():
        assert LinkSpeeds().of([4_000_000]) == {}  # no such interface


def test_page_shows_the_speed_of_hardware_only(pair: Pair, tmp_path: Path) -> None:
    _, b = pair
    with tun(b, "tun7"), serving(b, prefix=on_bus(tmp_path, "vb")) as service:
        page = service.page()
        assert select(page, SPEED) == {frozenset({("interface", "vb")}): by_ethtool(b, "vb")}
        assert page["pktexp_netlink_query_failures_total", frozenset()] == 0


def test_kernel_without_ethtool_netlink_logs_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def absent(*_: object) -> int:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(genetlink, "family", absent)
    with caplog.at_level("INFO"):
        speeds = LinkSpeeds()
        assert speeds.of([1]) == speeds.of([1]) == {}
    (line,) = caplog.messages
    assert line.startswith("interface speeds are not available: ")
