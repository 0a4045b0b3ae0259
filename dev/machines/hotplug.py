"""CPUs that go offline and come online."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")


def online() -> list[int]:
    """Return the numbers of the CPUs that are online."""
    parts = (CPUS / "online").read_text().strip().split(",")
    spans = [[int(n) for n in part.split("-")] for part in parts]
    return [n for span in spans for n in range(span[0], span[-1] + 1)]


def put(numbers: Sequence[int], *, online: bool) -> None:
    """Turn CPUs on or off. Raises OSError if the kernel refuses."""
    for number in numbers:
        (CPUS / f"cpu{number}/online").write_text(str(int(online)))


def toggle(numbers: Sequence[int]) -> None:
    """Turn CPUs off and on twice."""
    for state in (False, True) * 2:
        put(numbers, online=state)
