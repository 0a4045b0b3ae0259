"""The services in the terminal, from a service that counts cgroups, and from one that does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from support.kernel.cgroups import MOUNTED, Cgroup, making, script
from support.netns.namespace import Namespace
from support.patience import finished, wait_for
from support.screens.terminal import terminal
from support.service.process import Service, serving, total

TOP = (sys.executable, "-m", "pktexp", "top")
SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
while True:
    s.sendto(bytes(int(sys.argv[1])), s.getsockname())
    s.recv(65535)
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def own() -> Iterator[Cgroup]:
    with making() as cgroup:
        yield cgroup


@pytest.fixture(scope="module")
def service(own: Cgroup) -> Iterator[Service]:
    namespace, unit = Namespace(), own.make("system.slice/talker.service")
    try:
        with (
            serving(namespace, "--interfaces", "lo", prefix=MOUNTED) as service,
            unit.running(*namespace.command(*script(SENDER, 60000))),
        ):
            counted = {"unit": "talker.service"}
            wait_for(lambda: total(service.page(), "pktexp_cgroup_bytes_total", **counted))
            yield service
    finally:
        namespace.remove()


def test_services_take_the_place_of_interfaces(service: Service) -> None:
    command = service.namespace.command(*TOP, "--url", service.url)
    with terminal(command, 200, 60) as shown:
        shown.wait("live", "interfaces by traffic")
        shown.press("v")
        shown.wait("services by traffic", "talker.service")
        assert "interfaces by traffic" not in shown.text
        shown.press("v")
        shown.wait("interfaces by traffic")


def test_once_prints_the_services(service: Service) -> None:
    command = service.namespace.command(*TOP, "--url", service.url, "--once")
    done = finished(command, capture_output=True, check=True)
    assert "talker.service" in done.stdout


def test_services_that_are_not_counted_are_said_to_be(service: Service) -> None:
    with serving(service.namespace, "--interfaces", "lo") as hidden:
        command = service.namespace.command(*TOP, "--url", hidden.url)
        with terminal(command, 200, 60) as shown:
            shown.wait("live")
            shown.press("v")
            shown.wait("services: not counted")
