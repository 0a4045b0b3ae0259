"""The clock of samples and drains: it never jumps, and includes suspend."""

from __future__ import annotations

import time


def boot_time() -> float:
    """Return seconds since the boot, including suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
