"""Options that several commands share, and types of options; used by cli.py. See declaring.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from pktexp import logs
from pktexp.bpf.hookchoice import IngressMode
from pktexp.commands.declare import option
from pktexp.packet import labels
from pktexp.packet.enums import Tunnel
from pktexp.settings import EventMode, FlowMode, Settings

OWN_PATHS = ("/healthz", "/readyz", "/api", "/page")
# What a command has no options for that serves nothing.
NOT_SERVING: dict[str, Any] = {
    "port": 0,
    "listen": "",
    "networks": None,
    "pin": None,
    "web_config": None,
    "telemetry_path": "/metrics",
    "max_connections": 512,
}


class PowerOfTwo(click.ParamType[int]):
    """A power of two within bounds, as the kernel wants a ring's size."""

    name = "number"

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """The number; click's usage error if it is none of these."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"'{value}' is not a number", param, ctx)
        if not self.least <= number <= self.most or number & (number - 1):
            self.fail(
                f"{number} is not a power of two from {self.least} to {self.most}", param, ctx
            )
        return number


class UrlPath(click.ParamType[str]):
    """A path where a page is served."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """The path; click's usage error if it can't be one, or has a page already."""
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
            self.fail(f"'{value}' is not a path like /metrics", param, ctx)
        if f"/{value.split('/')[1]}" in OWN_PATHS:
            self.fail(f"'{value}' is another page's", param, ctx)
        return str(value)


class Tunnels(click.ParamType[frozenset[Tunnel]]):
    """Names of tunnels with commas between, or "all"."""

    name = "kinds"

    def convert(self, value: Any, param: Any, ctx: Any) -> frozenset[Tunnel]:
        """The tunnels; click's usage error if one is not known."""
        if isinstance(value, frozenset):
            return value
        known = {name: tunnel for tunnel, name in labels.TUNNELS.items()}
        wanted = {name.strip().lower() for name in value.split(",") if name.strip()}
        if wanted == {"all"}:
            return frozenset(Tunnel)
        if unknown := sorted(wanted - known.keys()):
            self.fail(f"'{unknown[0]}' is none of: all, {', '.join(known)}", param, ctx)
        return frozenset(known[name] for name in wanted)


decap = option(
    "--decap",
    type=Tunnels(),
    default="",
    metavar="KINDS",
    help="Tunnels to look into, with commas between, or all: vxlan, geneve, gtpu, gre, ipip, 6in4, "
    "ip-in-ipv6, mpls, pppoe. Flows are then those inside.",
)
flows = option(
    "--flows",
    type=click.Choice([mode.value for mode in FlowMode], case_sensitive=False),
    default=FlowMode.HOSTS.value,
    help="What tells one flow from another: its hosts; also the port of the serving side "
    "(services); both ports (sockets).",
)
max_flows = option(
    "--max-flows",
    type=click.IntRange(1, 100_000),
    default=1000,
    help="Flows shown one by one, the heaviest; the rest is summed as other.",
)
networks = option(
    "--networks",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Names of networks, in YAML: sums the traffic between them; SIGHUP reads it again.",
)
web_config = option(
    "--web.config.file",
    also=("--web-config",),
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TLS, passwords and headers, in the format of Prometheus's exporters.",
)
telemetry_path = option(
    "--web.telemetry-path",
    also=("--telemetry-path",),
    type=UrlPath(),
    default="/metrics",
    metavar="PATH",
    help="Where the metrics are.",
)
max_connections = option(
    "--web.max-connections",
    also=("--max-connections",),
    type=click.IntRange(8, 65536),
    default=512,
    help="Connections at one time; beyond, the one that has waited longest makes room.",
)
pin = option(
    "--pin",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A folder of a bpffs, as /sys/fs/bpf/pktexp: programs and counters stay there, and go on "
    "counting, while pktexp is restarted or upgraded. Needs TCX (Linux 6.6).",
)
kubernetes = option(
    "--kubernetes",
    is_flag=True,
    default=False,
    help="Name this node's pods on flows and interfaces, as the API server tells them.",
)
node_name = option(
    "--node-name",
    "NODE_NAME",
    default="",
    help="The node, as Kubernetes names it; needed with --kubernetes.",
)
log_level = option(
    "--log-level",
    type=click.Choice(logs.LEVELS, case_sensitive=False),
    default="info",
    help="Least severe lines to show.",
)
log_format = option(
    "--log-format",
    type=click.Choice(logs.FORMATS, case_sensitive=False),
    default="text",
    help="Form of the log lines on standard error.",
)


def settings_of(values: dict[str, Any]) -> Settings:
    """From the values of a command's options."""
    kinds = {"flows": FlowMode, "events": EventMode, "ingress": IngressMode}
    chosen = {name: kind(values[name]) for name, kind in kinds.items()}
    return Settings(**NOT_SERVING | values | chosen)
