"""What each machine found when it last ran: results.json, of which page.py makes a page."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

from machines.runs import MACHINES

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Found:
    """What a machine found; `complete`: up to the end of its job."""

    day: str
    commit: str
    """of pktexp"""
    release: str
    """of the machine's kernel"""
    qemu: str
    complete: bool
    cards: dict[str, Any]
    cpus: dict[str, Any]

    @classmethod
    def read(
        cls, folder: Path, day: date, versions: tuple[str, str, str], *, complete: bool
    ) -> Self:
        """Read what a machine left in a folder; `versions`: commit, release, qemu."""
        cards, cpus = (_read(folder / name) for name in ("cards.json", "cpus.json"))
        return cls(day.isoformat(), *versions, complete, cards, cpus)


def kept() -> dict[str, Found]:
    """Return what is known of each machine, in the order of the page."""
    found = _read(RESULTS)
    return {name: Found(**found[name]) for name in MACHINES if name in found}


def keep(name: str, found: Found) -> None:
    """Replace what is known of a machine."""
    every = _read(RESULTS) | {name: asdict(found)}
    RESULTS.write_text(json.dumps(every, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found
