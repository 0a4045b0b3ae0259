"""Cgroups that a test makes below a folder of its own and removes, and processes in them."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from pktexp.units import hierarchy
from support.patience import PATIENCE, finished, wait_for

ENTER = 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"'
# Prefix of a command in a namespace: `ip netns exec` hides /sys/fs/cgroup behind a new sysfs.
MOUNTED = ("sh", "-c", 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"', "sh")
_numbers = itertools.count()


class Cgroup:
    """A cgroup; `path` is relative to the root, `folder` its directory."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.folder = Path(f"{hierarchy.find()}{path}")

    def make(self, name: str) -> Cgroup:
        """Make a cgroup below."""
        made = Cgroup(f"{self.path}/{name}")
        made.folder.mkdir(parents=True)
        return made

    def command(self, *command: str | Path) -> list[str]:
        """Return the command that first enters the cgroup."""
        return ["sh", "-c", ENTER, "sh", str(self.folder), *map(str, command)]

    def run(self, *command: str | Path) -> str:
        done = finished(self.command(*command), capture_output=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return str(done.stdout)

    @contextlib.contextmanager
    def running(self, *command: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Run a command in the cgroup while the context is open; then end it."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(self.command(*command), text=True, **pipes) as process:  # type: ignore[call-overload]
            try:
                yield process
            finally:
                process.kill()
                process.wait(PATIENCE)

    def remove(self) -> None:
        """Remove the cgroup and all below, once no process is left there."""
        events = self.folder / "cgroup.events"
        wait_for(lambda: "populated 0" in events.read_text())
        for folder, _, _ in os.walk(self.folder, topdown=False):
            Path(folder).rmdir()


@contextlib.contextmanager
def making(name: str = "") -> Iterator[Cgroup]:
    """Yield a cgroup of the test's own; remove it and all below at the end."""
    own = Cgroup(f"/pktexp-test-{os.getpid()}-{next(_numbers)}{name}")
    own.folder.mkdir()
    try:
        yield own
    finally:
        own.remove()


def script(code: str, *arguments: object) -> Sequence[str]:
    """Return a command that runs Python code."""
    return ("python3", "-c", code, *map(str, arguments))


def remove_everywhere(name: str) -> None:
    """Remove a folder of control groups from the hierarchies of both versions."""
    root = hierarchy.find()
    hierarchies = [root, *root.parent.iterdir()] if root.name == "unified" else [root]
    for top in hierarchies:
        for folder, _, _ in os.walk(top / name, topdown=False):
            Path(folder).rmdir()
