"""What an operator can choose; filled by cli.py, the only reader of flags and environment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pktexp.bpf.hookchoice import IngressMode
from pktexp.packet.enums import Tunnel


class FlowMode(StrEnum):
    """What tells one flow from another."""

    OFF = "off"
    HOSTS = "hosts"
    SERVICES = "services"
    SOCKETS = "sockets"


class EventMode(StrEnum):
    """What one record from the kernel stands for."""

    PACKET = "packet"
    FLOW = "flow"


class Format(StrEnum):
    """How a replay's outcome is shown."""

    PROMETHEUS = "prometheus"
    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True)
class Settings:
    """One run of `pktexp serve`; sizes in bytes."""

    port: int
    listen: str
    interfaces: tuple[str, ...]
    exclude_interfaces: tuple[str, ...]
    max_interfaces: int
    ingress: IngressMode
    egress: bool
    decap: frozenset[Tunnel]
    flows: FlowMode
    max_flows: int
    events: EventMode
    flow_cache: int
    workers: int
    ring_size: int
    networks: Path | None
    web_config: Path | None
    telemetry_path: str
    max_connections: int
    pin: Path | None
    kubernetes: bool
    node_name: str
