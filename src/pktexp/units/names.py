"""Names in the path of a cgroup: systemd unit, container and pod.

systemd names cgroups after units (https://systemd.io/CGROUP_DELEGATION). Container managers name
theirs by the container's id: docker-ID.scope, libpod-ID.scope (podman), cri-containerd-ID.scope,
crio-ID.scope, or the bare id without systemd. The kubelet's have the pod's uid, as
kubepods-burstable-podUID.slice with systemd, else kubepods/burstable/podUID.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

UNIT = re.compile(r"_?(.+\.(?:service|scope|socket|mount|swap))")
CONTAINER = re.compile(
    r"(?:(?:docker|libpod|cri-containerd|crio|nerdctl)-)?([0-9a-f]{64})(?:\.scope)?"
)
POD = re.compile(
    r"(?:kubepods(?:-[a-z]+)?-)?pod([0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12})(?:\.slice)?"
)
SHORT = 12  # characters of a container's id, as docker and podman show it


class Names(NamedTuple):
    """Names in a path; "" where it has none.

    `unit`: the unit of the system's manager, as `systemctl status` shows it, also for cgroups below
    it; `container`: the innermost; `pod_uid`: as in the API, with dashes.
    """

    unit: str = ""
    container: str = ""
    pod_uid: str = ""


def names_of(path: str) -> Names:
    """Read the names in a path such as "/system.slice/nginx.service"."""
    parts = path.split("/")
    units = [found[1] for part in parts if (found := UNIT.fullmatch(part))]
    containers = [found[1] for part in parts if (found := CONTAINER.fullmatch(part))]
    pods = [found[1] for part in parts if (found := POD.fullmatch(part))]
    return Names(
        units[0] if units else "",
        containers[-1][:SHORT] if containers else "",
        pods[-1].replace("_", "-") if pods else "",
    )


def readable(path: str) -> str:
    """Return a path with bytes that are no UTF-8 escaped."""
    return os.fsencode(path).decode(errors="backslashreplace")
