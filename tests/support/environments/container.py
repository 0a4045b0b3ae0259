"""Runs `serve` in a container of the image, confined as docker-compose.yaml has it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

from pktexp.privileges import NEEDED
from support.environments.podman import Podman
from support.netns.namespace import Namespace
from support.service.process import Service

IMAGE = "localhost/pktexp:test"
OURS = sum(1 << bit for bit in NEEDED.values())
CONFINED = ("--read-only", "--cap-drop", "ALL", "--cap-add", "BPF,NET_ADMIN,PERFMON")
COMMAND = "pktexp"
# podman makes a container's capabilities ambient: whatever runs in it has them. Docker does not.
PR_CAP_AMBIENT, CLEAR_ALL = 47, 4
FORGET = f"ctypes.CDLL(None).prctl({PR_CAP_AMBIENT}, {CLEAR_ALL}, 0, 0, 0)"
RUN = f"import ctypes, os, sys; {FORGET}; os.execvp('{COMMAND}', ['{COMMAND}', *sys.argv[1:]])"
AS_BY_DOCKER = json.dumps(["python3.13", "-c", RUN])
SHOW_STATUS = "print(open('/proc/self/status').read())"


class Container(Service):
    """A container that runs `serve` in a namespace; ends with the status of the container."""

    def __init__(self, podman: Podman, namespace: Namespace, *arguments: str) -> None:
        """Start a container. `arguments` of podman run: options, the image, and those of pktexp."""
        self.podman, self.name = podman, f"{namespace.name}-container"
        command = ["podman", "run", "--rm", "--name", self.name]
        command += ["--network", f"ns:/run/netns/{namespace.name}", *arguments]
        self.run(namespace, command, env=podman.environment)

    @property
    def pid(self) -> int:
        return int(self.podman.inspect(self.name)["State"]["Pid"])


@contextlib.contextmanager
def counting(podman: Podman, namespace: Namespace, *options: str) -> Iterator[Container]:
    """Run a container with the options of docker-compose.yaml; it must end with status 0."""
    names = ("--env", "PKTEXP_INTERFACES=vb", "--env", "PKTEXP_LOG_FORMAT=json")
    container = Container(podman, namespace, *CONFINED, *names, *options, IMAGE, "serve")
    try:
        container.wait_until_attached("vb")
        yield container
    finally:
        ended = container.stop()
    assert ended == 0


def capabilities(status: str) -> dict[str, int]:
    """Return the capability sets (CapEff and the like) of /proc/PID/status."""
    found = re.findall(r"^(Cap\w+):\s+(\w+)$", status, re.MULTILINE)
    return {name: int(mask, 16) for name, mask in found}
