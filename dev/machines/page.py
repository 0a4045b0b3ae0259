"""docs/machines.md, out of what the machines left: cards.json and cpus.json of the jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kernels.report import Column, Report
from machines.cells import cards, cpus, exactness
from machines.cpujob import INTERFACES

PAGE = Path(__file__).parents[2] / "docs" / "machines.md"
HEAD = """\
# Machines

pktexp on network cards and on many CPUs, as found on {date} by `{command}`, which
writes this page. The machines run Linux {release} and are emulated by
qemu {version}, without KVM.

Counts, losses, carrier changes and memory are those of real machines. Times are not: emulation is
ten to thirty times as slow, and all CPUs share those of the machine that emulates.

"""
CARDS = """\
## Network cards
Two cards of a kind are joined; pktexp counts one of them. An ICMP echo is sent every 10 ms while
pktexp starts and stops. *packets* compares those sent with those counted at ingress, in packets and
bytes; a TCP connection's are those that the sender's queueing discipline counted.

"""
CPUS = """\
## CPUs
The service counts {interfaces} interfaces. *kernel memory* is from the log, *machine's memory* the
fall of MemAvailable, the process included. A scrape waits at most 0.1 s for the flow cache: where
draining it takes longer, as here, flows may lack packets of the totals until a later page. Such
pages are *late*.

"""


@dataclass(frozen=True)
class Found:
    """What a machine found; `complete`: up to the end of its job."""

    name: str
    cards: dict[str, Any]
    cpus: dict[str, Any]
    complete: bool

    @classmethod
    def read(cls, name: str, folder: Path, *, complete: bool) -> Self:
        """Read what a machine left in a folder."""
        return cls(name, _read(folder / "cards.json"), _read(folder / "cpus.json"), complete)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def written(found: Sequence[Found], date: str, command: str, version: str, release: str) -> str:
    """Return the page's text."""
    parts = [HEAD.format(date=date, command=command, version=version, release=release)]
    if with_cards := [each for each in found if each.cards]:
        parts += [CARDS, table({each.name: cards(each.cards) for each in with_cards})]
        parts += notes(with_cards)
    if with_cpus := [each for each in found if each.cpus]:
        parts += [
            CPUS.format(interfaces=INTERFACES),
            table({f"{e.cpus['CPUs']} CPUs": cpus(e.cpus) for e in with_cpus}),
        ]
        for each in with_cpus:
            parts += [f"\n### Exactness, {each.cpus['CPUs']} CPUs\n", *exactness(each.cpus)]
    parts += [f"\n{e.name}: it did not come to its end.\n" for e in found if not e.complete]
    return "".join(parts)


def table(columns: dict[str, Column]) -> str:
    """Return a table with a column of each machine."""
    return Report(columns).table(list(columns))


def notes(found: Sequence[Found]) -> Iterator[str]:
    """Return the forecasts of `check`, and what was logged as a warning or worse."""
    yield "\n`pktexp check` says beforehand, and the log says:\n\n"
    for each in found:
        for mode in [name for name in each.cards if name != "unplug"]:
            told = each.cards[mode]
            yield f"- {each.name}, {mode}: {told['forecast']['why']}\n"
            yield from (f"  - log: {line}\n" for line in told["log"])
    yield "\n"
