"""Settings of a service, but for what a test changes."""

from __future__ import annotations

from typing import Any

from pktexp.bpf.hookchoice import IngressMode
from pktexp.settings import EventMode, FlowMode, Settings


def settings(**changed: Any) -> Settings:
    values: dict[str, Any] = {
        "port": 0,
        "listen": "",
        "interfaces": (),
        "exclude_interfaces": (),
        "max_interfaces": 64,
        "ingress": IngressMode.AUTO,
        "egress": True,
        "decap": frozenset(),
        "flows": FlowMode.HOSTS,
        "max_flows": 1000,
        "events": EventMode.FLOW,
        "flow_cache": 1024,
        "workers": 1,
        "ring_size": 1 << 16,
        "networks": None,
        "web_config": None,
        "telemetry_path": "/metrics",
        "max_connections": 512,
        "pin": None,
        "kubernetes": False,
        "node_name": "",
    }
    return Settings(**values | changed)
