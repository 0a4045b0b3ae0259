"""Runs pktexp as a pod's container: user, capabilities, environment, a read-only file system."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from support.kubernetes.manifests import Document, environment
from support.kubernetes.node import api_server
from support.kubernetes.podshapes import NODE
from support.netns.namespace import Namespace
from support.patience import PATIENCE, ended, wait_for

SOURCE = Path(__file__).parents[3] / "src"
PACKAGES = sysconfig.get_path("purelib")
PYTHON = Path("/srv/python/bin") / Path(sys.executable).resolve().name
ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
# A Python that was built to lie elsewhere has its library there too.
PATHS = ("PYTHONPATH=/srv/source:/srv/packages", "LD_LIBRARY_PATH=/srv/python/lib")
# The user has to reach all of Python, wherever it and this checkout are, as in an image. Mounts are
# seen by this process alone: `ip netns exec` gives it a mount namespace.
IMAGE = f"""
set -e
mount -t tmpfs none /srv
mkdir /srv/python /srv/packages /srv/source /srv/netns
mount --rbind /run/netns /srv/netns
mount -t tmpfs none /run
mkdir -p /run/netns {ACCOUNT}
mount --rbind /srv/netns /run/netns
mount --bind "$1" {ACCOUNT}
shift
mount --bind {sys.base_prefix} /srv/python
mount --bind {PACKAGES} /srv/packages
mount --bind {SOURCE} /srv/source
mount -o remount,bind,ro /srv
[ "$1" = False ] || mount -o remount,bind,ro /
shift
exec "$@"
"""


def as_user(context: Document) -> list[str]:
    """Return the words before a command that apply a security context to root's process.

    Ambient capabilities stand in for the image's file capabilities; no_new_privs cancels them.
    """
    names = ",".join(["-all", *(f"+{name.lower()}" for name in context["capabilities"]["add"])])
    ids = [f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}", "--clear-groups"]
    if context["allowPrivilegeEscalation"]:
        kept = [f"--inh-caps={names}", f"--ambient-caps={names}"]
    else:
        kept = ["--no-new-privs"]
    return ["setpriv", *ids, f"--bounding-set={names}", *kept]


class Pod:
    """One container in a network namespace, with the requests of a kubelet."""

    def __init__(
        self, namespace: Namespace, container: Document, address: str, account: Path, port: int
    ) -> None:
        self.namespace, self.container, self.address = namespace, container, address
        fields = environment(container, hostIP=address, nodeName=NODE)
        fields |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
        context = container["securityContext"]
        self.process = subprocess.Popen(
            namespace.command(
                *("sh", "-c", IMAGE, "sh", str(account), str(context["readOnlyRootFilesystem"])),
                *as_user(context),
                *("env", "-i", *PATHS),
                *(f"{name}={value}" for name, value in fields.items()),
                *(str(PYTHON), "-m", "pktexp", *container["args"]),
            ),
            stderr=subprocess.PIPE,
            text=True,
        )

    def probe(self, name: str) -> bool:
        asked = self.container[name]["httpGet"]
        (port,) = (p for p in self.container["ports"] if p["name"] == asked["port"])
        with contextlib.suppress(OSError):
            return bool(self.get(port["containerPort"], asked["path"]))
        return False

    def get(self, port: int, path: str) -> str:
        with self.namespace.entered():
            url = f"http://{self.address}:{port}{path}"
            text: str = urllib.request.urlopen(url, timeout=PATIENCE).read().decode()
        return text

    def wait_for_probe(self, name: str) -> None:
        def passed() -> bool:
            assert self.process.poll() is None, ended(self.process)[1]
            return self.probe(name)

        wait_for(passed)


@contextlib.contextmanager
def running(namespace: Namespace, container: Document, address: str, folder: Path) -> Iterator[Pod]:
    """Run a pod beside an API server; stop it as the kubelet does. It must end with status 0."""
    with api_server(namespace, folder / "account") as api:
        yield from _running(Pod(namespace, container, address, folder / "account", api.port))


def _running(pod: Pod) -> Iterator[Pod]:
    try:
        yield pod
    finally:
        pod.process.terminate()
        status, errors = ended(pod.process)
    assert status == 0, errors
