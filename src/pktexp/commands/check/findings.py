"""Findings of `pktexp check`: single requirements, and the hooks each interface would have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Whether a requirement is met."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One requirement, or one feature that `serve` uses where the kernel has it."""

    section: str
    name: str
    state: State
    needed: bool
    """whether `serve` fails without it"""
    detail: str = ""
    remedy: str = ""
    """how to meet the requirement; empty unless the state is NO"""


class Place(NamedTuple):
    """An interface and the hooks `serve` would attach to; empty hooks mean it is not counted."""

    name: str
    kind: str
    interface_class: str
    driver: str
    ingress: str
    egress: str
    why: str


@dataclass(frozen=True)
class Checked:
    """The result of one check."""

    findings: list[Finding]
    places: list[Place]

    @property
    def works(self) -> bool:
        """Whether every needed requirement is met."""
        return all(finding.state is State.YES for finding in self.findings if finding.needed)

    @property
    def missing(self) -> list[Finding]:
        """Needed requirements that are known not to be met."""
        return [each for each in self.findings if each.needed and each.state is State.NO]


def finding(
    section: str,
    name: str,
    found: bool | None,
    detail: str = "",
    remedy: str = "",
    needed: bool = True,
) -> Finding:
    """Build a finding; `found` is None if it cannot be determined.

    The remedy is dropped unless the requirement is not met.
    """
    state = State.UNKNOWN if found is None else State.YES if found else State.NO
    return Finding(section, name, state, needed, detail, remedy if state is State.NO else "")
