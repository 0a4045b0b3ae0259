"""What pktexp does in the kernel that runs, as JSON: `python -m kernels.smoke`, in a machine's job.

What `check` finds, then a service that counts frames at the hooks it chooses, and one that is to
count by native XDP, of usual and of jumbo frames. Read by page.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from support.netns.namespace import Namespace, connect, making
from support.service.process import Service, select, serving, traffic

FRAMES = [bytes(12) + b"\x88\xb5" + bytes(86)] * 10  # of an experimental type (IEEE 802)
MTUS = {"usual": 1500, "jumbo": 9000}


def pktexp(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of pktexp, when it has ended."""
    command = [sys.executable, "-m", "pktexp", *arguments, "--port", "0"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def checked() -> dict[str, Any]:
    """What `pktexp check` says, as it says it."""
    told: dict[str, Any] = json.loads(pktexp("check", "--json").stdout)
    return told


def hooks(service: Service, interface: str) -> dict[str, str]:
    """The hook of each direction."""
    found = select(service.page(), "pktexp_interface_attached", interface=interface)
    labels = [dict(key) for key, attached in found.items() if attached]
    return {each["direction"]: each["hook"] for each in labels}


def counted(make: Callable[[], Namespace]) -> dict[str, Any]:
    """Where packets are counted, and how many of those that came."""
    peer, here = make(), make()
    connect(peer, here, "va", "vb")
    with serving(here, "--interfaces", "vb") as service:
        peer.send("va", FRAMES)
        packets = sum(packets for packets, _ in traffic(service.page(), "vb").values())
        return {"hooks": hooks(service, "vb"), "sent": len(FRAMES), "counted": packets}


def by_native_xdp(make: Callable[[], Namespace]) -> dict[str, str]:
    """The hook at ingress of a veth, by MTU, when it is to be native XDP."""
    peer, here = make(), make()
    for name, mtu in MTUS.items():
        connect(peer, here, f"{name}-a", f"{name}-b", mtu)
    with serving(here, "--ingress", "xdp-native", "--no-egress") as service:
        return {name: hooks(service, f"{name}-b")["ingress"] for name in MTUS}


def main() -> int:
    """Tell all that works, and how it failed otherwise; 1 if nothing can be counted."""
    told: dict[str, Any] = {"check": checked()}
    if told["check"]["works"]:
        with making() as make:
            told |= {"service": counted(make), "xdp": by_native_xdp(make)}
    else:
        told["error"] = pktexp("serve", "--interfaces", "lo").stderr.splitlines()[-1]
    json.dump(told, sys.stdout, indent=2)
    return int("error" in told)


if __name__ == "__main__":
    sys.exit(main())
