"""Wait until every program that runs now has ended, by visiting the CPUs.

XDP and TCX programs run with softirqs off (net/core/dev.c, 6.18: __dev_queue_xmit,
netif_receive_skb), where the kernel does not switch tasks. So a thread that changes something, and
then has run on every CPU, has outlived all programs that may not have seen the change. A visit
takes a fraction of a millisecond, a grace period of RCU some milliseconds.

PREEMPT_RT switches tasks there, too. Isolated CPUs are not to be disturbed. On a machine with very
many CPUs the visits would be no faster.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pktexp.bpf import probes

CPUS = Path("/sys/devices/system/cpu")
ISOLATED = ("isolated", "nohz_full")  # Documentation/ABI/testing/sysfs-devices-system-cpu
REAL_TIME = "PREEMPT_RT"  # of the version in uname(2), since kernel commit a50a3f4b6a31, 5.3
MOST = 16  # CPUs; an idle one is visited in a quarter of a millisecond


class Softirqs:
    """Waits for programs: by visits, or by `grace` where CPUs cannot be visited."""

    def __init__(self, grace: Callable[[], None]) -> None:
        self._grace = grace
        self._may_visit = REAL_TIME not in os.uname().version and not isolated()

    def finish(self) -> None:
        """Return when every program that ran at the time of the call has ended.

        Raises what `grace` raises.
        """
        if not (self._may_visit and visit_all()):
            self._grace()


def isolated(folder: Path = CPUS) -> bool:
    """Return whether CPUs are isolated, as far as sysfs tells."""
    found = (folder / name for name in ISOLATED)
    texts = (file.read_text().strip() for file in found if file.exists())
    return any(text not in ("", "(null)") for text in texts)


def visit_all() -> bool:
    """Run on each online CPU in turn; return False if this thread may not, as in a cpuset(7)."""
    before = os.sched_getaffinity(0)
    try:
        if len(cpus := probes.online_cpus()) > MOST:
            return False
        for cpu in cpus:
            os.sched_setaffinity(0, {cpu})
    except OSError:
        return False
    finally:
        with suppress(OSError):  # a cpuset that has changed meanwhile has set it
            os.sched_setaffinity(0, before)
    return True
