"""Check whether `serve` would count traffic by cgroup. It works without, so nothing is needed."""

from __future__ import annotations

from pktexp.bpf.cgroups import CgroupPrograms, is_exclusive
from pktexp.bpf.libbpf import Libbpf
from pktexp.commands.check.findings import Finding, finding
from pktexp.errors import PktexpError
from pktexp.units import hierarchy
from pktexp.units.start import EXCLUSIVE, SHOW

SECTION = "programs"
NAME = "cgroups"
PURPOSE = "traffic by systemd unit, container and pod"


def check(lib: Libbpf, limit: int, allowed: bool) -> Finding:
    """Load the programs and unload them; look for others that allow none beside them."""
    try:
        root = hierarchy.find()
        if not allowed:
            detail = "not loaded without the capabilities"
            return finding(SECTION, NAME, None, detail, needed=False)
        CgroupPrograms(lib, limit).close()
        if is_exclusive(lib, root):
            raise PktexpError(EXCLUSIVE, SHOW % root)
    except PktexpError as error:
        return finding(SECTION, NAME, False, f"{PURPOSE}: {error}", error.hint, needed=False)
    except OSError as error:
        remedy = "use a kernel with CONFIG_CGROUP_BPF; --log-level debug shows libbpf's messages"
        return finding(SECTION, NAME, False, f"{PURPOSE}: {error}", remedy, needed=False)
    return finding(SECTION, NAME, True, PURPOSE, needed=False)
