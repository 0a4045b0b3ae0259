"""Traffic between named networks, in namespaces with addresses in several."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from support.netns.namespace import Namespace
from support.patience import wait_for
from support.service.process import Page, select, serving, total

Pair = tuple[Namespace, Namespace]
FILE = """\
left: [10.1.0.0/16, "2001:db8:1::/48"]
right: [10.2.0.0/16]
desk: 10.2.0.2
"""

PINGS = (
    ("10.1.0.2", "10.2.0.2", 3),
    ("10.1.0.3", "10.2.0.3", 4),
    ("192.0.2.1", "192.0.2.2", 5),
    ("2001:db8:1::1", "2001:db8:2::1", 6),
)


@pytest.fixture
def joined(pair: Pair) -> Pair:
    """Addresses of several networks, on one wire."""
    for here, name, side in ((pair[0], "va", 1), (pair[1], "vb", 2)):
        here.run("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=0")
        for address in (f"10.{side}.0.2/8", f"10.{side}.0.3/8", f"192.0.2.{side}/24"):
            here.ip("address", "add", address, "dev", name)
        here.ip("address", "add", f"2001:db8:{side}::1/32", "dev", name, "nodad")
    return pair


def between(page: Page) -> dict[tuple[str, str, str], int]:
    """(direction, source, dest) -> packets."""
    found: Counter[tuple[str, str, str]] = Counter()
    for key, packets in select(
        page, "pktexp_network_packets_total", **{"class": "virtual"}
    ).items():
        labels = dict(key)
        ends = labels["source_network"], labels["dest_network"]
        found[(labels["direction"], *ends)] += int(packets)
    return dict(found)


@pytest.mark.parametrize("flows", ["off", "hosts", "sockets"])
def test_traffic_is_summed_by_the_names_of_networks(
    joined: Pair, tmp_path: Path, flows: str
) -> None:
    a, b = joined
    file = tmp_path / "networks.yml"
    file.write_text(FILE)
    options = ("--interfaces", "vb", "--flows", flows, "--networks", str(file))
    with serving(b, *options) as service:
        service.wait_until_attached("vb")
        for source, dest, count in PINGS:
            a.run("ping", "-q", "-c", str(count), "-i", "0.01", "-I", source, dest)
        found = between(service.page())
        for way, one, other in (("ingress", 0, 1), ("egress", 1, 0)):
            for dest, count in (("desk", 3), ("right", 4)):
                ends = ("left", dest)
                assert found[way, ends[one], ends[other]] == count
            ends = ("left", "other")
            assert found[way, ends[one], ends[other]] >= 6  # with neighbour discovery
            assert found[way, "other", "other"] >= 5  # with ARP

        def sums() -> bool:
            page = service.page()
            return all(
                total(page, f"pktexp_network_{unit}_total", direction=way)
                == total(page, f"pktexp_{unit}_total", direction=way)
                for unit in ("packets", "bytes")
                for way in ("ingress", "egress")
            )

        wait_for(sums)
        assert bool(select(service.page(), "pktexp_flow_packets_total")) == (flows != "off")


def test_sighup_reads_a_changed_file_and_rejects_a_broken_one(joined: Pair, tmp_path: Path) -> None:
    a, b = joined
    file = tmp_path / "networks.yml"
    file.write_text(FILE)
    with serving(b, "--interfaces", "vb", "--networks", str(file)) as service:
        service.wait_until_attached("vb")
        a.run("ping", "-q", "-c", "2", "-i", "0.01", "-I", "10.1.0.2", "10.2.0.2")
        assert between(service.page())["ingress", "left", "desk"] == 2
        file.write_text("left: 10.1.0.0/16\nwrong: 10.2.0.0/8\n")
        os.kill(service.pid, signal.SIGHUP)
        assert "networks.yml:2:" in service.wait_for_line("networks: reload failed")
        page = service.page()
        assert between(page)["ingress", "left", "desk"] == 2
        assert not total(page, "pktexp_config_last_reload_successful", config="networks")
        file.write_text("left: 10.1.0.0/16\nserver: 10.2.0.0/16\n")
        os.kill(service.pid, signal.SIGHUP)
        service.wait_for_line("networks: reloaded")
        a.run("ping", "-q", "-c", "3", "-i", "0.01", "-I", "10.1.0.2", "10.2.0.2")
        found = between(service.page())
        assert found["ingress", "left", "server"] == 3
        assert found["ingress", "left", "other"] == 2
