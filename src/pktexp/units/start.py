"""Start counting by cgroup, or log one line that says what is missing."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from pktexp import logs
from pktexp.bpf import probes
from pktexp.bpf.cgroupdrops import CgroupDropProgram
from pktexp.bpf.cgroups import CgroupPrograms, drop_pins
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.pins import Pins
from pktexp.bpf.tracepoints import DROPS
from pktexp.errors import PktexpError
from pktexp.units import hierarchy
from pktexp.units.drops import UnitDrops
from pktexp.units.ledger import Ledger

log = logging.getLogger(__name__)

EXCLUSIVE = "another program at the root of cgroup2 allows none beside it"
SHOW = "'bpftool cgroup show %s' lists it; attach it with BPF_F_ALLOW_MULTI or by a link"
LACKING = "this kernel has no programs for cgroups (CONFIG_CGROUP_BPF)"


def start(lib: Libbpf, limit: int, pins: Pins | None) -> Ledger | None:
    """Attach the programs at the root of cgroup2; log one line and return None if that fails."""
    try:
        root = hierarchy.find()
        with lib.quiet():
            return attached(lib, limit, pins, root)
    except PktexpError as error:
        log.info(
            "traffic by cgroup is not counted: %s",
            f"{error} ({error.hint})" if error.hint else error,
        )
    except OSError as error:
        log.warning("traffic by cgroup is not counted: %s", why_not(error, root))
        logs.debug_lines(log, "the verifier", getattr(error, "log", ""))
    if pins:
        drop_pins(pins)
    return None


def attached(lib: Libbpf, limit: int, pins: Pins | None, root: Path) -> Ledger:
    """Load and attach the programs. Raises as CgroupPrograms does."""
    programs = CgroupPrograms(lib, limit, pins)
    try:
        programs.attach(root)
    except BaseException:
        programs.close()
        raise
    return Ledger(programs, root)


def why_not(error: OSError, root: Path) -> str:
    """Return in words why the kernel refused the programs."""
    if isinstance(error, BpfError) and error.attempted.startswith("attach"):
        if error.errno == errno.EPERM:
            return f"{EXCLUSIVE} ({SHOW % root})"
        if error.errno == errno.EINVAL:
            return LACKING
    return str(error)


def start_drops(lib: Libbpf, ledger: Ledger, reasons: dict[int, str]) -> UnitDrops | None:
    """Count drops by cgroup; log one line and return None if the kernel refuses.

    `reasons`: the kernel's names of its drop reasons, by number.
    """
    arguments = probes.tracepoint_arguments(lib, DROPS.name)
    try:
        with lib.quiet():
            return UnitDrops(CgroupDropProgram(lib, ledger.limit, arguments), ledger, reasons)
    except BpfError as error:
        log.warning("dropped packets by cgroup are not counted: %s", error)
        logs.debug_lines(log, "the verifier", getattr(error, "log", ""))
        return None
