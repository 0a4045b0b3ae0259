"""Interfaces without traffic have few series; those of the first packet stay."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from support.netns.namespace import Namespace
from support.patience import wait_for
from support.service.process import Service, serving

INTERFACES = 250
MOST_EACH, MOST = 16, 4500
ADD = "link add v{0} type veth peer name p{0}\nlink set v{0} addrgenmode none up\n"
QUIET = "link set p{0} addrgenmode none up\n"


@pytest.fixture
def service() -> Iterator[Service]:
    """Counts interfaces on which nothing happens: they have no addresses, so nobody solicits."""
    namespace = Namespace()
    try:
        batch = "".join((ADD + QUIET).format(i) for i in range(INTERFACES))
        command = namespace.command("ip", "-batch", "-")
        subprocess.run(command, input=batch, text=True, check=True, timeout=120)
        with serving(namespace, "--interfaces", "v*") as started:
            yield started
    finally:
        namespace.remove()


def series(service: Service) -> set[str]:
    return {line.rpartition(" ")[0] for line in service.text().splitlines() if line[0] != "#"}


def test_idle_interfaces_have_few_series(service: Service) -> None:
    found = series(service)
    each = Counter(name for name in (interface(text) for text in found) if name)
    assert len(each) == INTERFACES
    assert max(each.values()) <= MOST_EACH
    assert len(found) <= MOST


def test_series_of_the_first_packet_stay(service: Service) -> None:
    with service.namespace.packet_socket("p7") as peer:
        peer.send(b"\xff" * 12 + b"\x88\xb5" + bytes(50))
    sizes = 'pktexp_packet_size_bytes_count{interface="v7",direction="ingress"}'
    wait_for(lambda: sizes in series(service))
    first = {text for text in series(service) if interface(text) == "v7"}
    assert len(first) > MOST_EACH
    assert {text for text in series(service) if interface(text) == "v7"} == first


def interface(text: str) -> str:
    return text.partition('interface="')[2].partition('"')[0]
