"""What an operator can choose; filled by cli.py, the only reader of flags and environment."""

from __future__ import annotations

from dataclasses import dataclass

from pktexp.grouping import FlowMode


@dataclass(frozen=True)
class Settings:
    """One run of `pktexp serve`; sizes in bytes."""

    port: int
    listen: str
    interfaces: tuple[str, ...]
    exclude_interfaces: tuple[str, ...]
    max_interfaces: int
    flows: FlowMode
    max_flows: int
    workers: int
    ring_size: int
