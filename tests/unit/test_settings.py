"""The datapath options that follow from a flow mode."""

from __future__ import annotations

import pytest

from pktexp.settings import FlowMode, flow_options


@pytest.mark.parametrize(
    ("mode", "events", "ports", "services"),
    [
        (FlowMode.OFF, False, False, False),
        (FlowMode.HOSTS, True, False, False),
        (FlowMode.SERVICES, True, True, True),
        (FlowMode.SOCKETS, True, True, False),
    ],
)
def test_flow_mode_decides_events_and_ports(
    mode: FlowMode, events: bool, ports: bool, services: bool
) -> None:
    assert flow_options(mode) == {"events": events, "ports": ports, "services": services}


def test_networks_need_events_without_flows() -> None:
    assert flow_options(FlowMode.OFF, networks=True)["events"]
