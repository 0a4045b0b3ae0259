"""Tries pktexp on a pair of cards, in the machine: `python -m machines.cardjob`.

Writes $SHARE/cards.json, for page.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from machines.counts import Counts, less
from machines.echo import Echo
from machines.monitor import Monitor
from machines.pairs import Cards, present
from machines.wiring import MTU, Pair, planned
from support.netns.namespace import making
from support.patience import wait_for
from support.service.process import Service

MODES: dict[str, tuple[str, ...]] = {"defaults": (), "xdp-native": ("--ingress", "xdp-native")}
BEFORE, ECHOES = 100, 1000  # before and after a change
FRAMES = 300
JUMBO = 100
TCP = 1_000_000  # bytes


def main() -> None:
    """Try the pair of cards that $SHARE/plan.json names."""
    share = Path(os.environ["SHARE"])
    plan = json.loads((share / "plan.json").read_text())
    pair = planned(plan["pair"])
    subprocess.run(["modprobe", "-a", pair.driver, "8021q"], check=True)
    results: dict[str, Any] = {}
    for name, found in measure(pair, {k: bytes.fromhex(v) for k, v in plan["frames"].items()}):
        results[name] = found
        print(name, json.dumps(found), flush=True)
        (share / "cards.json").write_text(json.dumps(results, indent=2))


def measure(pair: Pair, frames: dict[str, bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Attach, count and detach in each mode; then unplug the card and plug it in."""
    with making() as make:
        cards = Cards(pair, make(), make())
        for mode, options in MODES.items():
            found = {"forecast": forecast(cards, options)}
            yield mode, found | attached(cards, options, frames)
        yield "unplug", unplugged(cards, frames["plain"])


def forecast(cards: Cards, options: tuple[str, ...]) -> dict[str, Any]:
    """Return what `pktexp check` says of the interface."""
    command = cards.counter.command(
        sys.executable, "-m", "pktexp", "check", "--json", "--port", "0"
    )
    asked = [*command, "--interfaces", cards.counted, *options]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    interfaces: list[dict[str, Any]] = json.loads(said.stdout)["interfaces"]
    return next(each for each in interfaces if each["name"] == cards.counted)


def attached(cards: Cards, options: tuple[str, ...], frames: dict[str, bytes]) -> dict[str, Any]:
    """Run a service, during echoes while it attaches and detaches, and count between."""
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        with disturbance(cards) as (echo, found["attach"]):
            service = Service(cards.counter, "--interfaces", cards.counted, *options)
            stack.callback(service.stop)
            found["hook"] = service.wait_until_attached(cards.counted)
            echo.wait(ECHOES)
        cards.counter.wait_for_carrier(cards.counted)
        found["counts"] = counts(service, cards, frames)
        with disturbance(cards) as (echo, found["detach"]):
            service.stop()
            echo.wait(ECHOES)
    return found | {"log": service.messages("warning", "error")}


@contextmanager
def disturbance(cards: Cards) -> Iterator[tuple[Echo, dict[str, int]]]:
    """Send echoes while the context is open; then fill in how many were lost, and the carrier."""
    found: dict[str, int] = {}
    changes = cards.carrier_changes()
    with Echo(cards.sender, cards.address) as echo:
        echo.wait(BEFORE)
        yield echo, found
    found |= {"sent": echo.sent, "lost": echo.lost}
    found["carrier changes"] = cards.carrier_changes() - changes


def counts(service: Service, cards: Cards, frames: dict[str, bytes]) -> dict[str, Any]:
    """Return packets and bytes sent and counted, by kind; jumbo only if the card takes the MTU."""
    counted = Counts(service, cards)
    found: dict[str, Any] = {
        kind: counted.frames(frames[kind], FRAMES) for kind in ("plain", "VLAN")
    }
    found["TCP"] = counted.connection(TCP)
    if cards.set_mtu(MTU):
        found["jumbo"] = counted.frames(frames["jumbo"], JUMBO)
    cards.set_mtu(1500)
    return found


def unplugged(cards: Cards, frame: bytes) -> dict[str, Any]:
    """Unplug the counted card and plug it in again; return what a service then counts of it."""
    name, end = cards.counted, cards.pair.counting
    service = Service(cards.counter, "--interfaces", name)
    try:
        service.wait_until_attached(name)
        counted = Counts(service, cards)
        first = counted.frames(frame, JUMBO)
        before = counted.counted()
        with Monitor() as monitor:
            monitor.ask("device_del", id=end.name)
            wait_for(lambda: not present(cards.counter, name))
            kept = counted.settled((0, 0)) == before
            monitor.ask("device_add", **end.device)
        cards.place_counted()
        cards.counter.wait_for_carrier(name)
        hook = service.wait_until_attached(name)
        again = counted.frames(frame, JUMBO)
        goes_on = less(counted.counted(), before)[0] >= JUMBO
        return {"first": first, "kept": kept, "hook": hook, "again": again, "goes on": goes_on}
    finally:
        service.stop()


if __name__ == "__main__":
    main()
