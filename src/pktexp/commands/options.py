"""The options of `pktexp serve`, in groups that other commands accept too.

The name of an option is the name of its field in Settings, except in LOGGING.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from pktexp import logs
from pktexp.bpf.cgroupmaps import CGROUP_BYTES
from pktexp.bpf.ingressrules import IngressMode
from pktexp.bpf.options import CACHED_FLOW_BYTES, CPU_CACHE, INTERFACE_BYTES, MACHINE_CACHE
from pktexp.commands.declare import listen, option, port
from pktexp.commands.paramtypes import Ingress, MemorySize, OneOf, PowerOfTwo, Tunnels, UrlPath
from pktexp.settings import EventMode, FlowMode, Settings

FILE = click.Path(path_type=Path)

SERVING = (
    port,
    listen,
    option(
        "--networks",
        type=FILE,
        metavar="FILE",
        help="Names of networks, in YAML; the traffic between them is summed. SIGHUP reloads it.",
    ),
    option(
        "--web.config.file",
        also=("--web-config",),
        type=FILE,
        metavar="FILE",
        help="TLS, passwords and headers, in the format of the Prometheus exporters.",
    ),
    option(
        "--web.telemetry-path",
        also=("--telemetry-path",),
        type=UrlPath(),
        default="/metrics",
        metavar="PATH",
        help="Path of the metrics.",
    ),
    option(
        "--web.max-connections",
        also=("--max-connections",),
        type=click.IntRange(8, 65536),
        default=512,
        help="Open connections; when the limit is reached, the connection that has been idle "
        "longest is closed.",
    ),
    option(
        "--legacy-metrics/--no-legacy-metrics",
        default=True,
        help="Serve total_packets and total_throughput, the names of packet-exporter, too.",
    ),
    option(
        "--pin",
        type=FILE,
        metavar="PATH",
        help="Folder in a bpffs, such as /sys/fs/bpf/pktexp: programs and counters stay there, and "
        "keep counting while pktexp is restarted or upgraded. Needs TCX (Linux 6.6).",
    ),
)
"""where and how results are served; `top` has defaults for these"""

FLOWS = (
    option(
        "--decap",
        type=Tunnels(),
        default="",
        metavar="KINDS",
        help="Tunnels to decapsulate, separated by commas, or all: vxlan, geneve, gtpu, gre, ipip, "
        "6in4, ip-in-ipv6, mpls, pppoe. Flows are then those inside the tunnel.",
    ),
    option(
        "--flows",
        type=OneOf(FlowMode),
        default=FlowMode.HOSTS.value,
        help="Key of a flow: both hosts (hosts); hosts and the server's port (services); hosts "
        "and both ports (sockets).",
    ),
    option(
        "--max-flows",
        type=click.IntRange(1, 100_000),
        default=1000,
        help="Largest flows shown individually; all others are summed as other.",
    ),
)
"""how packets become flows"""

COUNTING = (
    option(
        "--interfaces",
        multiple=True,
        metavar="GLOB",
        help="Interfaces to count; all if not given. May be repeated.",
    ),
    option(
        "--exclude-interfaces",
        multiple=True,
        metavar="GLOB",
        help="Interfaces not to count. May be repeated.",
    ),
    option(
        "--max-interfaces",
        type=PowerOfTwo(16, 1 << 16),
        default=4096,
        help="Interfaces that can be counted at one time. Those that are there take "
        f"{INTERFACE_BYTES:,} bytes each for every CPU.",
    ),
    option(
        "--ingress",
        type=Ingress(),
        multiple=True,
        metavar="[GLOB=]NAME",
        default=(IngressMode.AUTO.value,),
        help="Ingress hook. auto: TCX, and native XDP with drivers that take it without touching "
        "the link; xdp: native XDP, else generic. Forcing XDP restarts the link of most cards. If "
        "a hook is not available, the next one is used; the log gives the reason. May be repeated, "
        "with a glob for some interfaces, such as eth*=xdp; the last one that matches is used.",
    ),
    option("--egress/--no-egress", default=True, help="Count egress, at TCX."),
    *FLOWS,
    option(
        "--events",
        type=OneOf(EventMode),
        default=EventMode.FLOW.value,
        help="One record per flow, or per packet, which costs ten times as much.",
    ),
    option(
        "--flow-cache",
        type=MemorySize(4 << 10, 64 << 30),
        default="auto",
        metavar="SIZE",
        help="Kernel memory in which packets are summed by flow before a record is sent, such as "
        f"64MiB; {CACHED_FLOW_BYTES} bytes a flow, dealt out over the CPUs. auto: "
        f"{CPU_CACHE >> 20}MiB a CPU, {MACHINE_CACHE >> 20}MiB at most. From 4KiB to 64GiB.",
    ),
    option(
        "--workers",
        "PE_WORKERS",
        type=click.IntRange(1, 256),
        default=1,
        help="Ring buffers, with one reader thread each; each worker serves a share of the CPUs.",
    ),
    option(
        "--ring-size",
        type=PowerOfTwo(mmap.PAGESIZE, 1 << 30),
        default=8 << 20,
        help="Size of each ring buffer, in bytes.",
    ),
    option(
        "--cgroups/--no-cgroups",
        default=True,
        help="Count the traffic of each cgroup: systemd unit, container or pod. Needs the host's "
        "cgroup2; without it, a log line gives the reason.",
    ),
    option(
        "--max-cgroups",
        type=click.IntRange(1, 1 << 14),
        default=256,
        help="Cgroups shown individually; all others are summed as other. Each uses "
        f"{CGROUP_BYTES} bytes of kernel memory for every CPU.",
    ),
    option(
        "--kubernetes",
        is_flag=True,
        default=False,
        help="Name this node's pods on flows and interfaces, as reported by the API server.",
    ),
    option(
        "--node-name",
        "NODE_NAME",
        default="",
        help="Name of this node in Kubernetes; required with --kubernetes.",
    ),
)
"""which packets are counted, and how"""

LOGGING = (
    option(
        "--log-level",
        type=click.Choice(logs.LEVELS, case_sensitive=False),
        default="info",
        help="Lowest level of the log lines to show.",
    ),
    option(
        "--log-format",
        type=click.Choice(logs.FORMATS, case_sensitive=False),
        default="text",
        help="Format of the log lines on standard error.",
    ),
)

SERVE = (*SERVING, *COUNTING, *LOGGING)


def settings_of(values: Mapping[str, Any]) -> Settings:
    """Build settings from the values of a command's options; missing ones have their defaults."""
    context = click.Context(click.Command("serve"))
    defaults = {
        str(each.name): each.type_cast_value(context, each.default)
        for each in (*SERVING, *COUNTING)
    }
    return Settings(**defaults | dict(values))
