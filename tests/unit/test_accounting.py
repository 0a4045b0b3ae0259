"""Accounts compare totals with flows, both made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pktexp.flows.accounting import Accounts
from pktexp.flows.table import FlowTable
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.packet.enums import Direction, PacketClass
from pktexp.packet.records import FLOW_SLOT, INTERFACE_COUNTERS

TCP = int(PacketClass.IPV4) + 1
EGRESS = int(Direction.EGRESS)


class World:
    """Two interfaces whose packets are counted, lost and attributed as a test says."""

    def __init__(self) -> None:
        self.leases = [Lease("eth0", 7, 0), Lease("eth1", 8, 1)]
        self.totals = np.zeros((2, 2), INTERFACE_COUNTERS)
        self.flows = FlowTable(4)
        self.meanwhile: Callable[[], None] = lambda: None
        self.accounts = Accounts(self, self.flows, self.settle)

    def lease_names(self) -> dict[int, str]:
        return {lease.id: lease.name for lease in self.leases}

    def snapshot(self) -> Snapshot:
        return Snapshot(self.leases, self.totals.copy(), tuple(Direction), {})

    async def settle(self) -> None:
        self.meanwhile()

    def count(self, packets: int, row: int = 0, direction: int = 0) -> None:
        self.totals["classes"][row, direction, TCP]["packets"] += np.uint64(packets)

    def lose(self, packets: int, row: int = 0, direction: int = 0) -> None:
        self.totals["lost"][row, direction]["packets"] += np.uint64(packets)

    def attribute(self, packets: int, row: int = 0, direction: int = 0, host: int = 1) -> None:
        batch: Any = np.zeros(1, FLOW_SLOT)
        flow = batch["flow"]
        flow["interface"], flow["packet_class"] = self.leases[row].id, TCP
        flow["direction"], flow["packets"], flow["saddr"][0, 3] = direction, packets, host
        self.flows.merge(batch)

    async def unaccounted(self) -> dict[str, int]:
        for _ in range(2):  # a difference in one check only is not reported
            await self.accounts.check()
        names, found = self.lease_names(), self.accounts.unaccounted
        return {f"{names[i]} {Direction(d).name.lower()}": n for (i, d), n in found.items()}


async def test_flows_others_and_losses_account_for_all_packets() -> None:
    world = World()
    for host in range(40):  # more than the table shows
        world.count(11, direction=EGRESS)
        world.attribute(10, direction=EGRESS, host=host)
    world.lose(40, direction=EGRESS)
    assert await world.unaccounted() == {}
    assert (world.accounts.checks, world.accounts.failures.count) == (2, 0)


@pytest.mark.parametrize("row", [0, 1])
async def test_missing_packets_are_logged_once_with_their_site(
    row: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.count(100, row)
    world.attribute(97, row)
    name = f"eth{row}"
    assert await world.unaccounted() == {f"{name} ingress": 3}
    assert await world.unaccounted() == {f"{name} ingress": 3}
    assert [record.getMessage() for record in caplog.records] == [
        f"flows do not sum to the total of {name}, ingress: 3 packets missing"
    ]


async def test_packets_counted_twice_are_negative() -> None:
    world = World()
    world.count(5)
    world.attribute(7)
    assert await world.unaccounted() == {"eth0 ingress": -2}


async def test_loss_counted_twice_is_negative() -> None:
    world = World()
    world.count(5)
    world.attribute(5)
    world.lose(1)
    assert await world.unaccounted() == {"eth0 ingress": -1}


async def test_packets_that_arrive_during_a_check_are_not_missing() -> None:
    world = World()

    def come() -> None:
        world.count(1000)
        world.attribute(400)  # the other 600 are still in the cache

    world.meanwhile = come
    assert await world.unaccounted() == {}


async def test_packets_merged_before_the_next_check_are_not_missing() -> None:
    world = World()
    world.count(5)
    await world.accounts.check()
    assert world.accounts.unaccounted == {}
    world.attribute(5)
    assert await world.unaccounted() == {}


async def test_only_later_losses_of_an_inherited_lease_are_missing() -> None:
    world = World()
    world.count(1000)
    world.lose(10)
    world.accounts = Accounts(world, world.flows, world.settle, inherited={7})

    cached = 0

    def come() -> None:
        nonlocal cached
        world.attribute(cached + 20)
        world.count(50)
        cached = 30

    world.meanwhile = come
    assert await world.unaccounted() == {}
    world.meanwhile = lambda: None
    world.attribute(cached)
    assert await world.unaccounted() == {}
    world.count(3)
    assert await world.unaccounted() == {"eth0 ingress": 3}
    world.attribute(5)
    assert await world.unaccounted() == {"eth0 ingress": -2}


async def test_failed_check_is_counted_and_the_next_one_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()

    def fail() -> None:
        raise OSError("as told")

    world.meanwhile = fail
    assert await world.unaccounted() == {}
    assert (world.accounts.checks, world.accounts.failures.count) == (0, 2)
    assert "failed to compare totals with flows, retrying: as told" in caplog.text
    world.meanwhile = lambda: None
    await world.unaccounted()
    assert world.accounts.checks == 2
