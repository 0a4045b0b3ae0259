"""What `pktexp check` finds out, as rows; found by check.py and checkkernel.py."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Whether something is as it should be."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Row:
    """One fact."""

    section: str
    name: str
    state: State
    needed: bool
    """whether `serve` cannot do without"""
    detail: str = ""
    remedy: str = ""
    """what to do, where it is not so"""


class Place(NamedTuple):
    """An interface, and where `serve` would count it; hooks are empty where it would not."""

    name: str
    kind: str
    interface_class: str
    driver: str
    ingress: str
    egress: str
    why: str


@dataclass(frozen=True)
class Checked:
    """All of it."""

    rows: list[Row]
    places: list[Place]

    @property
    def works(self) -> bool:
        """Whether `serve` would."""
        return all(row.state is State.YES for row in self.rows if row.needed)

    @property
    def lacking(self) -> list[Row]:
        """What is known to be missing, of that which is needed."""
        return [row for row in self.rows if row.needed and row.state is State.NO]


def row(
    section: str,
    name: str,
    found: bool | None,
    detail: str = "",
    remedy: str = "",
    needed: bool = True,
) -> Row:
    """A row; the remedy is kept only where it is wanted, and `found` is None if nobody can tell."""
    state = State.UNKNOWN if found is None else State.YES if found else State.NO
    return Row(section, name, state, needed, detail, remedy if state is State.NO else "")
