"""podman with a store and settings of its own, so that it meets no other images."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from support.patience import finished

SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
seccomp_profile = "{folder}/seccomp.json"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
"""
# By options, as podman hands these on to the one that cleans up after a container. Where a
# storage.conf says it, that one does not know, and each end of a container takes 20 seconds.
COMMAND = """#!/bin/sh
exec {podman} --root {folder}/store --runroot {folder}/run "$@"
"""
PROFILE = Path("/usr/share/containers/seccomp.json")


class Podman:
    """Runs podman commands as a user would, in a store that `close` removes."""

    def __init__(self, folder: Path) -> None:
        """Create the store in `folder`, which needs gigabytes."""
        self.folder = folder
        (folder / "containers.conf").write_text(SETTINGS.format(folder=folder))
        command = folder / "bin" / "podman"
        command.parent.mkdir()
        command.write_text(COMMAND.format(podman=shutil.which("podman"), folder=folder))
        command.chmod(0o755)
        (folder / "seccomp.json").write_text(json.dumps(with_bpf(json.loads(PROFILE.read_text()))))
        self.environment = os.environ | {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "BUILDAH_ISOLATION": "chroot",
            "BUILDAH_LAYERS": "false",  # a layer for each step is for building again
        }

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run any command in podman's environment; it may fail."""
        env = self.environment | environment
        return finished(command, env=env, capture_output=True)

    def __call__(self, *arguments: str) -> str:
        """Run a podman command that must succeed; return its output."""
        done = self.run("podman", *arguments)
        assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def inspect(self, name: str) -> Any:
        return json.loads(self("inspect", name))[0]

    def close(self) -> None:
        """Remove everything from the store."""
        self("rm", "--all", "--force", "--time", "0")
        self("rmi", "--all", "--force")
        shutil.rmtree(self.folder)


def with_bpf(profile: dict[str, Any]) -> dict[str, Any]:
    """Return a seccomp profile that also allows bpf(2) with CAP_BPF, as that of Docker 23 does.

    podman's, in Debian 12, requires CAP_SYS_ADMIN.
    """
    for rule in profile["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name != "bpf"]
    allowed = {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}}
    return profile | {"syscalls": [*profile["syscalls"], allowed]}
