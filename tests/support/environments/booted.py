"""Boots a real systemd in a network namespace, in a layer above this system's files."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.netns.namespace import Namespace, run
from support.patience import PATIENCE, finished, wait_for

BOOT = Path(__file__).parent / "boot"
NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--cgroup")
ENTER = 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"'


class Machine:
    """A machine whose first process has the given id, and commands to run in it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def command(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--net", *NAMESPACES, *command]

    def run(self, *command: str) -> str:
        return run(*self.command(*command))

    def show(self, unit: str, name: str) -> str:
        """Return one of a unit's properties."""
        return self.run("systemctl", "show", unit, "--property", name, "--value").strip()

    def journal(self, unit: str) -> list[dict[str, Any]]:
        """Return the journal of a unit, with systemd's entries about it."""
        lines = self.run("journalctl", "--unit", unit, "--output", "json", "--quiet").splitlines()
        return [json.loads(line) for line in lines]

    def said(self, unit: str, text: str) -> list[dict[str, Any]]:
        """Return the journal entries of a unit that contain a text."""
        return [entry for entry in self.journal(unit) if text in str(entry["MESSAGE"])]


@contextlib.contextmanager
def booted(namespace: Namespace, folder: Path, files: Path) -> Iterator[Machine]:
    """Boot systemd while the context is open; yields once it is up.

    `folder`: an empty one; `files`: a folder that is laid over the system.
    """
    with _cgroup() as cgroup:
        unshare = ["unshare", "--fork", "--kill-child", *NAMESPACES]
        command = namespace.command(*unshare, str(BOOT), str(folder), str(files))
        with subprocess.Popen(["sh", "-c", ENTER, "sh", str(cgroup), *command]) as process:
            try:
                machine = Machine(wait_for(lambda: _child(process)))
                wait_for(lambda: _up(machine))
                yield machine
            finally:
                process.kill()  # which kills the first process, and that all others
                process.wait(PATIENCE)


def _child(process: subprocess.Popen[bytes]) -> int:
    assert process.poll() is None, "systemd could not be booted"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0]) if children else 0


def _up(machine: Machine) -> bool:
    asked = machine.command("systemctl", "is-system-running")
    done = finished(asked, capture_output=True)
    return done.stdout.strip() in ("running", "degraded")


@contextlib.contextmanager
def _cgroup() -> Iterator[Path]:
    """Yield a control group of its own, and remove all groups that systemd made below."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    (hierarchy,) = [Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2"][:1]
    cgroup = hierarchy / f"pktexp-test-{os.getpid()}"
    cgroup.mkdir()
    try:
        yield cgroup
    finally:
        wait_for(lambda: not _processes(cgroup))
        for folder, _, _ in os.walk(cgroup, topdown=False):
            Path(folder).rmdir()


def _processes(cgroup: Path) -> bool:
    return "populated 1" in (cgroup / "cgroup.events").read_text()
