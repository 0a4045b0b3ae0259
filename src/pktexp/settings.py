"""Settings of `pktexp serve`, and the datapath options that follow from a flow mode."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypedDict

from pktexp.bpf.ingressrules import IngressRule
from pktexp.packet.enums import Tunnel


class FlowMode(StrEnum):
    """The key that distinguishes flows; OFF means no flows."""

    OFF = "off"
    HOSTS = "hosts"
    SERVICES = "services"
    SOCKETS = "sockets"


class EventMode(StrEnum):
    """Whether the kernel sends one record per packet, or one per flow."""

    PACKET = "packet"
    FLOW = "flow"


class Format(StrEnum):
    """Output format of a replay."""

    PROMETHEUS = "prometheus"
    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True)
class Settings:
    """Options of `pktexp serve`, converted; defaults and bounds are those of the options."""

    port: int
    listen: str
    interfaces: tuple[str, ...]
    exclude_interfaces: tuple[str, ...]
    max_interfaces: int
    ingress: tuple[IngressRule, ...]
    egress: bool
    decap: frozenset[Tunnel]
    flows: FlowMode
    max_flows: int
    events: EventMode
    flow_cache: int | None
    """bytes for all CPUs; None for the default"""
    workers: int
    ring_size: int
    """bytes"""
    cgroups: bool
    max_cgroups: int
    networks: Path | None
    web_config: Path | None
    telemetry_path: str
    max_connections: int
    legacy_metrics: bool
    pin: Path | None
    kubernetes: bool
    node_name: str


class FlowOptions(TypedDict):
    """The DatapathOptions that follow from a flow mode."""

    events: bool
    ports: bool
    services: bool


def flow_options(mode: FlowMode, networks: bool = False) -> FlowOptions:
    """Return the options for a flow mode; sums of `networks` need events even without flows."""
    return {
        "events": mode is not FlowMode.OFF or networks,
        "ports": mode in (FlowMode.SERVICES, FlowMode.SOCKETS),
        "services": mode is FlowMode.SERVICES,
    }
