"""docs/machines.md, out of what the machines found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from kernels.report import Column, Report
from machines.cells import MODES, cards, cpus, exactness
from machines.cpujob import INTERFACES
from machines.results import Found

PAGE = Path(__file__).parents[2] / "docs" / "machines.md"
HEAD = """\
# Machines

pktexp on network cards and on many CPUs, as found by `just test-machines`, which writes this page.
The machines are emulated by qemu, without KVM.

Counts, losses, carrier changes and memory are those of real machines. Times are not: emulation is
ten to thirty times as slow, and all CPUs share those of the machine that emulates.

"""
CARDS = """\
## Network cards
Two cards of a kind are joined; pktexp counts one of them. An ICMP echo is sent every 10 ms while
pktexp starts and stops. *packets* compares those sent with those counted at ingress, in packets and
bytes; a TCP connection's are those that the sender's queueing discipline counted. Frames that are
not *received* the emulated card dropped.

"""
CPUS = """\
## CPUs
The service counts {interfaces} interfaces. *kernel memory* is from the log, *machine's memory* the
fall of MemAvailable, the process included. A scrape waits at most 0.1 s for the flow cache: where
draining it takes longer, as here, flows may lack packets of the totals until a later page. Such
pages are *late*.

"""


def written(found: Mapping[str, Found]) -> str:
    """Return the page's text, of what is known of each machine."""
    parts = [HEAD]
    with_cards = {name: each for name, each in found.items() if each.cards}
    parts += [CARDS, table({n: _run(e) | cards(e.cards) for n, e in with_cards.items()})]
    parts += notes(with_cards)
    with_cpus = {f"{e.cpus['CPUs']} CPUs": e for e in found.values() if e.cpus}
    parts += [CPUS.format(interfaces=INTERFACES)]
    parts += [table({name: _run(each) | cpus(each.cpus) for name, each in with_cpus.items()})]
    for name, each in with_cpus.items():
        parts += [f"\n### Exactness, {name}\n", *exactness(each.cpus)]
    return "".join(parts)


def _run(found: Found) -> Column:
    """Return the rows about the run itself."""
    state = "" if found.complete else ", not to its end"
    run = {"run on": found.day + state, "pktexp": f"`{found.commit}`"}
    return run | {"Linux": found.release, "qemu": found.qemu}


def table(columns: dict[str, Column]) -> str:
    """Return a table with a column of each machine."""
    return Report(columns).table(list(columns))


def notes(found: Mapping[str, Found]) -> Iterator[str]:
    """Return the forecasts of `check`, and what was logged as a warning or worse."""
    yield "\n`pktexp check` says beforehand:\n\n"
    for name, each in found.items():
        for mode in MODES:
            if told := each.cards.get(mode):
                yield f"- {name}, {mode}: {told['forecast']['why']}\n"
                yield from (f"  - logged: {line}\n" for line in told["log"])
    yield "\n"
