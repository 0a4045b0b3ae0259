"""The machines of docs/machines.md, and how each is emulated."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kernels import job, machine, packages
from kernels.machine import Hardware
from kernels.platforms import AMD64
from kernels.releases import BY_NAME
from machines import frames, monitor, qemu, wiring
from machines.wiring import BY_DRIVER
from support.netns.namespace import Namespace, making

SECONDS = 3600  # for one machine; it takes ten minutes, or far more beside other work
KERNEL = "6.12"  # has TCX, and all of the drivers


@dataclass(frozen=True)
class Machine:
    """A machine with so many CPUs and, if it names a driver, a pair of cards."""

    name: str
    cpus: int
    memory: str
    driver: str = ""


CARDS = tuple(Machine(driver, 4, "3G", driver) for driver in BY_DRIVER)
CPUS = (Machine("8-cpus", 8, "4G"), Machine("64-cpus", 64, "8G"))
MACHINES = {each.name: each for each in (*CARDS, *CPUS)}


def run(each: Machine, share: Path) -> int:
    """Emulate a machine until its job is done; return the status. Raises MachineError."""
    kernel = packages.fetch(BY_NAME[KERNEL])
    with making() as make:
        if each.driver:
            script, plan, hardware = "machines.cardjob", *_with_cards(each, share, make())
        else:
            plan = {"frames": frames.of_cpus(each.cpus)}
            script, hardware = "machines.cpujob", _hardware(each)
        (share / "plan.json").write_text(json.dumps(plan))
        return machine.run(kernel, share, job.script(f"python3 -m {script}"), SECONDS, hardware)


def _hardware(each: Machine, **more: tuple[str, ...]) -> Hardware:
    platform = replace(AMD64, qemu=qemu.command())
    return Hardware(platform, each.cpus, each.memory, **more)


def _with_cards(
    each: Machine, share: Path, namespace: Namespace
) -> tuple[dict[str, Any], Hardware]:
    pair, words = wiring.wire(BY_DRIVER[each.driver], namespace)
    devices = (*monitor.devices(share / "monitor"), *words)
    hardware = _hardware(each, prefix=tuple(namespace.command()), devices=devices)
    return {"pair": wiring.plan(pair), "frames": frames.of_pair(pair)}, hardware


def versions() -> tuple[str, str, str]:
    """Return the commit of pktexp, the release of the machines' kernel, the version of qemu."""
    git = ["git", "-C", str(job.REPOSITORY), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    return commit, packages.fetch(BY_NAME[KERNEL]).version, qemu.version(qemu.command())
